"""Hyperliquid: digests and request bodies equal those of hyperliquid-python-sdk."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from hyperliquid.exchange import Exchange
from hyperliquid.utils import signing
from hyperliquid.utils.constants import MAINNET_API_URL, TESTNET_API_URL
from hyperliquid.utils.types import Cloid
from hypothesis import given
from hypothesis import strategies as st

from intaglio.errors import InputError
from intaglio.orders import encode, finish, hyperliquid, samples

SAMPLES = [order for order in samples() if order["venue"] == "hyperliquid"]
ORDER = SAMPLES[0]


def sdk_digest(action: dict[str, Any], order: dict[str, Any]) -> bytes:
    """The SDK's digest of an action sent with an order's nonce, vault, expiry and network."""
    vault, expiry = order.get("vault_address"), order.get("expires_after")
    connection_id = signing.action_hash(action, vault, order["nonce"], expiry)
    agent = signing.construct_phantom_agent(connection_id, order.get("is_mainnet", True))
    signable = encode_typed_data(full_message=signing.l1_payload(agent))
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def sdk_request(item: dict[str, Any]) -> dict[str, Any]:
    """One order of ours as the SDK takes it: floats and a Cloid object."""
    kind = item.get("order_type", {"limit": {"tif": "Gtc"}})
    if "trigger" in kind:
        kind = {"trigger": kind["trigger"] | {"triggerPx": float(kind["trigger"]["triggerPx"])}}
    return {
        "coin": item["coin"],
        "is_buy": item["is_buy"],
        "sz": float(item["sz"]),
        "limit_px": float(item["limit_px"]),
        "order_type": kind,
        "reduce_only": item.get("reduce_only", False),
        "cloid": Cloid(item["cloid"]) if item.get("cloid") else None,
    }


def sdk_body(order: dict[str, Any], secret: bytes) -> dict[str, Any]:
    """What the SDK's Exchange posts for an order, the network left out."""
    universe = [{"name": name, "szDecimals": 2} for name in ("BTC", "ETH", "X", "Y", "Z", "SOL")]
    exchange = Exchange(
        Account.from_key(secret),
        MAINNET_API_URL if order.get("is_mainnet", True) else TESTNET_API_URL,
        meta={"universe": universe},
        spot_meta={"universe": [], "tokens": []},
        vault_address=order.get("vault_address", "").lower() or None,
    )
    exchange.set_expires_after(order.get("expires_after"))
    with (
        patch.object(exchange, "post", side_effect=lambda _, body: body),
        patch("hyperliquid.exchange.get_timestamp_ms", return_value=order["nonce"]),
    ):
        if "action" in order:
            (cancel,) = order["action"]["cancels"]
            return exchange.cancel(universe[cancel["a"]]["name"], cancel["o"])
        requests = [sdk_request(item) for item in order.get("orders", [order])]
        return exchange.bulk_orders(requests, order.get("builder"), order.get("grouping", "na"))


@pytest.mark.parametrize("order", SAMPLES, ids=lambda order: encode(order).label)
def test_signed_sample_is_what_the_sdk_posts(order, sign, secp256k1_secret):
    assert finish(order, *sign(encode(order))) == sdk_body(order, secp256k1_secret)


def test_builder_and_priority_grouping(sign, secp256k1_secret):
    address = "0x8c967e73e7b15087c42a10d344cff4c96d877f1d"
    order = ORDER | {"builder": {"b": address, "f": 10}, "grouping": {"p": 3}}
    assert finish(order, *sign(encode(order))) == sdk_body(order, secp256k1_secret)


def test_leading_zeros_of_r_and_s_are_dropped():
    body = finish(ORDER, bytes(31) + b"\x05" + bytes(30) + b"\x01\x02", 1)
    assert body["signature"] == {"r": "0x5", "s": "0x102", "v": 28}


