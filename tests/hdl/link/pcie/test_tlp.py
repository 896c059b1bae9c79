"""Headers, laid out and read back, against those of cocotbext-pcie."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data
from amaranth.sim import Simulator
from cocotbext.pcie.core.tlp import Tlp, TlpType
from cocotbext.pcie.core.utils import PcieId

from intaglio.hdl.link.pcie import tlp


def _words(one: Tlp) -> list[int]:
    raw = bytes(one.pack())
    return list(struct.unpack(f">{len(raw) // 4}I", raw))


def _evaluate(value: Any) -> int:
    m, result = Module(), Signal(len(value))
    m.d.comb += result.eq(value)
    seen = []

    async def bench(ctx: Any) -> None:
        seen.append(ctx.get(result))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return seen[0]


def _read(layout: Any, value: Any) -> dict[str, int]:
    bits = _evaluate(value)
    return {name: bits >> field.offset & ((1 << field.width) - 1) for name, field in layout}


@pytest.mark.parametrize("seed", range(6))
def test_request_header(seed: int) -> None:
    rng = random.Random(seed)
    one = Tlp()
    is_long = rng.random() < 0.5
    one.fmt_type = TlpType.MEM_READ_64 if is_long else TlpType.MEM_READ
    one.requester_id = PcieId(rng.randrange(256), rng.randrange(32), rng.randrange(8))
    one.tag, one.tc, one.attr = rng.randrange(256), rng.randrange(8), rng.randrange(8)
    one.address = rng.getrandbits(64 if is_long else 32) & ~3
    one.length = rng.choice((1, 5, 1024))
    one.first_be, one.last_be = rng.randrange(16), rng.randrange(16)
    words = [Const(word, 32) for word in [*_words(one), 0][:4]]
    got = _read(tlp.RequestHeader, tlp.request_header(words))
    assert got == {
        "kind": 0x20 if is_long else 0,
        "traffic_class": one.tc,
        "attributes": one.attr,
        "poisoned": 0,
        "length": one.length,
        "requester": int(one.requester_id),
        "tag": one.tag,
        "first_be": one.first_be,
        "last_be": one.last_be,
        "address": one.address,
    }


@pytest.mark.parametrize("length", [1, 16, 1024])
@pytest.mark.parametrize("address", [0x1234_5000, 0x0000_0001_8000_0000, (1 << 64) - 4096])
@pytest.mark.parametrize("write", [False, True])
def test_memory_request(length: int, address: int, write: bool) -> None:
    is_long = address >> 32 != 0
    words = tlp.memory_words(
        write=write,
        address=Const(address, 64),
        is_long=Const(is_long),
        length=Const(length, 11),
        tag=Const(9, 5),
        bdf=Const(0xBEEF, 16),
    )
    values = [_evaluate(word) for word in words]
    count = 3 + is_long
    payload = bytes(4 * length if write else 0)
    got = Tlp.unpack(struct.pack(f">{count}I", *values[:count]) + payload)
    assert got.check()
    kinds = (
        (TlpType.MEM_WRITE, TlpType.MEM_WRITE_64)
        if write
        else (
            TlpType.MEM_READ,
            TlpType.MEM_READ_64,
        )
    )
    assert got.fmt_type is kinds[is_long]
    assert (got.address, got.length, got.tag) == (address, length, 9)
    assert (got.first_be, got.last_be) == (0xF, 0xF if length > 1 else 0)
    assert int(got.requester_id) == 0xBEEF


@pytest.mark.parametrize("seed", range(4))
def test_completion_there_and_back(seed: int) -> None:
    rng = random.Random(seed)
    fields = {"traffic_class": 5, "attributes": 6, "requester": 0x1234, "tag": 77}
    bits = tlp.RequestHeader.const(fields).as_value()
    request = data.View(tlp.RequestHeader, bits)
    length, byte_count, lower = rng.choice(((1, 1, 0x7F), (32, 4096, 0), (3, 9, 0x42)))
    words = tlp.completion_words(
        kind=tlp.Kind.COMPLETION_DATA,
        status=Const(0, 3),
        request=request,
        length=Const(length, 6),
        byte_count=Const(byte_count, 13),
        lower_address=Const(lower, 7),
        bdf=Const(0x0108, 16),
    )
    values = [_evaluate(word) for word in words]
    got = Tlp.unpack(struct.pack(">3I", *values) + bytes(4 * length))
    assert got.fmt_type is TlpType.CPL_DATA
    assert (got.tc, int(got.attr), got.tag, int(got.requester_id)) == (5, 6, 77, 0x1234)
    assert (got.length, got.byte_count, got.lower_address) == (length, byte_count, lower)
    assert int(got.completer_id) == 0x0108
    back = _read(
        tlp.CompletionHeader,
        tlp.completion_header([*(Const(value, 32) for value in values), Const(0, 32)]),
    )
    assert back == {
        "kind": 0x4A,
        "poisoned": 0,
        "length": length,
        "status": 0,
        "byte_count": byte_count,
        "requester": 0x1234,
        "tag": 77,
        "lower_address": lower,
    }


def test_no_data_no_length() -> None:
    words = [Const(0x0A000000, 32), Const(0x0100_2004, 32), Const(0x0000_0300, 32), Const(0, 32)]
    back = _read(tlp.CompletionHeader, tlp.completion_header(words))
    assert (back["length"], back["status"], back["tag"]) == (0, 1, 3)
    assert len(Cat(*tlp.completion_header(words))) == tlp.CompletionHeader.size
