"""Ethereum EIP-1559 transactions (type 2), on any EVM chain.

What is signed (EIP-1559, EIP-2718, EIP-2930)::

    keccak(0x02 || rlp([chainId, nonce, maxPriorityFeePerGas, maxFeePerGas, gas, to, value, data,
                        accessList]))

Field names are those of JSON-RPC, web3 and eth-account.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intaglio.curve import Curve
from intaglio.orders.extras import keccak256
from intaglio.orders.fields import Fields, short, units
from intaglio.orders.payload import Payload, check_signature

_TYPE = b"\x02"

Rlp = bytes | int | list["Rlp"]
"""What RLP encodes: byte strings, unsigned integers and lists of them."""


def rlp(item: Rlp) -> bytes:
    """Recursive length prefix encoding (Ethereum yellow paper, appendix B)."""
    if isinstance(item, list):
        return _prefixed(0xC0, b"".join(map(rlp, item)))
    raw = item if isinstance(item, bytes) else item.to_bytes((item.bit_length() + 7) // 8, "big")
    return raw if len(raw) == 1 and raw[0] < 0x80 else _prefixed(0x80, raw)


def _prefixed(offset: int, body: bytes) -> bytes:
    if len(body) < 56:
        return bytes([offset + len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([offset + 55 + len(length)]) + length + body


def encode(order: Mapping[str, Any]) -> Payload:
    """The digest to sign for a transaction dict (see the folder's README for its fields)."""
    fields, label = _parse(order)
    return Payload(Curve.SECP256K1, None, keccak256(_TYPE + rlp(fields)), label)


def finish(order: Mapping[str, Any], signature: bytes, recid: int | None = None) -> dict[str, Any]:
    """``rawTransaction`` for ``eth_sendRawTransaction`` and its ``hash``, in hexadecimal."""
    parity = check_signature(signature, recid, needs_recid=True)
    fields, _ = _parse(order)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    raw = _TYPE + rlp([*fields, parity, r, s])
    return {"rawTransaction": "0x" + raw.hex(), "hash": "0x" + keccak256(raw).hex()}


def _parse(order: Mapping[str, Any]) -> tuple[list[Rlp], str]:
    """The transaction's fields in the order they are signed, and a label."""
    fields = Fields("ethereum order", order)
    fields.take("venue", "ethereum", "ethereum")
    if fields.integer("type", 8, 2) != 2:
        raise fields.fail("type", "2: only EIP-1559 transactions are encoded")
    chain = fields.integer("chainId", 64, least=1)
    nonce = fields.integer("nonce", 64)
    tip = fields.integer("maxPriorityFeePerGas", 256)
    cap = fields.integer("maxFeePerGas", 256)
    if tip > cap:
        raise fields.fail("maxPriorityFeePerGas", f"at most maxFeePerGas, which is {cap}")
    gas = fields.integer("gas", 64)
    value = fields.integer("value", 256, 0)
    data = fields.data("data", "hexadecimal text", b"")
    created = fields.take("to", "an address", b"") in ("", "0x", b"")
    if created and not data:
        raise fields.fail("to", "the recipient's address, or 'data' to create a contract")
    to = b"" if created else fields.evm_address("to")
    access = _access_list(fields)
    fields.done()
    label = _label(chain, to, value, data)
    return [chain, nonce, tip, cap, gas, to, value, data, access], label


def _access_list(fields: Fields) -> Rlp:
    """EIP-2930: a list of addresses, each with its 32-byte storage keys."""
    entries: list[Rlp] = []
    for entry in fields.each("accessList", []):
        keys: list[Rlp] = []
        for i, key in enumerate(entry.listing("storageKeys")):
            name = f"storageKeys[{i}]"
            keys.append(
                Fields("ethereum order: accessList", {name: key}).data(
                    name, "32 bytes in hexadecimal", sizes=(32,)
                )
            )
        entries.append([entry.evm_address("address"), keys])
        entry.done()
    return entries


def _label(chain: int, to: bytes, value: int, data: bytes) -> str:
    amount = f"{units(value, 18)} ether"
    if not to:
        text = f"create a contract with {amount}"
    elif len(data) >= 4:
        text = f"call 0x{data[:4].hex()} of {short('0x' + to.hex())} with {amount}"
    else:
        text = f"send {amount} to {short('0x' + to.hex())}"
    return f"ethereum chain {chain}: {text}"
