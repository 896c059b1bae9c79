"""What a measured request signs: a real order, encoded anew each time, or bytes of one size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from intaglio import orders, wire
from intaglio.curve import Curve
from intaglio.errors import InputError

Parts = tuple[bytes | None, bytes | None]
"""Message and digest, of which one is None."""

ORDERS: dict[Curve, tuple[dict[str, Any], str]] = {
    Curve.ED25519: (
        {
            "venue": "binance",
            "symbol": "ETHUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "0.25",
            "price": "1800.5",
        },
        "timestamp",
    ),
    Curve.SECP256K1: (
        {
            "venue": "hyperliquid",
            "coin": "ETH",
            "asset": 1,
            "is_buy": True,
            "sz": "0.25",
            "limit_px": "1800.5",
            "order_type": {"limit": {"tif": "Alo"}},
        },
        "nonce",
    ),
}
"""An order of each curve, and the field that tells one from the next."""
_FIRST = 1_764_000_000_000


def of_order(curve: Curve) -> Callable[[int], Parts]:
    """Function from a number to the payload of an order of that number.

    Raises :class:`InputError` for a curve no venue here signs on, and if what encodes its orders is
    not installed.
    """
    if curve not in ORDERS:
        raise InputError(f"no order of a venue here is signed on {curve.value}: give a size")
    order, counter = ORDERS[curve]

    def payload(number: int) -> Parts:
        made = orders.encode({**order, counter: _FIRST + number})
        return made.message, made.digest

    payload(0)
    return payload


def of_size(size: int) -> Callable[[int], Parts]:
    """Function from a number to a message of ``size`` bytes that begins with it."""
    if not 0 <= size <= wire.MAX_MESSAGE_BYTES:
        raise InputError(f"a message has 0 to {wire.MAX_MESSAGE_BYTES} bytes, not {size}")
    rest = b"x" * max(0, size - 8)

    def payload(number: int) -> Parts:
        return number.to_bytes(8, "little")[:size] + rest, None

    return payload
