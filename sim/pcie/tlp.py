"""Transaction layer packets of a root complex: as lists of DWs, the header's first one first.

DWs are as on the pins of 7-series endpoints: format and type in bits 31..24 of the first, and the
payload byte of the lowest address in bits 31..24 of its DW. Layouts are those of the PCI Express
Base Specification, sections 2.2.1 to 2.2.9.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

WITH_DATA = 1 << 30
LONG = 1 << 29
"""A header of four DWs: a 64-bit address."""
COMPLETION = 0x0A << 24
_TYPE = 0x1F << 24
_DWS = 0x3FF
UNSUPPORTED = 0b001
"""Completion status of a request that nobody answers for."""
READ_BOUNDARY = 64
"""Completions are split at multiples of this only (section 2.3.1.1)."""


class Request(NamedTuple):
    """A memory request: of ``size`` bytes, whole DWs; ``data`` if it writes."""

    address: int
    size: int
    data: bytes | None
    requester: int
    tag: int


class Completion(NamedTuple):
    """A completion: ``status`` 0 is success."""

    status: int
    requester: int
    tag: int
    data: bytes


def to_bytes(dws: list[int]) -> bytes:
    """Payload bytes of ``dws``, lowest address first."""
    return struct.pack(f">{len(dws)}I", *dws)


def to_dws(data: bytes) -> list[int]:
    """``data``, whole DWs, as the pins carry it."""
    return list(struct.unpack(f">{len(data) // 4}I", data))


def read(address: int, enables: int, tag: int) -> list[int]:
    """A read of the DW at ``address``, those bytes of it whose bit of ``enables`` is set."""
    return [1, tag << 8 | enables, address & ~3]


def write(address: int, enables: int, data: bytes) -> list[int]:
    """A write of the DW at ``address``, those bytes of it whose bit of ``enables`` is set."""
    return [WITH_DATA | 1, enables, address & ~3, *to_dws(data)]


def parse(dws: list[int]) -> Request | Completion:
    """What an endpoint sent. Raises ``ValueError`` for what this root complex does not know."""
    head = dws[0]
    size = 4 * ((head & _DWS) or 1024)
    requester, tag = dws[1] >> 16, dws[1] >> 8 & 0xFF
    if head & _TYPE == COMPLETION:
        return Completion(dws[1] >> 13 & 7, dws[2] >> 16, dws[2] >> 8 & 0xFF, to_bytes(dws[3:]))
    if head & _TYPE:
        raise ValueError(f"a TLP of format and type {head >> 24:#04x}")
    at = 4 if head & LONG else 3
    address = dws[2] << 32 | dws[3] if head & LONG else dws[2]
    data = to_bytes(dws[at:]) if head & WITH_DATA else None
    if data is not None and len(data) != size:
        raise ValueError(f"a write of {len(data)} bytes that tells {size}")
    return Request(address & ~3, size, data, requester, tag)


def completions(request: Request, data: bytes, completer: int, max_payload: int) -> list[list[int]]:
    """The completions with ``data`` that answer a read, each of at most ``max_payload`` bytes."""
    packets, at = [], 0
    while at < len(data):
        address = request.address + at
        end = (address + max_payload) // READ_BOUNDARY * READ_BOUNDARY - request.address
        piece = data[at : max(min(end, len(data)), at + 4)]
        packets.append(
            [
                WITH_DATA | COMPLETION | len(piece) // 4,
                completer << 16 | (len(data) - at) & 0xFFF,
                request.requester << 16 | request.tag << 8 | address & 0x7F,
                *to_dws(piece),
            ]
        )
        at += len(piece)
    return packets


def unsupported(request: Request, completer: int) -> list[int]:
    """The completion of a read at an address where nothing is."""
    return [
        COMPLETION,
        completer << 16 | UNSUPPORTED << 13 | request.size & 0xFFF,
        request.requester << 16 | request.tag << 8 | request.address & 0x7F,
    ]
