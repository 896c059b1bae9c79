"""Blocks of descriptors: the bytes that go between a session and the rings.

A block is a head of 64 bytes, ``count`` descriptors, and the bodies that found no place in them,
each padded to 64 bytes, their addresses counted from the first. So requests made together
(:func:`encode_many`) are laid out, and put into memory, together: the loops over them are numpy's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from intaglio import wire
from intaglio.wire_ring import BODY_ALIGN_BYTES, COMPLETION, DESCRIPTOR, INLINE_BYTES, Body

BLOCK_BYTES = 200_000
"""Longest block of many requests, without its head: a transport is handed it whole."""

HEAD = struct.Struct("<II56x")
"""Descriptors and bytes of bodies in a block."""

_Array = np.ndarray[Any, Any]
_KINDS = {"int": "<u{}", "bytes": "({},)u1"}


def dtype(record: wire.Record) -> np.dtype[Any]:
    """``record`` as numpy sees an array of them."""
    return np.dtype([(f.name, _KINDS[f.kind].format(f.size)) for f in record.fields])


Descriptor = dtype(DESCRIPTOR)
Completion = dtype(COMPLETION)


def padded(size: int) -> int:
    """Bytes that a body of ``size`` bytes takes in memory."""
    return -(-size // BODY_ALIGN_BYTES) * BODY_ALIGN_BYTES


def one_block(descriptor: bytes, bodies: bytes = b"") -> bytes:
    """A block of one ``descriptor``; ``bodies`` are whole multiples of 64 bytes."""
    return HEAD.pack(1, len(bodies)) + descriptor + bodies


def encode_many(header: dict[str, int], first_tag: int, bodies: Sequence[bytes]) -> bytes:
    """Blocks that carry ``bodies`` under tags from ``first_tag``, else alike as ``header`` says."""
    lengths = np.fromiter(map(len, bodies), np.int64, len(bodies))
    if len(bodies) * (DESCRIPTOR.size + padded(int(lengths.max()))) <= BLOCK_BYTES:
        return _encode_block(header, first_tag, bodies, lengths)
    total = 0
    blocks, start = [], 0
    sizes = DESCRIPTOR.size + np.where(lengths > INLINE_BYTES, lengths + BODY_ALIGN_BYTES - 1, 0)
    ends = np.cumsum(sizes)
    while start < len(bodies):
        end = max(int(np.searchsorted(ends, total + BLOCK_BYTES)), start + 1)
        blocks.append(
            _encode_block(header, first_tag + start, bodies[start:end], lengths[start:end])
        )
        start, total = end, int(ends[end - 1])
    return b"".join(blocks)


def _encode_block(
    header: dict[str, int], tag: int, bodies: Sequence[bytes], lengths: _Array
) -> bytes:
    count, shortest, longest = len(bodies), int(lengths.min()), int(lengths.max())
    block = np.zeros(count, Descriptor)
    for name, value in header.items():
        block[name] = value
    block["tag"] = np.arange(tag, tag + count) % (1 << wire.TAG_BITS)
    block["length"] = lengths
    if longest <= INLINE_BYTES:
        _lay_out(block["body"], bodies, shortest, longest)
        return HEAD.pack(count, 0) + block.tobytes()
    size = padded(longest)
    if shortest <= INLINE_BYTES or padded(shortest) != size:
        return _encode_mixed(block, bodies, lengths)
    block["where"] = Body.MEMORY
    block["address"] = np.arange(0, count * size, size)
    outside = np.zeros((count, size), np.uint8)
    _lay_out(outside, bodies, shortest, longest)
    return HEAD.pack(count, outside.size) + block.tobytes() + outside.tobytes()


def _encode_mixed(block: _Array, bodies: Sequence[bytes], lengths: _Array) -> bytes:
    """The block of ``bodies`` of several sizes."""
    inline = lengths <= INLINE_BYTES
    sizes = np.where(inline, 0, -(-lengths // BODY_ALIGN_BYTES) * BODY_ALIGN_BYTES)
    block["where"] = np.where(inline, Body.INLINE, Body.MEMORY)
    block["address"] = np.where(inline, 0, np.cumsum(sizes) - sizes)
    for index in np.flatnonzero(inline).tolist():
        block["body"][index, : lengths[index]] = np.frombuffer(bodies[index], np.uint8)
    outside = [
        body.ljust(size, b"\0") for body, size in zip(bodies, sizes.tolist(), strict=True) if size
    ]
    head = HEAD.pack(len(bodies), int(sizes.sum()))
    return b"".join([head, block.tobytes(), *outside])


def _lay_out(rows: _Array, bodies: Sequence[bytes], shortest: int, longest: int) -> None:
    """Put ``bodies`` of such lengths into ``rows`` of zeros, one into each."""
    if shortest != longest:
        bodies = [body.ljust(longest, b"\0") for body in bodies]
    packed = np.frombuffer(b"".join(bodies), np.uint8)
    rows[:, :longest] = packed.reshape(len(bodies), longest)
