"""Wire records and codes as Amaranth shapes; the only bridge from :mod:`intaglio.wire`.

A record becomes a ``data.StructLayout`` whose bit ``8*i + b`` is bit ``b`` of byte ``i`` on the
wire, so its first byte stands in bits 7..0: integers are little-endian as they are, and a ``bytes``
field is an unsigned of ``8*size`` bits with byte 0 of the string in bits 7..0. Codes become enums
of Amaranth as wide as their wire field (8 bits) with the same members and values; fields of records
keep their plain integer shape, since what arrives need not be a known code.
"""

from __future__ import annotations

import enum as py_enum
from typing import Any

from amaranth import unsigned
from amaranth.lib import data, enum

from intaglio import wire, wire_ring


def layout(record: wire.Record) -> data.StructLayout:
    """Bits of ``record``; ``layout(r).size == 8 * r.size``."""
    return data.StructLayout({field.name: unsigned(8 * field.size) for field in record.fields})


def _code(source: type[py_enum.IntEnum]) -> Any:
    body = enum.EnumMeta.__prepare__(source.__name__, (enum.IntEnum,))
    for member in source:
        body[member.name] = member.value
    return enum.EnumMeta(source.__name__, (enum.IntEnum,), body, shape=unsigned(8))


Request = layout(wire.REQUEST)
Reply = layout(wire.REPLY)
Identity = layout(wire.IDENTITY)
Counters = layout(wire.COUNTERS)
Key = layout(wire.KEY)
Descriptor = layout(wire_ring.DESCRIPTOR)
Completion = layout(wire_ring.COMPLETION)

Op = _code(wire.Op)
CurveId = _code(wire.CurveId)
Status = _code(wire.Status)
ReleaseCheck = _code(wire.ReleaseCheck)
