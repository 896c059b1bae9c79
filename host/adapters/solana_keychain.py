"""A backend for solana-keychain.

>>> import asyncio
>>> from intaglio.adapters.solana_keychain import DeviceSigner
>>> signer = DeviceSigner("soft:", bytes(range(32)))
>>> signature = asyncio.run(signer.sign_message(b"order"))
>>> signature.verify(signer.pubkey, b"order")
True
"""

from __future__ import annotations

from solana_keychain.core.signer import SignedTransaction, TransactionSigner
from solana_keychain.core.transaction_util import (
    add_signature_to_transaction,
    classify_signed_transaction,
    serialize_transaction,
    signed_message_bytes,
)
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from intaglio.adapters.solders import DeviceKeypair
from intaglio.errors import IntaglioError
from intaglio.signer import Secret, Signer
from intaglio.values import Key


class DeviceSigner(TransactionSigner):
    """An Ed25519 key of ``signer`` (a signer or a device URL).

    ``key`` is one the signer holds, or 32 secret bytes, which are loaded into it.
    """

    def __init__(self, signer: Signer | str, key: Key | Secret) -> None:
        self._keypair = DeviceKeypair(signer, key)

    def __repr__(self) -> str:
        return f"DeviceSigner(pubkey={self.pubkey})"

    @property
    def pubkey(self) -> Pubkey:
        return self._keypair.pubkey()

    async def sign_message(self, message: bytes) -> Signature:
        return await self._keypair.sign_message_async(message)

    async def sign_transaction(self, transaction: VersionedTransaction) -> SignedTransaction:
        signature = await self.sign_message(signed_message_bytes(transaction.message))
        add_signature_to_transaction(transaction, self.pubkey, signature)
        return classify_signed_transaction(
            transaction, serialize_transaction(transaction), signature
        )

    async def is_available(self) -> bool:
        """Whether the device signs: asked of it by a signature of nothing."""
        try:
            await self._keypair.sign_message_async(b"")
        except IntaglioError:
            return False
        return True
