"""A PyNaCl ``SigningKey`` that is in a device.

>>> from intaglio.adapters.nacl import DeviceSigningKey
>>> key = DeviceSigningKey("soft:", bytes(range(32)))
>>> signed = key.sign(b"order")
>>> key.verify_key.verify(signed)
b'order'

Whatever would show or need the private key itself raises :class:`PermissionError`.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from nacl.encoding import Encoder, RawEncoder
from nacl.signing import SignedMessage, SigningKey, VerifyKey

from intaglio.adapters.devices import hold, in_device
from intaglio.curve import Curve
from intaglio.signer import Secret, Signer
from intaglio.values import Key


class DeviceSigningKey(SigningKey):
    """An Ed25519 key of ``signer`` (a signer or a device URL).

    ``key`` is one the signer holds, or 32 secret bytes, which are loaded into it.
    """

    def __init__(self, signer: Signer | str, key: Key | Secret) -> None:
        self._signer, self._key = hold(signer, Curve.ED25519, key)
        self.verify_key = VerifyKey(self._key.public_key)

    def sign(self, message: bytes, encoder: Encoder = RawEncoder) -> SignedMessage:
        return _signed(message, self._signer.sign(self._key, message).raw, encoder)

    async def sign_async(self, message: bytes, encoder: Encoder = RawEncoder) -> SignedMessage:
        """:meth:`sign` that lets other tasks run while a device signs."""
        signature = await asyncio.wrap_future(self._signer.submit(self._key, message))
        return _signed(message, signature.raw, encoder)

    def __bytes__(self) -> NoReturn:
        raise in_device()

    def to_curve25519_private_key(self) -> NoReturn:
        """The private key is in the device: raises :class:`PermissionError`."""
        raise in_device()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceSigningKey) and self.verify_key == other.verify_key

    def __hash__(self) -> int:
        return hash(self.verify_key)


def _signed(message: bytes, signature: bytes, encoder: Encoder) -> SignedMessage:
    return SignedMessage._from_parts(
        encoder.encode(signature), encoder.encode(message), encoder.encode(signature + message)
    )
