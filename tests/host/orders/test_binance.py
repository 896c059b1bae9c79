"""Binance: query strings and signatures equal those of binance-common, under every connector."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from binance_common.configuration import ConfigurationRestAPI
from binance_common.signature import Signers
from binance_common.utils import encoded_string, send_request
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from intaglio.errors import InputError
from intaglio.orders import encode, finish, samples

SAMPLES = [order for order in samples() if order["venue"] == "binance"]
ORDER = SAMPLES[0]


def parameters(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order.items() if name != "venue"}


class Session:
    """Stands for the connection: keeps the query of the one request made."""

    query: str

    def request(self, *, params: str, **_: Any) -> SimpleNamespace:
        self.query = params
        return SimpleNamespace(status_code=200, text="{}", headers={}, json=dict)


@pytest.mark.parametrize("order", SAMPLES, ids=lambda order: encode(order).label)
def test_signed_sample_is_what_the_connector_sends(order, sign, ed25519_secret):
    pem = Ed25519PrivateKey.from_private_bytes(ed25519_secret).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    configuration = ConfigurationRestAPI(
        "id", private_key=pem.decode(), base_path="https://api.binance.com"
    )
    configuration.base_headers = {}
    session = Session()
    send_request(
        session,
        configuration,
        "POST",
        "/api/v3/order",
        payload=parameters(order),
        is_signed=True,
        signer=Signers.get_ed25519_signer(pem.decode(), None),
    )
    finished = finish(order, *sign(encode(order)))
    assert finished["query"] == session.query
    assert [finished["signature"]] == parse_qs(session.query)["signature"]


names = st.sampled_from(
    ["timeInForce", "time_in_force", "newClientOrderId", "stopPrice", "stop_price", "price", "rest"]
)
text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
decimals = st.decimals(0, 10**6, places=8, allow_nan=False).filter(lambda d: "E" not in str(d))
values = text | st.integers(-(2**63), 2**63) | st.booleans() | decimals | st.none()
rests = st.dictionaries(names, values, max_size=5)


@given(rests, text, st.sampled_from(["BUY", "SELL"]), st.integers(0, 2**63 - 1))
def test_query_equals_the_connectors(rest, symbol, side, timestamp):
    order = {"symbol": symbol, "side": side, "type": "LIMIT"} | rest | {"timestamp": timestamp}
    sent = {name: value for name, value in order.items() if value is not None}
    payload = encode({"venue": "binance"} | order)
    assert payload.digest is None
    assert payload.message == encoded_string(sent).encode()
    assert payload.label.isprintable()


def test_numbers_are_never_written_with_an_exponent():
    order = ORDER | {"quantity": 0.00001, "price": Decimal("1e-7")}
    assert b"quantity=0.00001&price=0.0000001&" in encode(order).message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"symbol": None}, "'symbol' is missing; give the market"),
        ({"symbol": ""}, "'symbol' is ''; give the market"),
        ({"side": "buy"}, "'side' is 'buy'; give one of BUY, SELL"),
        ({"timestamp": "soon"}, "'timestamp' is 'soon'; give an integer"),
        ({"price": float("inf")}, "'price' is inf; give a finite number"),
        ({"price": Decimal("nan")}, "'price' is .*; give a finite number"),
        ({"price": [1]}, r"'price' is \[1\]; give text, a number"),
        ({"price": "\ud800"}, "'price' is .*; give text"),
        ({"price": ""}, "'price' is ''; give text"),
        ({"signature": "x"}, "'signature' is 'x'; give the order without it"),
        ({"newClientOrderId": "x" * 4096}, "its message has 42.. bytes; .* at most 4096"),
    ],
)
def test_wrong_fields_are_named(change, words):
    with pytest.raises(InputError, match=words):
        encode(ORDER | change)


@pytest.mark.parametrize("length", [0, 63, 65, 71])
def test_signature_must_be_raw(length):
    with pytest.raises(
        InputError, match=f"a signature of {length} bytes was given; give the 64 raw"
    ):
        finish(ORDER, bytes(length))
