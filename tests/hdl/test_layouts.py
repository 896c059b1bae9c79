"""The gateware's layouts hold the same bits as the host's packed records."""

from __future__ import annotations

import random

import pytest
from amaranth import Const, Signal
from amaranth.lib import data

from intaglio import wire, wire_ring
from intaglio.hdl import layouts


def _random_values(record: wire.Record, rng: random.Random) -> dict[str, int | bytes]:
    return {
        field.name: rng.getrandbits(8 * field.size)
        if field.kind == "int"
        else rng.randbytes(field.size)
        for field in record.fields
    }


@pytest.mark.parametrize("record", wire.RECORDS + wire_ring.RECORDS, ids=lambda r: r.name)
def test_layout_equals_struct(record: wire.Record) -> None:
    rng = random.Random(record.name)
    shape = layouts.layout(record)
    assert shape.size == 8 * record.size
    for _ in range(50):
        values = _random_values(record, rng)
        bits = shape.const(
            {
                k: int.from_bytes(v, "little") if isinstance(v, bytes) else v
                for k, v in values.items()
            }
        ).as_bits()
        assert bits.to_bytes(record.size, "little") == record.pack(**values)


@pytest.mark.parametrize("record", wire.RECORDS + wire_ring.RECORDS, ids=lambda r: r.name)
def test_offsets(record: wire.Record) -> None:
    shape = layouts.layout(record)
    assert [f.name for f in record.fields] == list(shape.members)
    for field in record.fields:
        assert shape[field.name] == data.Field(
            shape.members[field.name], 8 * record.offset(field.name)
        )


@pytest.mark.parametrize("name", ["Op", "CurveId", "Status", "ReleaseCheck"])
def test_codes(name: str) -> None:
    ours, theirs = getattr(layouts, name), getattr(wire, name)
    assert {m.name: m.value for m in ours} == {m.name: m.value for m in theirs}
    first = next(iter(ours))
    signal = Signal(ours, init=first)
    assert len(signal) == 8
    assert Const.cast(first).value == first.value


def test_names() -> None:
    for record in wire.RECORDS:
        assert getattr(layouts, record.name.capitalize()) == layouts.layout(record)
