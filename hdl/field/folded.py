"""A wide product over several clocks: one product of limbs a clock, added up by weight.

The first factor is cut into ``rows`` limbs, the second into ``columns``, ``rows * columns`` being
the interval; every clock the pipelined multiplier takes one pair. Pairs of the least weight go
first, so that the accumulator is no wider than their product: when a weight is done, its lowest
limb is a part of the result, and the rest moves down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from amaranth.hdl import C, Mux, Signal, Value

from .karatsuba import FLAT, Karatsuba, multiply
from .pipeline import Word
from .serial import Held, Serial, Stream


@dataclass(frozen=True)
class Schedule:
    """Which limbs are multiplied when, for ``interval`` = 2, 4, 8 or 16 and so many ``digits``."""

    interval: int
    digits: int

    def __post_init__(self) -> None:
        if self.interval < 2 or self.rows * self.columns != self.interval:
            raise ValueError(f"interval must be a power of two above 1, not {self.interval}")
        if self.digits % self.rows:
            raise ValueError(f"{self.digits} digits do not make {self.rows} limbs")

    @property
    def rows(self) -> int:
        """Limbs of the first factor. One limb of it is the unit of weight."""
        return 1 << self.interval.bit_length() // 2

    @property
    def columns(self) -> int:
        """Limbs of the second factor: as many, or half as many."""
        return 1 << (self.interval.bit_length() - 1) // 2

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Limbs multiplied in each clock: by weight, then as they arrive."""
        every = [(i, j) for i in range(self.rows) for j in range(self.columns)]
        return sorted(every, key=lambda pair: (self.weight(pair), self.arrival(pair), pair))

    def weight(self, pair: tuple[int, int]) -> int:
        """Units of the first factor's limbs that a product is to be shifted by."""
        return pair[0] + pair[1] * self.rows // self.columns

    def arrival(self, pair: tuple[int, int]) -> int:
        """The last digit that a pair needs."""
        ends = (
            (pair[0] + 1) * self.digits // self.rows,
            (pair[1] + 1) * self.digits // self.columns,
        )
        return max(ends) - 1

    @property
    def first(self) -> int:
        """Clocks from the first digit to the first pair."""
        return max(self.arrival(pair) - clock for clock, pair in enumerate(self.pairs))

    @property
    def weights(self) -> list[int]:
        """Weight of each clock's pair."""
        return [self.weight(pair) for pair in self.pairs]

    def done(self, unit: int) -> int:
        """Clocks from the first product to when a unit of the result is in the accumulator."""
        weights = self.weights
        return len(weights) - weights[::-1].index(min(unit, weights[-1]))


def product(
    serial: Serial, x: Stream, y: Stream, how: Karatsuba = FLAT
) -> tuple[list[Stream], list[Stream]]:
    """x * y: what the streams of its low word add up to, and those of its high word.

    The first of each is the word but for carries, the second, if there is one, has these. The high
    word's first digit comes a clock after the low word's last.
    """
    schedule = Schedule(serial.interval, serial.digits)
    limbs = _limbs(serial, schedule, x, y)
    return _accumulate(serial, schedule, multiply(serial.pipe, *limbs, how))


def _limbs(serial: Serial, schedule: Schedule, x: Stream, y: Stream) -> tuple[Word, Word]:
    """The pair of limbs of each clock, registered; zeros in other clocks."""
    assert x.time == y.time
    first = x.time + schedule.first
    words = []
    for factor, (stream, count) in enumerate(((x, schedule.rows), (y, schedule.columns))):
        held, per_limb = serial.held(stream), serial.digits // count
        uses: list[list[int]] = [[] for _ in range(count)]
        for clock, pair in enumerate(schedule.pairs):
            uses[pair[factor]].append(first + clock)
        limb = Signal(per_limb * serial.bits, name=f"limb{factor}")
        for part in range(per_limb):
            values = [
                (time, held[index * per_limb + part].at(time))
                for index, times in enumerate(uses)
                for time in times
            ]
            serial.m.d.sync += limb.word_select(part, serial.bits).eq(serial.pick(values))
        words.append(serial.pipe.input(limb, time=first + 1))
    return words[0], words[1]


def _accumulate(
    serial: Serial, schedule: Schedule, word: Word
) -> tuple[list[Stream], list[Stream]]:
    """Adds products up. Chunks of a digit add in one clock, their carries a product later."""
    m, weights, time, bits = serial.m, schedule.weights, word.time, serial.bits
    per_unit = serial.digits // schedule.rows
    count = per_unit * (1 + schedule.rows // schedule.columns)
    total = most = word.bound - 1
    for before, weight in pairwise(weights):
        total = max(total, (total >> per_unit * bits if weight > before else total) + most)
    widths = [bits] * (count - 1) + [max(bits, total.bit_length() - bits * (count - 1))]
    chunks = [Signal(width, name=f"chunk{i}") for i, width in enumerate(widths)]
    carries = [Signal(name=f"carry{i}") for i in range(count)]
    clocks = list(enumerate(weights))[1:]
    keep = serial.any_of(time + clock for clock, w in clocks if w == weights[clock - 1])
    move = serial.any_of(time + clock for clock, w in clocks if w > weights[clock - 1])
    digits = [*(chunk[:bits] for chunk in chunks), chunks[-1][bits:]]
    for i, chunk in enumerate(chunks):
        last, source = i == count - 1, i + per_unit
        mine = word.high(i * bits) if last else word.high(i * bits).low(bits)
        above = digits[source] if source <= count else C(0, 1)
        above_carry = carries[source] if source < count else C(0, 1)
        rest = Mux(move, above, Mux(keep, chunk, 0))
        carry = Mux(move, above_carry, Mux(keep, carries[i], 0))
        added = Signal(len(chunk) + 1, name=f"added{i}")
        m.d.comb += added.eq(serial.pipe.value(mine, time) + rest + carry)
        m.d.sync += chunk.eq(added)
        if not last:
            m.d.sync += carries[i + 1].eq(added[bits])
    return _streams(serial, schedule, time, digits[:count], carries)


def _streams(
    serial: Serial, schedule: Schedule, time: int, chunks: list[Value], carries: list[Signal]
) -> tuple[list[Stream], list[Stream]]:
    """The result's digits in order, and the carries into them, each from where it waits."""
    per_unit, final = serial.digits // schedule.rows, schedule.weights[-1]
    digits: list[Held] = []
    pending: dict[int, Held] = {}
    for i in range(2 * serial.digits):
        unit, within = divmod(i, per_unit)
        chunk = max(0, unit - final) * per_unit + within
        done = time + schedule.done(unit)
        digits.append(Held(serial, chunks[chunk], done))
        if chunk:
            pending[i] = Held(serial, carries[chunk], done)
    start = max(held.time - i for i, held in enumerate(digits))

    def stream(held: Mapping[int, Held], first: int, name: str) -> list[Stream]:
        mine = [(start + i, held[i].at(start + i)) for i in held if first <= i < first + each]
        return [serial.stream(serial.pick(mine), start + first, name)] if mine else []

    each, every = serial.digits, dict(enumerate(digits))
    low, high = (
        stream(every, first, f"product_{name}") + stream(pending, first, f"carries_{name}")
        for first, name in ((0, "low"), (each, "high"))
    )
    return low, high
