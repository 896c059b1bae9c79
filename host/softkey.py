"""Keys in C memory, and the library calls that sign with them.

The C functions of libsodium and libsecp256k1 are called directly through the libraries' cffi
modules, which release the GIL for each call. The secrets lie in C memory that is overwritten once
nothing refers to the key any more. OpenSSL keeps and erases a P-256 key itself, and signs with the
GIL held.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from coincurve.context import GLOBAL_CONTEXT

from intaglio import check, wire
from intaglio.curve import Curve
from intaglio.errors import FaultError
from intaglio.values import Signature, check_payload

_sodium: Any = importlib.import_module("nacl._sodium")
_secp: Any = importlib.import_module("coincurve._libsecp256k1")

_ED25519_SECRET_BYTES = 64

Sign = Callable[[bytes | None, bytes | None], Signature]
"""Signs a message or a digest, the other being ``None``."""


@dataclass(frozen=True, slots=True, eq=False)
class SoftKey:
    """A key that software signs with."""

    sign: Sign
    """For any thread at any time."""
    run: Callable[[], Sign]
    """Makes one for a run of signatures by one caller, quicker as it uses its memory again."""


def soft_key(curve: Curve, secret: bytes) -> SoftKey:
    """The key with ``secret``, which is valid on ``curve``."""
    return _MAKERS[curve](secret)


def _held(ffi: Any, size: int) -> Any:
    """C memory for a secret, overwritten with zeros when nothing refers to it any more."""
    zeros = bytes(size)
    return ffi.gc(ffi.new(f"unsigned char[{size}]"), lambda data: ffi.memmove(data, zeros, size))


def _ed25519(seed: bytes) -> SoftKey:
    ffi, crypto_sign = _sodium.ffi, _sodium.lib.crypto_sign
    new, buffer, null = ffi.new, ffi.buffer, ffi.NULL
    array = ffi.typeof("unsigned char[]")
    secret = _held(ffi, _ED25519_SECRET_BYTES)
    if _sodium.lib.crypto_sign_seed_keypair(new("unsigned char[32]"), secret, seed):
        raise FaultError("libsodium did not derive the Ed25519 key: check its installation")
    size, longest, curve = wire.SIGNATURE_BYTES, wire.MAX_MESSAGE_BYTES, Curve.ED25519

    def sign(message: bytes | None, digest: bytes | None) -> Signature:
        if digest is not None or type(message) is not bytes or len(message) > longest:
            _, message = check_payload(curve, message, digest)
        length = len(message)
        signed = new(array, size + length)
        if crypto_sign(signed, null, message, length, secret):
            raise FaultError("libsodium did not sign: check its installation")
        return Signature(buffer(signed, size)[:], curve)

    return SoftKey(sign, lambda: sign)


def _secp256k1(scalar: bytes) -> SoftKey:
    ffi, lib, context = _secp.ffi, _secp.lib, GLOBAL_CONTEXT.ctx
    new, buffer, null = ffi.new, ffi.buffer, ffi.NULL
    ecdsa_sign = lib.secp256k1_ecdsa_sign_recoverable
    serialize = lib.secp256k1_ecdsa_recoverable_signature_serialize_compact
    internal = ffi.typeof("secp256k1_ecdsa_recoverable_signature *")
    array, integer = ffi.typeof("unsigned char[64]"), ffi.typeof("int *")
    secret = _held(ffi, wire.KEY_BYTES)
    ffi.memmove(secret, scalar, wire.KEY_BYTES)
    width, curve = wire.DIGEST_BYTES, Curve.SECP256K1

    def into(
        made: Any, compact: Any, recid: Any, message: bytes | None, digest: bytes | None
    ) -> Signature:
        if message is not None or type(digest) is not bytes or len(digest) != width:
            digest = _digest(curve, message, digest)
        if not ecdsa_sign(context, made, digest, secret, null, null):
            raise FaultError("libsecp256k1 did not sign: check its installation")
        serialize(context, compact, recid, made)
        return Signature(buffer(compact)[:], curve, recid[0])

    return SoftKey(
        lambda message, digest: into(new(internal), new(array), new(integer), message, digest),
        lambda: partial(into, new(internal), new(array), new(integer)),
    )


def _p256(scalar: bytes) -> SoftKey:
    from intaglio import p256

    key = p256.private_key(scalar)

    def sign(message: bytes | None, digest: bytes | None) -> Signature:
        return Signature(p256.sign(key, _digest(Curve.P256, message, digest)), Curve.P256)

    return SoftKey(sign, lambda: sign)


def _digest(curve: Curve, message: bytes | None, digest: bytes | None) -> bytes:
    return check.digest_of(*check_payload(curve, message, digest))


_MAKERS: dict[Curve, Callable[[bytes], SoftKey]] = {
    Curve.ED25519: _ed25519,
    Curve.SECP256K1: _secp256k1,
    Curve.P256: _p256,
}
