"""Signatures for Solana transactions that solders builds.

solders takes no signers but its own, so the device signs first and a ``Presigner`` carries the
signature into the transaction:

>>> from solders.hash import Hash
>>> from solders.message import MessageV0
>>> from solders.system_program import TransferParams, transfer
>>> from solders.transaction import VersionedTransaction
>>> from intaglio.adapters.solders import DeviceKeypair
>>> keypair = DeviceKeypair("soft:", bytes(range(32)))
>>> payer = keypair.pubkey()
>>> pay = transfer(TransferParams(from_pubkey=payer, to_pubkey=payer, lamports=1))
>>> message = MessageV0.try_compile(payer, [pay], [], Hash.default())
>>> VersionedTransaction(message, [keypair.presign(message)]).verify_with_results()
[True]
"""

from __future__ import annotations

import asyncio
from typing import Any

from solders.message import to_bytes_versioned
from solders.presigner import Presigner
from solders.pubkey import Pubkey
from solders.signature import Signature

from intaglio.adapters.devices import hold
from intaglio.curve import Curve
from intaglio.signer import Secret, Signer
from intaglio.values import Key


class DeviceKeypair:
    """An Ed25519 key of ``signer`` (a signer or a device URL), with the verbs of a ``Keypair``.

    ``key`` is one the signer holds, or 32 secret bytes, which are loaded into it.
    """

    def __init__(self, signer: Signer | str, key: Key | Secret) -> None:
        self._signer, self._key = hold(signer, Curve.ED25519, key)
        self._pubkey = Pubkey.from_bytes(self._key.public_key)

    def pubkey(self) -> Pubkey:
        """The account's address."""
        return self._pubkey

    def sign_message(self, message: bytes) -> Signature:
        """Signature of ``message`` (0..4096 bytes) as it is."""
        return Signature.from_bytes(self._signer.sign(self._key, bytes(message)).raw)

    async def sign_message_async(self, message: bytes) -> Signature:
        """:meth:`sign_message` that lets other tasks run while a device signs."""
        signature = await asyncio.wrap_future(self._signer.submit(self._key, bytes(message)))
        return Signature.from_bytes(signature.raw)

    def presign(self, message: Any) -> Presigner:
        """What signs ``message``, a legacy or versioned one, in a transaction's constructor."""
        return Presigner(self._pubkey, self.sign_message(to_bytes_versioned(message)))

    async def presign_async(self, message: Any) -> Presigner:
        """:meth:`presign` that lets other tasks run while a device signs."""
        signature = await self.sign_message_async(to_bytes_versioned(message))
        return Presigner(self._pubkey, signature)

    def __repr__(self) -> str:
        return f"<DeviceKeypair {self._pubkey} in {self._signer.identity.name}>"
