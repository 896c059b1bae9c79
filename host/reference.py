"""What a right signature is, asked of the libraries directly and of no device.

Ed25519 by libsodium (PyNaCl), ECDSA by libsecp256k1 (coincurve) and OpenSSL (cryptography). The
demo and the self-test compare with this module; it shares no code with any device, ``soft:``
included, but for P-256, which only OpenSSL signs here.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import coincurve
import nacl.signing

from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.values import Key

LIBRARY = {
    Curve.ED25519: "libsodium",
    Curve.SECP256K1: "libsecp256k1",
    Curve.P256: "OpenSSL",
}
"""The library that speaks for each curve."""


class Expected(NamedTuple):
    """A signature and the public key it belongs to, as the libraries give them."""

    raw: bytes
    """R || S (Ed25519) or r || s (ECDSA, low s), 64 bytes."""
    recid: int | None
    """Recovery id 0..3 of a secp256k1 signature."""
    public_key: bytes
    """Ed25519: 32 bytes (RFC 8032); ECDSA: 33 bytes, compressed (SEC 1)."""


def public_key(curve: Curve, secret: bytes) -> bytes:
    """Public key of 32 secret bytes: 32 bytes for Ed25519, 33 (SEC 1) for ECDSA."""
    if curve is Curve.ED25519:
        return bytes(nacl.signing.SigningKey(secret).verify_key)
    if curve is Curve.P256:
        from intaglio import p256

        return Key(curve, p256.point(secret)).public_key
    return coincurve.PrivateKey(secret).public_key.format(compressed=True)


def sign(
    curve: Curve, secret: bytes, message: bytes | None = None, digest: bytes | None = None
) -> Expected:
    """Deterministic signature of ``message`` (RFC 8032; RFC 6979 over SHA-256) or ``digest``.

    ``digest`` is for ECDSA only, 32 bytes. Exactly one of the two is given.
    """
    public = public_key(curve, secret)
    if curve is Curve.ED25519:
        if message is None:
            raise InputError("Ed25519 signs messages, not digests: give message")
        return Expected(nacl.signing.SigningKey(secret).sign(message).signature, None, public)
    if curve is Curve.P256:
        from intaglio import p256

        raw = p256.sign(p256.private_key(secret), _hashed(message, digest))
        return Expected(raw, None, public)
    signed = coincurve.PrivateKey(secret).sign_recoverable(_hashed(message, digest), hasher=None)
    return Expected(signed[:64], signed[64], public)


def _hashed(message: bytes | None, digest: bytes | None) -> bytes:
    if digest is not None:
        return digest
    return hashlib.sha256(message or b"").digest()
