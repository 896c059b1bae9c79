"""RFC 6979 nonces with HMAC-SHA256 for any order, in plain Python."""

from __future__ import annotations

import hmac
from collections.abc import Iterator


def candidates(order: int, x: int, h1: int) -> Iterator[int]:
    """The RFC's candidates for k in turn, in range or not (section 3.2, step h).

    ``x`` in 1..order-1, ``h1`` the integer of the 32 bytes of a digest.
    """
    bits = order.bit_length()
    size = -(-bits // 8)

    def bits2int(octets: bytes) -> int:
        value = int.from_bytes(octets, "big")
        return value >> max(0, 8 * len(octets) - bits)

    def mac(key: bytes, *parts: bytes) -> bytes:
        return hmac.digest(key, b"".join(parts), "sha256")

    seed = x.to_bytes(size, "big") + (bits2int(h1.to_bytes(32, "big")) % order).to_bytes(
        size, "big"
    )
    key, value = bytes(32), b"\x01" * 32
    for separator in (b"\x00", b"\x01"):
        key = mac(key, value, separator, seed)
        value = mac(key, value)
    while True:
        octets = b""
        while 8 * len(octets) < bits:
            value = mac(key, value)
            octets += value
        yield bits2int(octets)
        key = mac(key, value, b"\x00")
        value = mac(key, value)


def nonce(order: int, x: int, h1: int) -> tuple[int, int]:
    """Nonce k in 1..order-1, and how many candidates were refused before it."""
    for refused, k in enumerate(candidates(order, x, h1)):
        if 0 < k < order:
            return k, refused
    raise AssertionError("candidates never end")
