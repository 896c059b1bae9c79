"""P-256 by OpenSSL, for which no device of ours has gateware (extra ``cryptography``).

Importing this module raises :class:`intaglio.InputError` where the package is not installed.
"""

from __future__ import annotations

from intaglio.errors import InputError

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import (
        Prehashed,
        decode_dss_signature,
        encode_dss_signature,
    )
    from cryptography.hazmat.primitives.hashes import SHA256
except ImportError:
    raise InputError(
        "p256 is signed by the package cryptography: pip install 'intaglio[cryptography]'"
    ) from None

_CURVE = ec.SECP256R1()
_VERIFY = ec.ECDSA(Prehashed(SHA256()))
_SIGN = ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True)


def private_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """OpenSSL's key for a secret of 1..n-1."""
    return ec.derive_private_key(int.from_bytes(secret, "big"), _CURVE)


def point(secret: bytes) -> bytes:
    """X || Y of the public key of a secret of 1..n-1."""
    numbers = private_key(secret).public_key().public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def sign(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    """r || s over a SHA-256 digest, the nonce by RFC 6979."""
    r, s = decode_dss_signature(key.sign(digest, _SIGN))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(public: bytes, digest: bytes, raw: bytes) -> bool:
    """Whether r || s is valid for the SEC 1 public key ``public``, s low or high.

    Raises :class:`intaglio.InputError` if that is no point of the curve.
    """
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public)
    except ValueError:
        raise InputError(f"public key {public.hex()} is not on p256") from None
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    try:
        key.verify(encode_dss_signature(r, s), digest, _VERIFY)
    except InvalidSignature:
        return False
    return True
