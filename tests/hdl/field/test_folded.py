# amaranth: UnusedElaboratable=no
"""Products folded in time and digit-serial sums, every operand at small sizes."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from intaglio.hdl.field.folded import Schedule, product
from intaglio.hdl.field.karatsuba import Karatsuba
from intaglio.hdl.field.pipeline import Pipeline
from intaglio.hdl.field.serial import Held, Serial

SHALLOW = Karatsuba(leaf_bits=3, fused_bits=6)
"""Halves operands of 4 bits too."""

INTERVALS = [2, 4, 8, 16]


class Unit(wiring.Component):
    """Words in, digit by digit through a product or a sum, words out."""

    def __init__(self, interval: int, bits: int, *, multiplies: bool) -> None:
        self.digits = min(interval, 4)
        self.interval, self.bits, self.multiplies = interval, bits, multiplies
        self.width = self.digits * bits
        super().__init__(
            {
                "start": In(1),
                "x": In(self.width),
                "y": In(self.width),
                "minus": In(1),
                "out": Out(2 * self.width),
            }
        )
        self._built = self._build()

    def _build(self) -> Module:
        m = Module()
        pipe = Pipeline(m, ram_from=4)
        serial = Serial(
            pipe, self.start, interval=self.interval, digits=self.digits, bits=self.bits
        )
        words = (self.x, self.y)
        x, y = (
            serial.registered(
                serial.pick([(j, w.word_select(j, self.bits)) for j in range(self.digits)]), 0, "in"
            )
            for w in words
        )
        if self.multiplies:
            (low, *carries), high_parts = product(serial, x, y, SHALLOW)
            over = None
            if carries:
                low, over = serial.add(low, *carries)
            high, _ = serial.add(*high_parts, carry=over)
            upper = serial.held(high)
        else:
            minus = serial.pick([(j, self.minus) for j in range(self.digits)])
            minus = serial.registered(minus, 0, "minus").signal
            low, over = serial.add(x, y, minus=minus)
            upper = [Held(serial, over, low.time + self.digits - 1)]
        self.latency = upper[-1].time
        parts = [held.at(self.latency) for held in (*serial.held(low), *upper)]
        m.d.comb += self.out.eq(Cat(parts))
        return m

    def elaborate(self, platform: object) -> Module:
        return self._built


def run(unit: Unit, vectors: list[tuple[int, int, int]]) -> list[int]:
    """Results of vectors started back to back, or with gaps; what is left afterwards is zero."""
    results: list[int] = []
    starts: dict[int, tuple[int, int, int]] = {}
    clock = 0
    for vector in vectors:
        starts[clock] = vector
        clock += unit.interval + random.choice([0, 0, 0, 1, 3])

    async def bench(ctx: Any) -> None:
        for now in range(clock + unit.latency + 2 * unit.interval):
            if now in starts:
                ctx.set(unit.start, 1)
                for name, value in zip(("x", "y", "minus"), starts[now], strict=True):
                    ctx.set(getattr(unit, name), value)
            if now - unit.latency in starts:
                results.append(ctx.get(unit.out))
            await ctx.tick()
            ctx.set(unit.start, 0)
        assert ctx.get(unit.out) == 0

    simulator = Simulator(unit)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def operands(width: int) -> list[tuple[int, int]]:
    """All pairs of 4-bit words; of wider ones some, edges among them."""
    if width <= 4:
        return list(itertools.product(range(1 << width), repeat=2))
    top = (1 << width) - 1
    edges = [
        0,
        1,
        top,
        top - 1,
        *(1 << i for i in range(width)),
        *((1 << i) - 1 for i in range(width)),
    ]
    return [
        (random.choice([random.randrange(1 << width), random.choice(edges)]), random.choice(edges))
        for _ in range(300)
    ]


@pytest.mark.parametrize("bits", [1, 2, 5])
@pytest.mark.parametrize("interval", INTERVALS)
def test_products(interval: int, bits: int) -> None:
    unit = Unit(interval, bits, multiplies=True)
    pairs = operands(unit.width)
    assert run(unit, [(x, y, 0) for x, y in pairs]) == [x * y for x, y in pairs]


@pytest.mark.parametrize("bits", [1, 2, 5])
@pytest.mark.parametrize("interval", INTERVALS)
def test_sums(interval: int, bits: int) -> None:
    unit = Unit(interval, bits, multiplies=False)
    vectors = [(x, y, minus) for x, y in operands(unit.width) for minus in (0, 1)]
    top = 1 << unit.width
    expected = [x + (top - y if minus else y) for x, y, minus in vectors]
    assert run(unit, vectors) == expected


@pytest.mark.parametrize("interval", INTERVALS)
def test_schedule(interval: int) -> None:
    schedule = Schedule(interval, min(interval, 4))
    pairs = schedule.pairs
    assert sorted(pairs) == sorted(
        itertools.product(range(schedule.rows), range(schedule.columns))
    ), "every pair once"
    assert all(
        schedule.arrival(pair) <= schedule.first + clock for clock, pair in enumerate(pairs)
    ), "no pair before its digits"
    steps = [b - a for a, b in itertools.pairwise(schedule.weights)]
    assert set(steps) <= {0, 1}, "the accumulator moves by one unit at most"


@pytest.mark.parametrize(("interval", "digits"), [(1, 4), (3, 3), (6, 4)])
def test_interval_must_be_a_power_of_two(interval: int, digits: int) -> None:
    with pytest.raises(
        ValueError, match=f"interval must be a power of two above 1, not {interval}"
    ):
        Schedule(interval, digits)


def test_digits_must_make_limbs() -> None:
    with pytest.raises(ValueError, match="3 digits do not make 2 limbs"):
        Schedule(4, 3)
