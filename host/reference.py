"""What a right signature is, asked of the libraries directly and of no device.

Ed25519 by libsodium (PyNaCl), ECDSA by libsecp256k1 (coincurve). The demo, the self-test and
``intaglio verify`` compare with this module; it shares no code with any device, ``soft:`` included.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import coincurve
import nacl.exceptions
import nacl.signing

from intaglio.errors import InputError
from intaglio.params import SECP256K1

ED25519 = "ed25519"
"""Names of the curves on the command line and in JSON."""
SECP = "secp256k1"
CURVES = (ED25519, SECP)

LIBRARY = {ED25519: "libsodium", SECP: "libsecp256k1"}


class Expected(NamedTuple):
    """A signature and the public key it belongs to, as the libraries give them."""

    raw: bytes
    """R || S (Ed25519) or r || s (ECDSA, low s), 64 bytes."""
    recid: int | None
    """Recovery id 0..3 of an ECDSA signature."""
    public_key: bytes
    """Ed25519: 32 bytes; secp256k1: X || Y, 64 bytes."""


def public_key(curve: str, secret: bytes) -> bytes:
    """Public key of 32 secret bytes: 32 bytes for Ed25519, X || Y for secp256k1."""
    if curve == ED25519:
        return bytes(nacl.signing.SigningKey(secret).verify_key)
    return coincurve.PrivateKey(secret).public_key.format(compressed=False)[1:]


def sign(
    curve: str, secret: bytes, message: bytes | None = None, digest: bytes | None = None
) -> Expected:
    """Deterministic signature of ``message`` (RFC 8032; RFC 6979 over SHA-256) or ``digest``.

    ``digest`` is for secp256k1 only, 32 bytes. Exactly one of the two is given.
    """
    public = public_key(curve, secret)
    if curve == ED25519:
        if message is None:
            raise InputError("Ed25519 signs messages, not digests: give message")
        return Expected(nacl.signing.SigningKey(secret).sign(message).signature, None, public)
    signed = coincurve.PrivateKey(secret).sign_recoverable(_hashed(message, digest), hasher=None)
    return Expected(signed[:64], signed[64], public)


def verify(
    curve: str,
    public: bytes,
    signature: bytes,
    message: bytes | None = None,
    digest: bytes | None = None,
) -> bool:
    """Whether ``signature`` (64 bytes) is valid. ECDSA signatures with a high s are refused.

    ``public`` is a public key of the lengths :func:`sec1` takes, or 32 bytes for Ed25519. Raises
    :class:`InputError` if it is no point of the curve.
    """
    if curve == ED25519:
        try:
            nacl.signing.VerifyKey(public).verify(message or b"", signature)
        except nacl.exceptions.BadSignatureError:
            return False
        return True
    r, s = (int.from_bytes(signature[i : i + 32], "big") for i in (0, 32))
    if not (0 < r < SECP256K1.order and 0 < s <= SECP256K1.order // 2):
        return False
    try:
        key = coincurve.PublicKey(sec1(public))
    except ValueError:
        raise InputError("the public key is not a point of secp256k1") from None
    return key.verify(_der(r, s), _hashed(message, digest), hasher=None)


def sec1(public: bytes) -> bytes:
    """A secp256k1 public key with its SEC 1 prefix, from X || Y (64 bytes) or SEC 1 (33 or 65)."""
    return b"\x04" + public if len(public) == 64 else public


def _hashed(message: bytes | None, digest: bytes | None) -> bytes:
    if digest is not None:
        return digest
    return hashlib.sha256(message or b"").digest()


def _der(r: int, s: int) -> bytes:
    def integer(value: int) -> bytes:
        data = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return bytes([0x02, len(data)]) + data

    body = integer(r) + integer(s)
    return bytes([0x30, len(body)]) + body
