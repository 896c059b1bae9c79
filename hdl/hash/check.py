"""The check over a message: what two passes over it must agree on."""

from amaranth import Cat, Value
from amaranth.lib import data

from ..stream import CHUNK_BYTES

CHECK_BITS = 8 * CHUNK_BYTES
"""Bits of a check; that of no chunk is 0."""


def counted(chunk: data.View) -> Value:
    """The chunk's data with zeros for the bytes that do not count."""
    octets = [chunk.data[i : i + 8] for i in range(0, 8 * CHUNK_BYTES, 8)]
    places = range(CHUNK_BYTES - 1, -1, -1)
    return Cat(
        octet & (chunk.count > place).replicate(8)
        for octet, place in zip(octets, places, strict=True)
    )


def extended(check: Value, word: Value) -> Value:
    """The check with one more chunk, ``word`` the :func:`counted` data of it.

    It finds every alteration within one chunk. Alterations of several chunks escape if they cancel,
    each rotated left by the number of chunks behind it: one bit in a chunk and its neighbour bit in
    the next, say, or two chunks that change places with a multiple of 64 between them. Chunks of
    zeros missing or added in front escape too: the length is kept elsewhere.
    """
    return check.rotate_left(1) ^ word
