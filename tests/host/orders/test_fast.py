"""Fast order paths: signatures equal those of the venues' own libraries."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_utils import keccak as reference
from eth_utils import to_checksum_address
from hyperliquid.utils import signing
from hypothesis import given, settings
from hypothesis import strategies as st

import intaglio
from intaglio import Curve, Signature
from intaglio.errors import InputError
from intaglio.orders import encode, keccak, samples
from intaglio.orders.fast import Eip1559, HyperliquidSigner, l1_digest, l1_signature
from intaglio.orders.hyperliquid import parse

SECRET = bytes(range(1, 33))
ACCOUNT = Account.from_key(SECRET)
HYPERLIQUID = [order for order in samples() if order["venue"] == "hyperliquid"]
TO = "0xF0109fC8DF283027b6285cc889F5aA624EaC1F55"
TRANSACTION = {
    "type": 2,
    "chainId": 1,
    "nonce": 7,
    "maxPriorityFeePerGas": 10**8,
    "maxFeePerGas": 10**9,
    "gas": 21000,
    "to": TO,
    "value": 1,
}


@pytest.fixture(params=["soft:", "model:"])
def trader(request):
    with intaglio.open(request.param) as signer:
        yield HyperliquidSigner(signer, signer.load_key(Curve.SECP256K1, SECRET))


@pytest.mark.parametrize("order", HYPERLIQUID)
async def test_hyperliquid_equals_the_sdk(trader, order):
    item = parse(order)
    rest = item.vault_address, item.nonce, item.expires_after, item.is_mainnet
    expected = signing.sign_l1_action(ACCOUNT, item.action, *rest)
    vault, nonce, expiry, mainnet = rest
    assert trader.sign_l1_action(item.action, nonce, vault, expiry, mainnet) == expected
    assert await trader.sign_l1_action_async(item.action, nonce, vault, expiry, mainnet) == expected
    assert l1_digest(item.action, nonce, vault, expiry, mainnet) == encode(order).digest


def test_hyperliquid_strips_leading_zeros_as_the_sdk_does():
    raw = bytes(2) + b"\x01" * 62
    signature = l1_signature(Signature(raw, Curve.SECP256K1, 1))
    assert signature == {"r": "0x1" + "01" * 29, "s": "0x1" + "01" * 31, "v": 28}


def test_hyperliquid_takes_no_ed25519_key():
    with intaglio.open() as signer:
        key = signer.load_key(Curve.ED25519, SECRET)
        with pytest.raises(InputError, match="secp256k1"):
            HyperliquidSigner(signer, key)


integers = st.one_of(st.integers(0, 300), st.integers(0, 2**256 - 1))
addresses = st.binary(min_size=20, max_size=20).flatmap(
    lambda raw: st.sampled_from([raw, to_checksum_address(raw)])
)
access_lists = st.lists(
    st.fixed_dictionaries(
        {
            "address": st.binary(min_size=20, max_size=20).map(to_checksum_address),
            "storageKeys": st.lists(
                st.binary(min_size=32, max_size=32).map(lambda raw: "0x" + raw.hex()), max_size=2
            ),
        }
    ),
    max_size=3,
)
transactions = st.fixed_dictionaries(
    {
        "chainId": integers,
        "nonce": st.one_of(integers, integers.map(hex)),
        "maxPriorityFeePerGas": integers,
        "maxFeePerGas": integers,
        "gas": integers,
        "to": st.one_of(addresses, st.just(b"")),
        "type": st.sampled_from([2, "0x2"]),
    },
    optional={
        "value": integers,
        "data": st.one_of(
            st.binary(max_size=300), st.binary(max_size=60).map(lambda raw: "0x" + raw.hex())
        ),
        "accessList": access_lists,
    },
)


@settings(max_examples=60, deadline=None)
@given(transactions)
def test_eip1559_equals_eth_account(transaction):
    with intaglio.open() as signer:
        key = signer.load_key(Curve.SECP256K1, SECRET)
        encoded = Eip1559.parse(transaction)
        raw = encoded.signed(signer.sign(key, digest=encoded.digest()))
    assert raw == ACCOUNT.sign_transaction(transaction).raw_transaction


def test_eip1559_of_short_and_long_r():
    encoded = Eip1559.parse(TRANSACTION)
    for r in (1, 0x7F, 0x80, 2**248, 2**255):
        raw = r.to_bytes(32, "big") + b"\x01" * 32
        signed = encoded.signed(Signature(raw, Curve.SECP256K1, 0))
        size = (r.bit_length() + 7) // 8
        tail = bytes([r]) if r < 0x80 else bytes([0x80 + size]) + r.to_bytes(size, "big")
        assert signed.endswith(b"\x80" + tail + b"\xa0" + b"\x01" * 32)


@pytest.mark.parametrize(
    "change",
    [
        {"type": 1},
        {"gasPrice": 1},
        {"nonce": -1},
        {"nonce": True},
        {"nonce": None},
        {"nonce": "7"},
        {"nonce": "0xg"},
        {"value": 2**256},
        {"to": None},
        {"to": TO[2:]},
        {"to": TO.replace("C", "c")},
        {"to": bytes(19)},
        {"data": "text"},
        {"data": "0x123"},
        {"accessList": [{"address": TO}]},
        {"accessList": [{"address": TO, "storageKeys": ["0x01"]}]},
        {"accessList": 5},
    ],
)
def test_eip1559_refuses_what_it_does_not_know(change):
    with pytest.raises(InputError, match=r"transaction|typed data"):
        Eip1559.parse(TRANSACTION | change)


@pytest.mark.parametrize("size", [0, 1, 135, 136, 137, 1000])
def test_keccak_equals_eth_utils(size):
    data = bytes(i & 255 for i in range(size))
    chosen = keccak.implementation()
    assert [chosen(data), keccak._pycryptodome()(data)] == [reference(data)] * 2


def test_keccak_without_pycryptodomes_c_functions(monkeypatch):
    monkeypatch.setattr("Crypto.Util._raw_api.backend", "ctypes")
    assert keccak._pycryptodome()(b"abc") == reference(b"abc")
