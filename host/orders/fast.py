"""The shortest way from an order to its signature: what does not change is computed once.

    trader = HyperliquidSigner(signer, key)
    signature = trader.sign_l1_action(action, nonce)           # {"r": "0x..", "s": "0x..", "v": 27}

    transaction = Eip1559.parse({"chainId": 1, "nonce": 7, ...})
    raw = transaction.signed(signer.sign(key, digest=transaction.digest()))

The bytes signed equal those of :mod:`intaglio.orders` and of the venues' own libraries. Checks are
those that cost little: an action is signed as given, so build it with the venue's own types.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.orders import hyperliquid
from intaglio.orders.eip712 import address
from intaglio.orders.ethereum import rlp
from intaglio.orders.extras import keccak256, load
from intaglio.orders.fields import show
from intaglio.orders.keccak import Keccak, implementation
from intaglio.signer import Signer
from intaglio.values import Key, Signature

_TYPE = b"\x02"
_INTEGERS = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas")
_KNOWN = frozenset((*_INTEGERS, "type", "to", "value", "data", "accessList"))
_MOST = 1 << 256


@cache
def _l1_parts() -> tuple[Keccak, Callable[[Any], bytes], bytes, bytes, bytes]:
    """keccak, MessagePack, ``19 01 || domain``, and ``Agent``'s first two words by network."""
    domain, agent = hyperliquid.constants()
    mainnet, testnet = agent + keccak256(b"a"), agent + keccak256(b"b")
    return implementation(), load("msgpack").packb, b"\x19\x01" + domain, mainnet, testnet


def l1_digest(
    action: Any,
    nonce: int,
    vault_address: str | None = None,
    expires_after: int | None = None,
    is_mainnet: bool = True,
) -> bytes:
    """The 32 bytes to sign for an L1 action. Times are in milliseconds."""
    keccak, pack, prefix, mainnet, testnet = _l1_parts()
    data = pack(action) + nonce.to_bytes(8, "big")
    if vault_address is None:
        data += b"\x00"
    else:
        data += b"\x01" + bytes.fromhex(vault_address.removeprefix("0x"))
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(8, "big")
    return keccak(prefix + keccak((mainnet if is_mainnet else testnet) + keccak(data)))


def l1_signature(signature: Signature) -> dict[str, Any]:
    """A signature as Hyperliquid takes it; ``r`` and ``s`` lose leading zeros as in the SDK."""
    raw = signature.raw
    return {
        "r": hex(int.from_bytes(raw[:32], "big")),
        "s": hex(int.from_bytes(raw[32:], "big")),
        "v": 27 + signature.recid_bit,
    }


class HyperliquidSigner:
    """Signs Hyperliquid's L1 actions with one secp256k1 key of a signer."""

    __slots__ = ("_key", "_signer")

    def __init__(self, signer: Signer, key: Key) -> None:
        if key.curve is not Curve.SECP256K1:
            raise InputError(f"Hyperliquid takes secp256k1 signatures, not {key.curve.value}")
        self._signer = signer
        self._key = key

    def sign_l1_action(
        self,
        action: Any,
        nonce: int,
        vault_address: str | None = None,
        expires_after: int | None = None,
        is_mainnet: bool = True,
    ) -> dict[str, Any]:
        """What the SDK's function of that name returns: ``r`` and ``s`` in hexadecimal, ``v``."""
        digest = l1_digest(action, nonce, vault_address, expires_after, is_mainnet)
        return l1_signature(self._signer.sign(self._key, digest=digest))

    async def sign_l1_action_async(
        self,
        action: Any,
        nonce: int,
        vault_address: str | None = None,
        expires_after: int | None = None,
        is_mainnet: bool = True,
    ) -> dict[str, Any]:
        """:meth:`sign_l1_action` that lets other tasks run while a device signs."""
        digest = l1_digest(action, nonce, vault_address, expires_after, is_mainnet)
        future = self._signer.submit(self._key, digest=digest)
        return l1_signature(await asyncio.wrap_future(future))


