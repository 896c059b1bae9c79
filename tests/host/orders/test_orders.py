"""The registry, the samples, and what a missing extra looks like."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from importlib import import_module, resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import intaglio.orders
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.orders import VENUES, Payload, encode, extras, finish, samples

CURVES = {"solana": Curve.ED25519, "binance": Curve.ED25519}


def test_samples_cover_every_venue_twice():
    counts = Counter(order["venue"] for order in samples())
    assert set(counts) == set(VENUES)
    assert min(counts.values()) >= 2
    assert sum(counts.values()) >= 12


def test_samples_are_package_data():
    text = (resources.files(intaglio.orders) / "samples.jsonl").read_text()
    assert [json.loads(line) for line in text.splitlines()] == samples()


@pytest.mark.parametrize("order", samples(), ids=lambda order: encode(order).label)
def test_sample_encodes_for_its_curve(order):
    payload = encode(order)
    assert payload.curve is CURVES.get(order["venue"], Curve.SECP256K1)
    assert (payload.message is None) != (payload.digest is None)
    assert payload.label.startswith(order["venue"] + " ")
    assert payload.label.isprintable()
    json.dumps(finish(order, bytes(range(64)), 0))


@pytest.mark.parametrize("order", samples(), ids=lambda order: encode(order).label)
def test_encoding_leaves_the_order_alone(order):
    before = json.dumps(order)
    encode(order)
    finish(order, bytes(range(64)), 0)
    assert json.dumps(order) == before


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({}, "field 'venue' is missing; give one of hyperliquid, ethereum, dydx, solana, binance"),
        ({"venue": "mtgox"}, "field 'venue' is 'mtgox'; give one of"),
        ({"venue": ["x"]}, "field 'venue' is"),
        ([], r"the order is \[\]; give an object"),
    ],
)
def test_unknown_venues(order, words):
    for call in (encode, lambda order: finish(order, bytes(64), 0)):
        with pytest.raises(InputError, match=words):
            call(order)


@pytest.mark.parametrize("venue", VENUES)
def test_every_venue_refuses_an_empty_order(venue):
    with pytest.raises(InputError, match=venue):
        encode({"venue": venue})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["0x", "0x12", "-1", "1e999999999", "9" * 5000, "\ud800", "1" * 44]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    if not isinstance(value, dict | list):
        return []
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [(value, key) for key, _ in items] + [p for _, item in items for p in places(item)]


@pytest.mark.parametrize("number", range(len(samples())))
@given(st.data())
def test_any_wrong_value_ends_in_an_input_error(number, data):
    order = samples()[number]
    container, key = data.draw(st.sampled_from(places(order)))
    container[key] = data.draw(json_values)
    with suppress(InputError):
        payload = encode(order)
        assert (payload.message is None) != (payload.digest is None)
        assert finish(order, bytes(64), 0)


def test_labels_are_one_printable_line():
    assert Payload(Curve.ED25519, b"", None, "a\nb\x1b[c").label == "a?b?[c"


def test_long_values_lose_their_middle_in_messages():
    secret = "ab" * 32
    with pytest.raises(InputError) as caught:
        encode(samples()[0] | {"vault_address": secret})
    assert secret[16:-6] not in str(caught.value)
    assert "(66 characters)" in str(caught.value)


def test_missing_library(monkeypatch):
    extras.load.cache_clear()
    monkeypatch.setitem(sys.modules, "msgpack", None)
    with pytest.raises(InputError, match=r"'msgpack', .*; run: pip install .intaglio\[orders\]"):
        encode(samples()[0])
    extras.load.cache_clear()


def test_venues_and_libraries_are_imported_when_used():
    code = "import sys, intaglio.orders; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    lazy = {f"intaglio.orders.{venue}" for venue in VENUES}
    assert not (lazy | {"msgpack", "base58", "bech32", "Crypto"}) & set(loaded)


@pytest.mark.parametrize("venue", VENUES)
def test_every_venue_is_a_module_with_both_functions(venue):
    module = import_module(f"intaglio.orders.{venue}")
    assert callable(module.encode)
    assert callable(module.finish)


def test_examples_of_the_package_docstring():
    assert doctest.testmod(intaglio.orders) == (0, 2)


@pytest.mark.parametrize("order", samples(), ids=lambda order: encode(order).label)
def test_readme_names_every_field(order):
    readme = (resources.files(intaglio.orders) / "README.md").read_text()
    inner = [order[name] for name in ("place_order", "cancel_order", "send") if name in order]
    for fields in [order, *inner]:
        if order["venue"] == "binance":
            known = {"symbol", "side", "type", "timestamp"}
        else:
            fields["no such field"] = 1
            with pytest.raises(InputError, match="no such field") as caught:
                encode(order)
            del fields["no such field"]
            known = set(str(caught.value).partition("known are ")[2].split(", "))
        assert {name for name in known if f"`{name}`" not in readme} == set()
