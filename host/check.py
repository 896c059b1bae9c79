"""Checks by the host's libraries: libsodium (PyNaCl), libsecp256k1 (coincurve), OpenSSL."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

import coincurve
import nacl.bindings
import nacl.exceptions

from intaglio import params, wire
from intaglio.curve import Curve
from intaglio.errors import InputError, InvalidKeyError
from intaglio.values import Key, Signature, check_payload

_chance = random.SystemRandom()
_HALF_ORDER = params.SECP256K1.order // 2


@dataclass(frozen=True, slots=True)
class VerifyPolicy:
    """Which signatures of devices are verified here: one in ``every``, by chance; 0: none."""

    every: int = 1

    @classmethod
    def parse(cls, policy: bool | str | VerifyPolicy) -> VerifyPolicy:
        """``"all"``, ``"sample:N"`` (N of 1..1000000), ``"off"``, or a boolean for all or off.

        Raises :class:`InputError` for anything else.
        """
        if isinstance(policy, VerifyPolicy):
            return policy
        if isinstance(policy, bool) or policy in ("all", "off"):
            return cls(int(policy in (True, "all")))
        kind, _, number = str(policy).partition(":")
        if kind != "sample" or not number.isdecimal() or not 1 <= int(number) <= 1_000_000:
            raise InputError(
                f"verify={policy!r} is no policy: use all, sample:N (N of 1..1000000) or off"
            )
        return cls(int(number))

    @property
    def some(self) -> bool:
        """Whether anything is verified; public keys are, then."""
        return self.every > 0

    def wanted(self) -> bool:
        """Whether the signature at hand is to be verified."""
        return self.every == 1 or (self.every > 1 and _chance.randrange(self.every) == 0)


def verify(
    key: Key | bytes,
    message: bytes | None,
    signature: Signature | bytes,
    *,
    digest: bytes | None = None,
) -> bool:
    """Whether ``signature`` over ``message`` or ``digest`` is valid for the public key ``key``.

    33 or 65 bytes are a key of the curve that a :class:`Signature` names, else of secp256k1.
    Raises :class:`InputError` if the key is no public key, or on wrong lengths.
    """
    named = signature.curve if isinstance(signature, Signature) else Curve.SECP256K1
    curve, public = _public(key, named)
    op, body = check_payload(curve, message, digest)
    raw = signature.raw if isinstance(signature, Signature) else bytes(signature)
    if len(raw) != wire.SIGNATURE_BYTES:
        raise InputError(f"a signature must be {wire.SIGNATURE_BYTES} bytes, not {len(raw)}")
    if curve is Curve.ED25519:
        return _verify_ed25519(public, body, raw)
    if curve is Curve.P256:
        from intaglio import p256

        return p256.verify(public, digest_of(op, body), raw)
    try:
        point = coincurve.PublicKey(public)
    except ValueError:
        raise InputError(f"public key {public.hex()} is not on secp256k1") from None
    return point.verify(Signature(raw, curve).der(), digest_of(op, body), hasher=None)


def is_right(key: Key, op: wire.Op, body: bytes, signature: Signature) -> bool:
    """Whether what a device answered is a valid signature by ``key``, its recovery id included."""
    if key.curve is Curve.ED25519:
        return signature.recid is None and _verify_ed25519(key.public_key, body, signature.raw)
    recid = signature.recid
    if recid is None or not 0 <= recid <= 3 or signature.s > _HALF_ORDER:
        return False
    try:
        point = coincurve.PublicKey.from_signature_and_message(
            signature.raw + bytes([recid]), digest_of(op, body), hasher=None
        )
    except Exception:  # coincurve raises bare Exception or ValueError if nothing can be recovered
        return False
    return point.format() == key.public_key


def public_point(curve: Curve, secret: bytes) -> bytes | None:
    """Public key of ``secret`` as :class:`Key` takes it; ``None`` if the secret is not valid."""
    if curve is Curve.ED25519:
        return nacl.bindings.crypto_sign_seed_keypair(secret)[0]
    if not 0 < int.from_bytes(secret, "big") < curve.order:
        return None
    if curve is Curve.P256:
        from intaglio import p256

        return p256.point(secret)
    return coincurve.PublicKey.from_valid_secret(secret).format(compressed=False)[1:]


def key_of(curve: Curve, secret: bytes) -> Key:
    """The key with ``secret``. Raises :class:`InvalidKeyError` if that is not valid."""
    point = public_point(curve, secret)
    if point is None:
        raise InvalidKeyError(
            f"the {curve.value} secret is 0 or not below the group order: use another"
        )
    return Key(curve, point)


def digest_of(op: wire.Op, body: bytes) -> bytes:
    """The 32 bytes that ECDSA signs for ``body``."""
    return body if op is wire.Op.SIGN_DIGEST else hashlib.sha256(body).digest()


def _verify_ed25519(public: bytes, message: bytes, raw: bytes) -> bool:
    try:
        nacl.bindings.crypto_sign_open(raw + message, public)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def _public(key: Key | bytes, named: Curve) -> tuple[Curve, bytes]:
    if isinstance(key, Key):
        return key.curve, key.public_key
    if len(key) == 32:
        return Curve.ED25519, bytes(key)
    if len(key) in (33, 65):
        return Curve.SECP256K1 if named is Curve.ED25519 else named, bytes(key)
    raise InputError(
        f"a public key must be 32 bytes (ed25519), 33 or 65 bytes (secp256k1, p256), not {len(key)}"
    )
