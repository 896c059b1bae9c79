"""Digit-serial arithmetic: a number is a stream of digits, one a clock, the low one first.

A digit's adder serves the whole number, and a flip-flop carries from one digit to the next. Words
follow each other at least ``interval`` clocks apart; all is counted from a word's start, whose
pulse runs along as a *token*: :meth:`Serial.token` is 1 exactly ``time`` clocks after a start.

Between words every stream is zero, and so is all that is made from streams.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value

from .pipeline import Pipeline, Word


@dataclass(frozen=True)
class Stream:
    """Digits of a number; digit j is there ``time + j`` clocks after the word's start."""

    signal: Signal
    time: int


class Held:
    """A value that is there for one clock, kept for later ones.

    Registers follow each other ``interval`` clocks apart, for the next word's value may come before
    this one's is no longer needed. They take what comes ``interval`` clocks later too, which is
    zero when no word follows.
    """

    def __init__(self, serial: Serial, value: Value, time: int) -> None:
        self.serial, self.value, self.time = serial, value, time
        self._stages: list[Signal] = []

    def at(self, time: int) -> Value:
        """The value, ``time`` clocks after the word's start."""
        serial = self.serial
        assert time >= self.time, (time, self.time)
        if time == self.time:
            return self.value
        stage = (time - self.time - 1) // serial.interval
        while len(self._stages) <= stage:
            born = self.time + len(self._stages) * serial.interval
            register = Signal(len(self.value), name=f"held{born}")
            source = self._stages[-1] if self._stages else self.value
            with serial.m.If(serial.token(born) | serial.token(born + serial.interval)):
                serial.m.d.sync += register.eq(source)
            self._stages.append(register)
        return self._stages[stage]


class Serial:
    """Builds digit-serial arithmetic beside a pipeline.

    Parameters
    ----------
    pipe : Pipeline
        Whose clock 0 is that of ``start``.
    start : Signal
        A word starts.
    interval : int
        Least clocks from one start to the next.
    digits : int
        Digits of a word, at most ``interval``.
    bits : int
        Bits of a digit.
    """

    def __init__(
        self, pipe: Pipeline, start: Signal, *, interval: int, digits: int, bits: int
    ) -> None:
        assert 1 < digits <= interval
        self.pipe, self.interval, self.digits, self.bits = pipe, interval, digits, bits
        self._tokens = [start]

    @property
    def m(self) -> Module:
        """The module that is built into."""
        return self.pipe.m

    def token(self, time: int) -> Signal:
        """1 in the clock that is ``time`` clocks after a start."""
        while len(self._tokens) <= time:
            token = Signal(name=f"token{len(self._tokens)}")
            self.m.d.sync += token.eq(self._tokens[-1])
            self._tokens.append(token)
        return self._tokens[time]

    def first(self, time: int) -> Signal:
        """1 in the first digit's clock of a stream of ``time``."""
        return self.token(time)

    def last(self, time: int) -> Signal:
        """1 in the last digit's clock of a stream of ``time``."""
        return self.token(time + self.digits - 1)

    def any_of(self, times: Iterable[int]) -> Signal:
        """1 in each of these clocks after a start, all above 0; registered."""
        times = list(times)
        assert min(times, default=1) > 0
        signal = Signal(name="any_token")
        self.m.d.sync += signal.eq(reduce(or_, [self.token(time - 1) for time in times], C(0, 1)))
        return signal

    def at(self, stream: Stream, time: int) -> Value:
        """The stream delayed to ``time``."""
        return self.pipe.at(stream.signal, stream.time, time)

    def stream(self, value: Value, time: int, name: str) -> Stream:
        """A combinational stream of ``time``."""
        signal = Signal(len(value), name=name)
        self.m.d.comb += signal.eq(value)
        return Stream(signal, time)

    def registered(self, value: Value, time: int, name: str) -> Stream:
        """A stream made in clock ``time``, there a clock later."""
        signal = Signal(len(value), name=name)
        self.m.d.sync += signal.eq(value)
        return Stream(signal, time + 1)

    def word(self, stream: Stream, *, bound: int | None = None) -> Word:
        """The stream's digits as words of the pipeline: no carry passes between them there."""
        return self.pipe.input(stream.signal, time=stream.time, bound=bound)

    def pick(self, values: Iterable[tuple[int, Value]]) -> Value:
        """Each value in its clock, zero in all others."""
        times: dict[int, list[int]] = {}
        distinct: dict[int, Value] = {}
        for time, value in values:
            times.setdefault(id(value), []).append(time)
            distinct[id(value)] = value
        gated = [
            value & self._in(times[key]).replicate(len(value)) for key, value in distinct.items()
        ]
        return reduce(or_, gated)

    def _in(self, times: list[int]) -> Value:
        if len(times) > 1 and min(times) > 0:
            return self.any_of(times)
        return reduce(or_, [self.token(time) for time in times])

    def add(
        self,
        x: Stream,
        y: Stream,
        *,
        minus: Signal | None = None,
        carry: Signal | None = None,
    ) -> tuple[Stream, Signal]:
        """x + y, or x - y where ``minus`` is 1; and the carry out of it.

        ``minus`` is held through the digits' clocks; ``carry`` enters the first digit. The carry
        out is there for one clock, with the last digit.
        """
        time = max(x.time, y.time)
        left, right = self.at(x, time), self.at(y, time)
        entering = C(0, 1)
        if minus is not None:
            right = right ^ minus.replicate(len(right))
            entering = minus & self.first(time)
        elif carry is not None:
            entering = carry
        kept, out = Signal(name="carry"), Signal(name="carry_out")
        total, digit = Signal(self.bits + 1, name="total"), Signal(self.bits, name="digit")
        self.m.d.comb += total.eq(left + right + (kept | entering))
        self.m.d.sync += [
            digit.eq(total),
            kept.eq(total[-1] & ~self.last(time)),
            out.eq(total[-1] & self.last(time)),
        ]
        return Stream(digit, time + 1), out

    def accumulate(self, word: Word) -> tuple[Value, Stream]:
        """Digits of a sum of words that each weigh one digit more than the one before.

        Returns the accumulator too: from its digit up it has what later digits will have, and with
        the last digit all that is left of the sum. What is above a digit waits as it came, and the
        digit's carry beside it.
        """
        time, bits = word.time, self.bits
        bound, before = word.bound, 0
        while bound != before:
            before, bound = bound, word.bound + (bound - 1 >> bits)
        digit, carry = Signal(bits, name="accumulated_digit"), Signal(name="accumulated_carry")
        above = Signal((bound - 1).bit_length() - bits, name="above")
        total = Signal(bits + 1, name="accumulated_total")
        going = self.any_of(range(time + 1, time + self.digits))
        added = self.pipe.value(word, time)
        self.m.d.comb += total.eq(added[:bits] + Mux(going, above, 0) + (carry & going))
        self.m.d.sync += [Cat(digit, carry).eq(total), above.eq(added[bits:])]
        left = Cat(digit, (above + carry)[: len(above)])
        return left, self.stream(digit, time + 1, "accumulated")

    def held(self, stream: Stream) -> list[Held]:
        """The stream's digits, each to be kept."""
        return [Held(self, stream.signal, stream.time + j) for j in range(self.digits)]
