"""Solana transfers as version 0 messages, with an optional priority fee.

What is signed is the serialised message itself (Ed25519, no hash): ``0x80``, the header, the
account keys, the recent blockhash, the instructions and an empty list of address table lookups;
lengths ("short vec") are base-128 varints. Field names are those of solders' ``TransferParams``.
(Source: solana.com/docs, "Transactions"; the keys stand in the order of ``MessageV0.try_compile``.)
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

from intaglio.curve import Curve
from intaglio.orders.extras import base58_decode, base58_encode
from intaglio.orders.fields import Fields, short, units
from intaglio.orders.payload import Payload, check_signature
from intaglio.orders.protobuf import varint

_VERSION_0 = b"\x80"
_SYSTEM_PROGRAM = "11111111111111111111111111111111"
_COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111"
_SYSTEM_TRANSFER = 2
_SET_COMPUTE_UNIT_LIMIT, _SET_COMPUTE_UNIT_PRICE = 2, 3


class Account(NamedTuple):
    """An account an instruction names."""

    key: bytes
    is_signer: bool
    is_writable: bool


class Instruction(NamedTuple):
    """A call of a program."""

    program: bytes
    accounts: tuple[Account, ...]
    data: bytes


def message_v0(payer: bytes, blockhash: bytes, instructions: list[Instruction]) -> bytes:
    """The version 0 message that runs ``instructions``, without address lookup tables.

    ``payer`` and ``blockhash`` are 32 bytes. The payer comes first; the other accounts follow as
    writable signers, signers, writable accounts, others, each kind in ascending order.
    """
    roles: dict[bytes, list[bool]] = {payer: [True, True]}
    for instruction in instructions:
        roles.setdefault(instruction.program, [False, False])
        for account in instruction.accounts:
            role = roles.setdefault(account.key, [False, False])
            role[0] |= account.is_signer
            role[1] |= account.is_writable
    others = sorted(
        (key for key in roles if key != payer),
        key=lambda key: (not roles[key][0], not roles[key][1], key),
    )
    keys = [payer, *others]
    index = {key: i for i, key in enumerate(keys)}
    signers = [writable for signer, writable in roles.values() if signer]
    readonly = [writable for signer, writable in roles.values() if not signer].count(False)
    parts = [
        _VERSION_0,
        bytes([len(signers), signers.count(False), readonly]),
        varint(len(keys)),
        *keys,
        blockhash,
        varint(len(instructions)),
    ]
    for instruction in instructions:
        accounts = bytes(index[account.key] for account in instruction.accounts)
        parts += [bytes([index[instruction.program]]), varint(len(accounts)), accounts]
        parts += [varint(len(instruction.data)), instruction.data]
    return b"".join([*parts, varint(0)])


def encode(order: Mapping[str, Any]) -> Payload:
    """The message to sign for a transfer dict (see the folder's README for its fields)."""
    fields = Fields("solana order", order)
    fields.take("venue", "solana", "solana")
    sender, recipient = _key(fields, "from_pubkey"), _key(fields, "to_pubkey")
    lamports = fields.integer("lamports", 64)
    blockhash = _key(fields, "recent_blockhash")
    instructions = _priority_fee(fields)
    fields.done()
    accounts = Account(sender, True, True), Account(recipient, False, True)
    data = _SYSTEM_TRANSFER.to_bytes(4, "little") + lamports.to_bytes(8, "little")
    instructions.append(Instruction(base58_decode(_SYSTEM_PROGRAM), accounts, data))
    label = f"solana transfer {units(lamports, 9)} SOL to {short(base58_encode(recipient))}"
    return Payload(Curve.ED25519, message_v0(sender, blockhash, instructions), None, label)


def finish(order: Mapping[str, Any], signature: bytes, recid: int | None = None) -> dict[str, Any]:
    """``transaction`` for ``sendTransaction`` in base64, and its ``signature`` in base58."""
    check_signature(signature, recid)
    message = encode(order).message or b""
    return {
        "transaction": base64.b64encode(varint(1) + signature + message).decode(),
        "signature": base58_encode(signature),
    }


def _priority_fee(fields: Fields) -> list[Instruction]:
    program, instructions = base58_decode(_COMPUTE_BUDGET), []
    if fields.has("compute_unit_limit"):
        limit = fields.integer("compute_unit_limit", 32)
        data = bytes([_SET_COMPUTE_UNIT_LIMIT]) + limit.to_bytes(4, "little")
        instructions.append(Instruction(program, (), data))
    if fields.has("compute_unit_price"):
        price = fields.integer("compute_unit_price", 64)
        data = bytes([_SET_COMPUTE_UNIT_PRICE]) + price.to_bytes(8, "little")
        instructions.append(Instruction(program, (), data))
    return instructions


def _key(fields: Fields, name: str) -> bytes:
    want = "32 bytes in base58, such as " + _SYSTEM_PROGRAM
    text = fields.text(name, want)
    try:
        raw = base58_decode(text)
    except ValueError:
        raise fields.fail(name, want) from None
    if len(raw) != 32:
        raise fields.fail(name, want)
    return raw
