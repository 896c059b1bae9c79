"""A coincurve ``PrivateKey`` that is in a device.

>>> from intaglio.adapters.coincurve import DevicePrivateKey
>>> key = DevicePrivateKey("soft:", bytes(31) + b"\\x01")
>>> key.public_key.verify(key.sign(b"order"), b"order")
True

Whatever would show or need the private key itself raises :class:`PermissionError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

from coincurve import PrivateKey, PublicKey
from coincurve.context import GLOBAL_CONTEXT
from coincurve.utils import DEFAULT_NONCE, sha256

from intaglio.adapters.devices import hold, in_device
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.signer import Secret, Signer
from intaglio.values import Key, Signature

Hasher = Callable[[bytes], bytes] | None


class DevicePrivateKey(PrivateKey):
    """A secp256k1 key of ``signer`` (a signer or a device URL) that makes ECDSA signatures.

    ``key`` is one the signer holds, or 32 secret bytes, which are loaded into it. Nonces are those
    of RFC 6979; a nonce function of one's own raises :class:`intaglio.InputError`.
    """

    def __init__(self, signer: Signer | str, key: Key | Secret) -> None:
        self._signer, self._key = hold(signer, Curve.SECP256K1, key)
        self.context = GLOBAL_CONTEXT
        self.public_key = PublicKey(self._key.public_key)

    def __getattr__(self, name: str) -> NoReturn:
        if name == "secret":
            raise in_device()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def sign(
        self, message: bytes, hasher: Hasher = sha256, custom_nonce: Any = DEFAULT_NONCE
    ) -> bytes:
        return self._signer.sign(self._key, digest=_digest(message, hasher, custom_nonce)).der()

    def sign_recoverable(
        self, message: bytes, hasher: Hasher = sha256, custom_nonce: Any = DEFAULT_NONCE
    ) -> bytes:
        digest = _digest(message, hasher, custom_nonce)
        return _recoverable(self._signer.sign(self._key, digest=digest))

    async def sign_async(self, message: bytes, hasher: Hasher = sha256) -> bytes:
        """:meth:`sign` that lets other tasks run while a device signs."""
        future = self._signer.submit(self._key, digest=_digest(message, hasher, DEFAULT_NONCE))
        return (await asyncio.wrap_future(future)).der()

    async def sign_recoverable_async(self, message: bytes, hasher: Hasher = sha256) -> bytes:
        """:meth:`sign_recoverable` that lets other tasks run while a device signs."""
        future = self._signer.submit(self._key, digest=_digest(message, hasher, DEFAULT_NONCE))
        return _recoverable(await asyncio.wrap_future(future))


def _digest(message: bytes, hasher: Hasher, custom_nonce: Any) -> bytes:
    if custom_nonce is not DEFAULT_NONCE:
        raise InputError("a device makes its own nonces (RFC 6979): leave custom_nonce out")
    digest = message if hasher is None else hasher(message)
    if len(digest) != 32:
        raise ValueError("Message hash must be 32 bytes long.")
    return digest


def _recoverable(signature: Signature) -> bytes:
    return signature.raw + bytes([signature.recid or 0])