numbers = st.decimals(0, 1_000_000, places=8, allow_nan=False)
u64 = st.integers(0, 2**64 - 1)
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
limits = st.fixed_dictionaries(
    {"limit": st.fixed_dictionaries({"tif": st.sampled_from(["Gtc", "Ioc", "Alo"])})}
)
triggers = st.fixed_dictionaries(
    {
        "trigger": st.fixed_dictionaries(
            {
                "isMarket": st.booleans(),
                "triggerPx": numbers.map(str),
                "tpsl": st.sampled_from(["tp", "sl"]),
            }
        )
    }
)
items = st.fixed_dictionaries(
    {
        "coin": st.just("ETH"),
        "asset": st.integers(0, 2**32 - 1),
        "is_buy": st.booleans(),
        "sz": numbers.map(str),
        "limit_px": numbers.map(str),
        "reduce_only": st.booleans(),
    },
    optional={
        "order_type": limits | triggers,
        "cloid": st.integers(0, 2**128 - 1).map(lambda n: f"{n:#034x}"),
    },
)
orders = st.fixed_dictionaries(
    {"orders": st.lists(items, min_size=1, max_size=3), "nonce": u64, "is_mainnet": st.booleans()},
    optional={"vault_address": addresses, "expires_after": u64},
)


@given(orders)
def test_digest_equals_the_sdks(order):
    wires = [
        signing.order_request_to_order_wire(sdk_request(i), i["asset"]) for i in order["orders"]
    ]
    action = signing.order_wires_to_order_action(wires)
    payload = encode({"venue": "hyperliquid"} | order)
    assert payload.message is None
    assert payload.digest == sdk_digest(action, order)


@given(st.floats(0, 1e6) | numbers.map(float))
def test_floats_are_written_or_refused_as_the_sdk_does(value):
    try:
        expected = signing.float_to_wire(value)
    except ValueError:
        with pytest.raises(InputError, match="at most 8 decimals"):
            encode(ORDER | {"sz": value})
    else:
        assert hyperliquid.parse(ORDER | {"sz": value}).action["orders"][0]["s"] == expected


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=6), json_values, max_size=4), u64)
def test_any_action_equals_the_sdks(rest, nonce):
    action = rest | {"type": "scheduleCancel"}
    order = {"venue": "hyperliquid", "action": action, "nonce": nonce}
    assert encode(order).digest == sdk_digest(action, order)


def test_label():
    assert encode(ORDER).label == "hyperliquid buy 0.1 ETH @ 1800"
    assert encode(ORDER | {"sz": Decimal("0.10"), "limit_px": 1800.0}).label == encode(ORDER).label


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sz": "0.000000001"}, "'sz' is '0.000000001'; give a number of at most 8 decimals"),
        ({"sz": "-1"}, "'sz' is '-1'"),
        ({"sz": "1e40"}, "'sz' is '1e40'; give a number below"),
        ({"sz": "much"}, "'sz' is 'much'"),
        ({"limit_px": True}, "'limit_px' is True"),
        ({"limit_px": float("nan")}, "'limit_px' is nan"),
        ({"nonce": None}, "'nonce' is missing"),
        ({"nonce": 2**64}, "'nonce' is 18446744073709551616; give an integer from 0 to 2.64 - 1"),
        ({"asset": 1.0}, "'asset' is 1.0; give an integer"),
        ({"is_buy": "yes"}, "'is_buy' is 'yes'; give true or false"),
        ({"is_sell": True}, "unknown field 'is_sell'; known are action"),
        ({"order_type": {"limit": {"tif": "Fok"}}}, "order_type: limit: field 'tif' is 'Fok'"),
        ({"order_type": {}}, "either 'limit' or 'trigger'"),
        ({"cloid": "0x12"}, "'cloid' is '0x12'; give 16 bytes"),
        ({"vault_address": "0x12"}, "'vault_address' is '0x12'; give an address of 20 bytes"),
        ({"orders": []}, "'orders' is .*; give at least one order"),
        ({"orders": [1]}, r"orders\[0\] is 1; give an object"),
        ({"orders": 1}, "'orders' is 1; give a list"),
        ({"action": {"type": "cancel"}}, "unknown field 'asset'; known are action, expires_after"),
        ({"grouping": "all"}, "'grouping' is 'all'; give one of na"),
    ],
)
def test_wrong_fields_are_named(change, words):
    with pytest.raises(InputError, match=words):
        encode(ORDER | change)


def test_action_that_messagepack_cannot_hold():
    action = {"type": "x", "y": 2**64}
    with pytest.raises(InputError, match=r"field 'action' .*numbers below 2\^64"):
        encode({"venue": "hyperliquid", "action": action, "nonce": 1})


@pytest.mark.parametrize("recid", [None, 2, 3])
def test_recovery_id_must_be_a_parity(recid):
    with pytest.raises(InputError, match=f"recovery id {recid} was given; this venue needs 0 or 1"):
        finish(ORDER, bytes(64), recid)
