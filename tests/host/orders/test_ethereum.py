"""Ethereum: digests and raw transactions equal those of eth-account."""

from __future__ import annotations

from typing import Any

import pytest
import rlp as reference_rlp
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from intaglio.errors import InputError
from intaglio.orders import encode, ethereum, finish, samples

SAMPLES = [order for order in samples() if order["venue"] == "ethereum"]
ORDER = SAMPLES[0]


def sdk_transaction(order: dict[str, Any]) -> dict[str, Any]:
    return {"type": 2} | {name: value for name, value in order.items() if name != "venue"}


@pytest.mark.parametrize("order", SAMPLES, ids=lambda order: encode(order).label)
def test_signed_sample_is_eth_accounts(order, sign, secp256k1_secret):
    signed = Account.sign_transaction(sdk_transaction(order), secp256k1_secret)
    expected = {
        "rawTransaction": "0x" + signed.raw_transaction.hex().removeprefix("0x"),
        "hash": "0x" + signed.hash.hex().removeprefix("0x"),
    }
    assert finish(order, *sign(encode(order))) == expected


def test_leading_zeros_of_r_and_s_are_dropped():
    raw = bytes.fromhex(
        finish(ORDER, bytes(31) + b"\x05" + bytes(30) + b"\x01\x02", 1)["rawTransaction"][2:]
    )
    assert raw.endswith(bytes.fromhex("c0 01 05 82 01 02"))


u64, u256 = st.integers(0, 2**64 - 1), st.integers(0, 2**256 - 1)
addresses = st.binary(min_size=20, max_size=20).map(to_checksum_address)
words = st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex())
transactions = st.fixed_dictionaries(
    {
        "chainId": st.integers(1, 2**64 - 1),
        "nonce": u64,
        "fees": st.tuples(u256, u256).map(sorted),
        "gas": u64,
        "to": addresses,
        "value": u256,
        "data": st.binary(max_size=300).map(lambda raw: "0x" + raw.hex()),
        "accessList": st.lists(
            st.fixed_dictionaries(
                {"address": addresses, "storageKeys": st.lists(words, max_size=3)}
            ),
            max_size=3,
        ),
    }
)


@given(transactions)
def test_digest_equals_eth_accounts(order):
    tip, cap = order.pop("fees")
    order |= {"maxPriorityFeePerGas": tip, "maxFeePerGas": cap}
    expected = TypedTransaction.from_dict(sdk_transaction(order)).hash()
    payload = encode({"venue": "ethereum"} | order)
    assert payload.message is None
    assert payload.digest == expected


items = st.recursive(
    st.binary(max_size=70) | u256, lambda inner: st.lists(inner, max_size=20), max_leaves=30
)


@given(items)
def test_rlp_equals_the_rlp_library(item):
    assert ethereum.rlp(item) == reference_rlp.encode(item)


EDGES = [
    0,
    127,
    128,
    b"",
    b"\x00",
    b"\x7f",
    b"\x80",
    *(bytes(n) for n in (55, 56, 255, 256, 65536)),
]


@pytest.mark.parametrize("item", [*EDGES, [], EDGES, [bytes(54)], [bytes(55)]], ids=range(16))
def test_rlp_at_its_edges(item):
    assert ethereum.rlp(item) == reference_rlp.encode(item)


def test_contract_creation():
    order = ORDER | {"to": None, "data": "0x6001600155"}
    expected = TypedTransaction.from_dict(sdk_transaction(order | {"to": b""})).hash()
    assert encode(order).digest == encode(order | {"to": ""}).digest == expected
    assert encode(order).label == "ethereum chain 1: create a contract with 0.5 ether"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"to": None}, "'to' is missing; give the recipient"),
        ({"to": "0x1234"}, "'to' is '0x1234'; give an address of 20 bytes"),
        ({"to": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eb48"}, "EIP-55 checksum is wrong"),
        ({"type": 1}, "'type' is 1; give 2"),
        ({"chainId": 0}, "'chainId' is 0; give an integer from 1"),
        ({"value": "1 ether"}, "'value' is '1 ether'; give an integer"),
        ({"value": -1}, "'value' is -1"),
        ({"nonce": True}, "'nonce' is True"),
        ({"data": "0xabc"}, "'data' is '0xabc'; give hexadecimal"),
        ({"maxFeePerGas": 1}, "'maxPriorityFeePerGas' is 1500000000; give at most maxFeePerGas"),
        ({"gasPrice": 1}, "unknown field 'gasPrice'"),
        ({"accessList": [{"storageKeys": []}]}, r"accessList\[0\]: field 'address' is missing"),
        (
            {"accessList": [{"address": "0x" + "11" * 20, "storageKeys": ["0x11"]}]},
            r"'storageKeys\[0\]' is '0x11'; give 32 bytes",
        ),
    ],
)
def test_wrong_fields_are_named(change, words):
    with pytest.raises(InputError, match=words):
        encode(ORDER | change)


def test_integers_may_be_text():
    assert encode(ORDER | {"value": hex(ORDER["value"])}) == encode(ORDER)
    assert encode(ORDER | {"nonce": str(ORDER["nonce"])}) == encode(ORDER)
