# amaranth: UnusedElaboratable=no
"""Serial lines: bytes survive, damaged ones are reported, timing is as stated."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from intaglio.hdl.link.uart import UartReceiver, UartTransmitter


def _frame(byte: int, stop: int = 1) -> list[int]:
    return [0, *(byte >> i & 1 for i in range(8)), stop]


def _receive(dut: UartReceiver, line: list[int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Bytes with the clock they came in, and clocks of errors, for a level of the pin per clock."""
    got: list[tuple[int, int]] = []
    errors: list[int] = []

    async def bench(ctx: Any) -> None:
        for clock, level in enumerate(line):
            ctx.set(dut.rx, level)
            if ctx.get(dut.o.valid):
                got.append((clock, ctx.get(dut.o.payload)))
            if ctx.get(dut.error):
                errors.append(clock)
            await ctx.tick()
        assert not ctx.get(dut.busy)

    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(bench)
    sim.run()
    return got, errors


def _transmit(clocks_per_bit: int, data: bytes, clocks: int) -> tuple[list[int], list[int]]:
    """Levels of the pin per clock, and the clocks in which bytes were taken."""
    dut = UartTransmitter(clocks_per_bit)
    line: list[int] = []
    taken: list[int] = []

    async def bench(ctx: Any) -> None:
        rest = list(data)
        for clock in range(clocks):
            ctx.set(dut.i.valid, bool(rest))
            if rest:
                ctx.set(dut.i.payload, rest[0])
                if ctx.get(dut.i.ready):
                    taken.append(clock)
                    rest.pop(0)
            line.append(ctx.get(dut.tx))
            await ctx.tick()
        assert not rest
        assert not ctx.get(dut.busy)

    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(bench)
    sim.run()
    return line, taken


@pytest.mark.parametrize("clocks_per_bit", [2, 3, 4, 5, 8, 25])
def test_round_trip_back_to_back(clocks_per_bit: int) -> None:
    data = bytes([0, 255, 0x55, 0xAA]) + random.Random(clocks_per_bit).randbytes(40)
    sender = UartTransmitter(clocks_per_bit)
    line, taken = _transmit(clocks_per_bit, data, len(data) * sender.interval + 5)
    assert [b - a for a, b in itertools.pairwise(taken)] == [sender.interval] * 43
    got, errors = _receive(UartReceiver(clocks_per_bit), [1] * 5 + line + [1] * 40)
    assert bytes(byte for _, byte in got) == data
    assert not errors


@pytest.mark.parametrize("clocks_per_bit", [2, 3, 8, 17])
def test_latency(clocks_per_bit: int) -> None:
    dut = UartReceiver(clocks_per_bit)
    line = [1] * 7 + [level for level in _frame(0xA3) for _ in range(clocks_per_bit)] + [1] * 30
    got, _ = _receive(dut, line)
    assert got == [(7 + dut.latency, 0xA3)]


@pytest.mark.parametrize("skew", [-0.04, 0.04])
def test_clock_skew(skew: float) -> None:
    data = random.Random(1).randbytes(60)
    bits = [level for byte in data for level in _frame(byte)]
    period = 16 * (1 + skew)
    line = [bits[int(clock / period)] for clock in range(int(len(bits) * period))]
    got, errors = _receive(UartReceiver(16), line + [1] * 40)
    assert bytes(byte for _, byte in got) == data
    assert not errors


def test_framing_error_and_break() -> None:
    n = 4
    bits = _frame(0x11) + _frame(0x22, stop=0) + [1] + _frame(0x33) + [0] * 50 + [1] + _frame(0x44)
    got, errors = _receive(UartReceiver(n), [b for b in bits for _ in range(n)] + [1] * 20)
    assert [byte for _, byte in got] == [0x11, 0x33, 0x44]
    assert len(errors) == 2


def test_glitch_is_no_start_bit() -> None:
    got, errors = _receive(UartReceiver(9), [1] * 5 + [0] * 3 + [1] * 200)
    assert not got
    assert not errors


@pytest.mark.parametrize("unit", [UartReceiver, UartTransmitter])
@pytest.mark.parametrize("value", [1, 0, -3, 2.5])
def test_constructor_error(unit: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="clocks_per_bit"):
        unit(value)
