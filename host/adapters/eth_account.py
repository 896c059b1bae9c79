"""An eth-account ``LocalAccount`` whose key is in a device, and which signs several times faster.

>>> from intaglio.adapters.eth_account import DeviceAccount
>>> account = DeviceAccount("soft:", bytes(31) + b"\\x01")
>>> account.address
'0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf'
>>> transaction = {"type": 2, "chainId": 1, "nonce": 0, "gas": 21000, "to": account.address,
...                "maxFeePerGas": 10**9, "maxPriorityFeePerGas": 10**8}
>>> account.sign_transaction(transaction).hash.hex()[:8]
'3631c55e'

Typed data and EIP-1559 transactions take the fast paths of :mod:`intaglio.orders`; whatever those
refuse (other transaction types, values that need coercion) goes through eth-account's own encoder,
so results and errors are its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NoReturn

from eth_account import Account
from eth_account.datastructures import SignedMessage, SignedTransaction
from eth_account.messages import SignableMessage, _hash_eip191_message, encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_keys.datatypes import PrivateKey
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes

from intaglio.adapters.devices import handle, hold, in_device
from intaglio.adapters.eth_keys import Backend
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.orders import eip712
from intaglio.orders.extras import keccak256
from intaglio.orders.fast import Eip1559
from intaglio.signer import Secret, Signer
from intaglio.values import Key, Signature

_new_bytes = bytes.__new__


class DeviceAccount(LocalAccount):
    """An account with one secp256k1 key of ``signer`` (a signer or a device URL).

    ``key`` is one the signer holds, or 32 secret bytes, which are loaded into it. ``account.key``
    and whatever else would show the private key raise :class:`PermissionError`.
    """

    def __init__(self, signer: Signer | str, key: Key | Secret) -> None:
        self.signer, self.device_key = hold(signer, Curve.SECP256K1, key)
        public = self.device_key.public_key_uncompressed[1:]
        self._address = to_checksum_address(keccak256(public)[-20:])
        self._publicapi = Account()
        self._stock: PrivateKey | None = None

    @property
    def key(self) -> NoReturn:
        """The private key is in the device: raises :class:`PermissionError`."""
        raise in_device()

    def encrypt(self, *_: Any, **__: Any) -> NoReturn:
        """The private key is in the device: raises :class:`PermissionError`."""
        raise in_device()

    def __bytes__(self) -> NoReturn:
        raise in_device()

    def __repr__(self) -> str:
        return f"<DeviceAccount {self._address} in {self._where}>"

    def unsafe_sign_hash(self, message_hash: Any) -> SignedMessage:
        digest = HexBytes(message_hash)
        if len(digest) != 32:
            raise ValueError("The message hash must be exactly 32-bytes")
        return self._signed(bytes(digest))

    def sign_message(self, signable_message: SignableMessage) -> SignedMessage:
        return self._signed(bytes(_hash_eip191_message(signable_message)))

    def sign_typed_data(
        self,
        domain_data: dict[str, Any] | None = None,
        message_types: dict[str, Any] | None = None,
        message_data: dict[str, Any] | None = None,
        full_message: dict[str, Any] | None = None,
    ) -> SignedMessage:
        return self._signed(typed_digest(domain_data, message_types, message_data, full_message))

    def sign_transaction(
        self, transaction_dict: Mapping[str, Any], blobs: Any = None
    ) -> SignedTransaction:
        encoded = self._encode(transaction_dict, blobs)
        if encoded is None:
            stock: SignedTransaction = self._publicapi.sign_transaction(
                transaction_dict, self._stock_key(), blobs=blobs
            )
            return stock
        return _signed_transaction(
            encoded, self.signer.sign(self.device_key, digest=encoded.digest())
        )

    def sign_authorization(self, authorization: dict[str, Any]) -> Any:
        return self._publicapi.sign_authorization(authorization, self._stock_key())

    async def sign_message_async(self, signable_message: SignableMessage) -> SignedMessage:
        """:meth:`sign_message` that lets other tasks run while a device signs."""
        return await self._signed_async(bytes(_hash_eip191_message(signable_message)))

    async def sign_typed_data_async(
        self,
        domain_data: dict[str, Any] | None = None,
        message_types: dict[str, Any] | None = None,
        message_data: dict[str, Any] | None = None,
        full_message: dict[str, Any] | None = None,
    ) -> SignedMessage:
        """:meth:`sign_typed_data` that lets other tasks run while a device signs."""
        digest = typed_digest(domain_data, message_types, message_data, full_message)
        return await self._signed_async(digest)

    async def sign_transaction_async(
        self, transaction_dict: Mapping[str, Any], blobs: Any = None
    ) -> SignedTransaction:
        """:meth:`sign_transaction` that lets other tasks run while a device signs."""
        encoded = self._encode(transaction_dict, blobs)
        if encoded is None:
            return await asyncio.to_thread(self.sign_transaction, transaction_dict, blobs)
        future = self.signer.submit(self.device_key, digest=encoded.digest())
        return _signed_transaction(encoded, await asyncio.wrap_future(future))

    @property
    def _where(self) -> str:
        return self.signer.identity.name

    def _encode(self, transaction: Mapping[str, Any], blobs: Any) -> Eip1559 | None:
        """``transaction`` by the fast path, or ``None`` if it has to go the stock way."""
        try:
            if "from" in transaction and transaction["from"] == self._address:
                transaction = {name: value for name, value in transaction.items() if name != "from"}
            return Eip1559.parse(transaction) if blobs is None else None
        except (InputError, TypeError, AttributeError):
            return None

    def _stock_key(self) -> PrivateKey:
        """An eth-keys key for eth-account's own code: a handle, which signs in the device."""
        if self._stock is None:
            self._stock = PrivateKey(handle(self.signer, self.device_key), Backend(self.signer))
        return self._stock

    def _signed(self, digest: bytes) -> SignedMessage:
        return _signed_message(digest, self.signer.sign(self.device_key, digest=digest))

    async def _signed_async(self, digest: bytes) -> SignedMessage:
        future = self.signer.submit(self.device_key, digest=digest)
        return _signed_message(digest, await asyncio.wrap_future(future))


