"""Proto3 fields as bytes: the five shapes that Cosmos transactions are made of.

As proto3 and Cosmos' ADR-027 want it, a scalar of its default value is left out and the caller
gives fields in ascending order. (Source: protobuf.dev, "Encoding".)
"""

from __future__ import annotations

_VARINT, _LENGTH, _FIXED32 = 0, 2, 5


def varint(value: int) -> bytes:
    """Base-128 encoding of an unsigned integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tag(field: int, kind: int) -> bytes:
    return varint(field << 3 | kind)


def uint(field: int, value: int) -> bytes:
    """A uint32, uint64, bool or enum."""
    return _tag(field, _VARINT) + varint(value) if value else b""


def fixed32(field: int, value: int) -> bytes:
    """A fixed32."""
    return _tag(field, _FIXED32) + value.to_bytes(4, "little") if value else b""


def data(field: int, value: bytes | str) -> bytes:
    """A bytes or string field."""
    return message(field, value.encode() if isinstance(value, str) else value) if value else b""


def message(field: int, value: bytes) -> bytes:
    """A submessage or an element of a repeated field, also when empty."""
    return _tag(field, _LENGTH) + varint(len(value)) + value


def packed(field: int, values: list[int]) -> bytes:
    """Repeated unsigned integers."""
    return data(field, b"".join(map(varint, values)))