class Eip1559:
    """A type 2 transaction, encoded once for its digest and for its signed form."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        """``body``: the RLP of the nine fields one after another, without the list's prefix."""
        self._body = body

    @classmethod
    def parse(cls, transaction: Mapping[str, Any]) -> Eip1559:
        """Encodes a dict with the fields of JSON-RPC: integers as such or as ``0x`` text.

        ``value`` is 0, ``data`` and ``accessList`` are empty if they are left out; ``to`` must be
        given, ``b""`` to create a contract. Raises :class:`InputError` for anything else.
        """
        if not transaction.keys() <= _KNOWN or transaction.get("type", 2) not in (2, "0x2"):
            known = ", ".join(sorted(_KNOWN))
            raise InputError(
                f"transaction of type {transaction.get('type', 2)!r} with the fields "
                f"{', '.join(map(str, transaction))}; give type 2 and no others than {known}"
            )
        parts = [_integer(name, transaction.get(name)) for name in _INTEGERS]
        parts.append(_recipient(transaction.get("to")))
        parts.append(_integer("value", transaction.get("value", 0)))
        parts.append(_string(_data(transaction.get("data", b""))))
        access = transaction.get("accessList")
        parts.append(_access_list(access) if access else b"\xc0")
        return cls(b"".join(parts))

    def digest(self) -> bytes:
        """The 32 bytes to sign."""
        return implementation()(_TYPE + _list(self._body))

    def signed(self, signature: Signature) -> bytes:
        """The signed transaction for ``eth_sendRawTransaction``."""
        r, s = signature.raw[:32].lstrip(b"\0"), signature.raw[32:].lstrip(b"\0")
        parity = b"\x01" if signature.recid_bit else b"\x80"
        return _TYPE + _list(self._body + parity + _string(r) + _string(s))


def _integer(name: str, value: Any) -> bytes:
    number = value
    if type(value) is str and value.startswith("0x"):
        try:
            number = int(value, 16)
        except ValueError:
            number = None
    if type(number) is not int or not 0 <= number < _MOST:
        raise InputError(
            f"transaction: field {name!r} is {show(value)}; give an integer from 0 to 2^256 - 1"
        )
    if number < 0x80:
        return bytes((number,)) if number else b"\x80"
    size = (number.bit_length() + 7) >> 3
    return bytes((0x80 + size,)) + number.to_bytes(size, "big")


def _recipient(to: Any) -> bytes:
    if isinstance(to, bytes) and len(to) in (0, 20):
        return _string(to)
    if not isinstance(to, str) or not to.startswith("0x"):
        raise InputError(f"transaction: field 'to' is {show(to)}; give a 0x address")
    return b"\x94" + address(to)


def _data(value: Any) -> bytes:
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise InputError(f"transaction: field 'data' is {show(value)}; give bytes or 0x text")


def _access_list(entries: Any) -> bytes:
    """EIP-2930: addresses, each with its storage keys of 32 bytes."""
    try:
        return rlp(
            [
                [address(entry["address"]), [_storage_key(key) for key in entry["storageKeys"]]]
                for entry in entries
            ]
        )
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"transaction: field 'accessList' is {show(entries)}; "
            "give a list of objects with 'address' and 'storageKeys'"
        ) from None


def _storage_key(value: Any) -> bytes:
    key = _data(value)
    if len(key) != 32:
        raise InputError(f"transaction: storage key {show(value)} must have 32 bytes")
    return key


def _string(data: bytes) -> bytes:
    size = len(data)
    if size < 56:
        return data if size == 1 and data[0] < 0x80 else bytes((0x80 + size,)) + data
    return rlp(data)


def _list(body: bytes) -> bytes:
    size = len(body)
    if size < 56:
        return bytes((0xC0 + size,)) + body
    length = size.to_bytes((size.bit_length() + 7) >> 3, "big")
    return bytes((0xF7 + len(length),)) + length + body