def typed_digest(
    domain_data: dict[str, Any] | None = None,
    message_types: dict[str, Any] | None = None,
    message_data: dict[str, Any] | None = None,
    full_message: dict[str, Any] | None = None,
) -> bytes:
    """The EIP-712 digest that eth-account signs for these arguments of ``sign_typed_data``."""
    domain: Any
    types: Any
    try:
        if full_message is None:
            domain, types, message, primary = domain_data, message_types, message_data, None
        elif domain_data is None and message_types is None and message_data is None:
            domain, types, message = (full_message[part] for part in ("domain", "types", "message"))
            primary = full_message.get("primaryType")
        else:
            raise InputError("give either full_message or the three others")
        if full_message is None and types is not None and eip712.DOMAIN in types:
            raise InputError("only a full message may describe EIP712Domain")
        struct = eip712.compiled(types)
        if primary not in (None, struct.root):
            raise InputError("the primary type must be the one that no other refers to")
        return struct.digest(domain, message)
    except (InputError, KeyError, TypeError, AttributeError):
        signable = encode_typed_data(domain_data, message_types, message_data, full_message)
        return bytes(_hash_eip191_message(signable))


def _hex_bytes(data: bytes) -> HexBytes:
    """``HexBytes(data)`` without its search for what kind of value it was given."""
    return _new_bytes(HexBytes, data)


def _signed_message(digest: bytes, signature: Signature) -> SignedMessage:
    v = 27 + signature.recid_bit
    return SignedMessage(
        message_hash=_hex_bytes(digest),
        r=signature.r,
        s=signature.s,
        v=v,
        signature=_hex_bytes(signature.raw + bytes((v,))),
    )


def _signed_transaction(encoded: Eip1559, signature: Signature) -> SignedTransaction:
    raw = encoded.signed(signature)
    return SignedTransaction(
        raw_transaction=_hex_bytes(raw),
        hash=_hex_bytes(keccak256(raw)),
        r=signature.r,
        s=signature.s,
        v=signature.recid_bit,
    )
