"""Solana: messages and transactions equal those of solders."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.compute_budget import set_compute_unit_limit, set_compute_unit_price
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction

from intaglio.errors import InputError
from intaglio.orders import encode, finish, samples, solana

SAMPLES = [order for order in samples() if order["venue"] == "solana"]
ORDER = SAMPLES[0]


def sdk_message(order: dict[str, Any]) -> MessageV0:
    payer = Pubkey.from_string(order["from_pubkey"])
    instructions = []
    if "compute_unit_limit" in order:
        instructions.append(set_compute_unit_limit(order["compute_unit_limit"]))
    if "compute_unit_price" in order:
        instructions.append(set_compute_unit_price(order["compute_unit_price"]))
    recipient = Pubkey.from_string(order["to_pubkey"])
    instructions.append(
        transfer(TransferParams(from_pubkey=payer, to_pubkey=recipient, lamports=order["lamports"]))
    )
    return MessageV0.try_compile(
        payer, instructions, [], Hash.from_string(order["recent_blockhash"])
    )


@pytest.mark.parametrize("order", SAMPLES, ids=lambda order: encode(order).label)
def test_signed_sample_is_solders_transaction(order, sign, ed25519_secret):
    keypair = Keypair.from_seed(ed25519_secret)
    assert order["from_pubkey"] == str(keypair.pubkey())
    signed = VersionedTransaction(sdk_message(order), [keypair])
    assert finish(order, *sign(encode(order))) == {
        "transaction": base64.b64encode(bytes(signed)).decode(),
        "signature": str(signed.signatures[0]),
    }


keys = st.binary(min_size=32, max_size=32)
u64 = st.integers(0, 2**64 - 1)
transfers = st.fixed_dictionaries(
    {
        "from_pubkey": keys.map(lambda raw: str(Pubkey(raw))),
        "to_pubkey": keys.map(lambda raw: str(Pubkey(raw))),
        "lamports": u64,
        "recent_blockhash": keys.map(lambda raw: str(Hash(raw))),
    },
    optional={"compute_unit_limit": st.integers(0, 2**32 - 1), "compute_unit_price": u64},
)


@given(transfers)
def test_message_equals_solders(order):
    payload = encode({"venue": "solana"} | order)
    assert payload.digest is None
    assert payload.message == to_bytes_versioned(sdk_message(order))


pool = st.integers(0, 7).map(lambda i: bytes([i + 1]) * 32)
instructions = st.builds(
    solana.Instruction,
    pool,
    st.lists(st.builds(solana.Account, pool, st.booleans(), st.booleans()), max_size=5).map(tuple),
    st.binary(max_size=200),
)


@given(pool, keys, st.lists(instructions, min_size=1, max_size=4))
def test_any_instructions_compile_as_in_solders(payer, blockhash, calls):
    theirs = [
        Instruction(
            Pubkey(call.program),
            call.data,
            [AccountMeta(Pubkey(k), s, w) for k, s, w in call.accounts],
        )
        for call in calls
    ]
    expected = MessageV0.try_compile(Pubkey(payer), theirs, [], Hash(blockhash))
    assert solana.message_v0(payer, blockhash, calls) == to_bytes_versioned(expected)


def test_transfer_to_oneself():
    order = ORDER | {"to_pubkey": ORDER["from_pubkey"]}
    assert encode(order).message == to_bytes_versioned(sdk_message(order))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"to_pubkey": None}, "'to_pubkey' is missing; give 32 bytes in base58"),
        ({"to_pubkey": "0OIl"}, "'to_pubkey' is '0OIl'; give 32 bytes in base58"),
        ({"to_pubkey": ORDER["to_pubkey"][:-3]}, "'to_pubkey' is .*; give 32 bytes"),
        ({"to_pubkey": 7}, "'to_pubkey' is 7"),
        ({"lamports": 2**64}, "'lamports' is 18446744073709551616; give an integer"),
        ({"lamports": 0.5}, "'lamports' is 0.5"),
        ({"fee_payer": "x"}, "unknown field 'fee_payer'"),
    ],
)
def test_wrong_fields_are_named(change, words):
    with pytest.raises(InputError, match=words):
        encode(ORDER | change)
