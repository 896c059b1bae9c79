"""Binance new orders, for accounts with an Ed25519 API key.

What is signed is the query string itself (Ed25519, no hash): the parameters percent-encoded in
the order given, ``timestamp`` among them. The signature is appended as base64. Every field but
``venue`` is a parameter of ``POST /api/v3/order`` or ``/fapi/v1/order`` under the name the venue
uses, or in snake case as its connectors take it. (Source: developers.binance.com, "Request
security"; binance-common 4.6 ``utils.py``.)
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus, urlencode

from intaglio.curve import Curve
from intaglio.orders.fields import Fields, is_text
from intaglio.orders.payload import Payload, check_signature

_VALUE = "text, a number, true or false"


def query_string(parameters: Mapping[str, str]) -> str:
    """The text that is signed: ASCII, percent-encoded, in the order given."""
    return urlencode(parameters)


def encode(order: Mapping[str, Any]) -> Payload:
    """The message to sign for a new-order dict (see the folder's README for its fields)."""
    parameters = _parse(order)
    label = f"binance {parameters['side'].lower()} "
    if "quantity" in parameters:
        label += f"{parameters['quantity']} {parameters['symbol']}"
    else:
        label += parameters["symbol"]
        label += f" for {parameters['quoteOrderQty']}" if "quoteOrderQty" in parameters else ""
    label += f" @ {parameters['price']}" if "price" in parameters else f" {parameters['type']}"
    return Payload(Curve.ED25519, query_string(parameters).encode("ascii"), None, label)


def finish(order: Mapping[str, Any], signature: bytes, recid: int | None = None) -> dict[str, Any]:
    """``signature`` in base64, and the whole signed ``query`` to append to the URL."""
    check_signature(signature, recid)
    text = base64.b64encode(signature).decode()
    query = f"{query_string(_parse(order))}&signature={quote_plus(text)}"
    return {"query": query, "signature": text}


def _parse(order: Mapping[str, Any]) -> dict[str, str]:
    fields = Fields("binance order", order)
    fields.text("symbol", "the market, such as 'ETHUSDT'")
    fields.choice("side", ("BUY", "SELL"))
    fields.text("type", "the order type, such as 'LIMIT'")
    fields.integer("timestamp", 63)
    if fields.has("signature"):
        raise fields.fail("signature", "the order without it: it is made by signing")
    parameters: dict[str, str] = {}
    for name, value in order.items():
        if name != "venue" and value is not None:
            parameters[_camel(name)] = _text(fields, name, value)
    return parameters


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _text(fields: Fields, name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise fields.fail(name, "a finite number")
        return f"{Decimal(repr(value)):f}"
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise fields.fail(name, "a finite number")
        return f"{value:f}"
    if value == "" or not (isinstance(value, int) or is_text(value)):
        raise fields.fail(name, _VALUE)
    return str(value)
