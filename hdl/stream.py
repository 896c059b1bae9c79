"""Payload shapes that travel between blocks. Streams themselves are ``amaranth.lib.stream``."""

from __future__ import annotations

from amaranth.lib import data

CHUNK_BYTES = 8
"""Bytes in a full :data:`Chunk`."""


def Packet(width: int) -> data.StructLayout:
    """Shape of a stream of packets: words of ``width`` bits, ``last`` set on a packet's last."""
    return data.StructLayout({"data": width, "last": 1})


Chunk = data.StructLayout({"data": 8 * CHUNK_BYTES, "count": range(CHUNK_BYTES + 1), "last": 1})
"""Shape of a message: up to eight bytes a transfer, in reading order.

``data``
    The message's next byte in bits 63..56, the one after it in bits 55..48, and so on. Bits below
    the last counted byte mean nothing.
``count``
    Bytes that count, 0..8. Every chunk but the last has 8; the last has 0..8, and 0 only where the
    message is empty or ended with the chunk before.
``last``
    Set on the last chunk of a message.
"""
