"""Order encoders: plain dicts to the bytes a venue wants signed, and signatures to what it accepts.

>>> payload = encode({"venue": "binance", "symbol": "ETHUSDT", "side": "BUY", "type": "MARKET",
...                   "quantity": "0.1", "timestamp": 1700000000000})
>>> payload.label
'binance buy 0.1 ETHUSDT MARKET'

``encode`` gives a :class:`Payload`; ``finish`` turns the raw signature into what the venue's API
takes (JSON values only). Needs the extra ``intaglio[orders]``; each venue's module and its
libraries are imported when first used.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intaglio import wire
from intaglio.errors import InputError
from intaglio.orders.fields import show
from intaglio.orders.payload import Payload

__all__ = ["VENUES", "Payload", "encode", "finish", "samples"]

VENUES = ("hyperliquid", "ethereum", "dydx", "solana", "binance")
"""What ``order["venue"]`` may be; each is a module of this package."""


def encode(order: Mapping[str, Any]) -> Payload:
    """The bytes to sign for ``order``, a dict of JSON values whose ``venue`` is one of ``VENUES``.

    Raises :class:`InputError` naming the field that is missing or wrong.
    """
    payload: Payload = _venue(order).encode(order)
    if payload.message is not None and len(payload.message) > wire.MAX_MESSAGE_BYTES:
        raise InputError(
            f"{order['venue']} order: its message has {len(payload.message)} bytes; a signer takes "
            f"at most {wire.MAX_MESSAGE_BYTES}, so shorten its fields"
        )
    return payload


def finish(order: Mapping[str, Any], signature: bytes, recid: int | None = None) -> dict[str, Any]:
    """What the venue's API takes for ``order`` signed with ``signature`` (64 raw bytes).

    ``recid`` is the recovery id, needed by hyperliquid and ethereum. Raises :class:`InputError`.
    """
    finished: dict[str, Any] = _venue(order).finish(order, signature, recid)
    return finished


def samples() -> list[dict[str, Any]]:
    """Realistic orders of every venue, from ``samples.jsonl``; they hold no keys."""
    text = Path(__file__).with_name("samples.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _venue(order: Mapping[str, Any]) -> Any:
    if not isinstance(order, Mapping):
        raise InputError(f"the order is {show(order)}; give an object with a 'venue'")
    name = order.get("venue")
    if name not in VENUES:
        problem = "is missing" if name is None else f"is {show(name)}"
        raise InputError(f"order: field 'venue' {problem}; give one of {', '.join(VENUES)}")
    return importlib.import_module(f".{name}", __package__)
