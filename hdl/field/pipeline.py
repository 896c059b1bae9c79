"""Arithmetic that pipelines itself.

Every result is registered, and every bit knows the clock it is born in, counted from the operands'.
Where bits of different ages meet, the younger ones' partners are delayed, by flip-flops for a few
clocks and by distributed RAM for many. A wide sum is cut into chunks whose carries take a clock
each: its low bits are born first, and whatever is computed from them may start then.

Words carry an exclusive :attr:`Word.bound`. Bits that the bound shows to be zero are never built,
and no sum overflows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory

from .dsp import Dsp

RAM_FROM = 6
"""Delays of at least this many clocks are made of distributed RAM."""

CHUNK_BITS = 130
"""Bits added in one clock."""


@dataclass(frozen=True, eq=False)
class Wire:
    """A signal and the clock it is born in."""

    signal: Signal
    time: int


Bit = tuple[Wire, int] | None
"""A bit of a wire; None is a zero."""


@dataclass(frozen=True)
class Word:
    """A non-negative number below ``bound``, its bits low end first."""

    bits: tuple[Bit, ...]
    bound: int

    def __post_init__(self) -> None:
        width = (self.bound - 1).bit_length()
        bits = (*self.bits[:width], *(None,) * (width - len(self.bits)))
        object.__setattr__(self, "bits", bits)

    def __len__(self) -> int:
        return len(self.bits)

    @property
    def time(self) -> int:
        """Clock in which the last bit is born."""
        return max((bit[0].time for bit in self.bits if bit), default=0)

    @property
    def mean_time(self) -> float:
        """Mean birth of its bits."""
        times = [bit[0].time for bit in self.bits if bit]
        return sum(times) / max(1, len(times))

    def low(self, count: int) -> Word:
        """The word modulo 2^count."""
        return Word(self.bits[:count], min(self.bound, 1 << count))

    def high(self, start: int) -> Word:
        """The word divided by 2^start."""
        return Word(self.bits[start:], ((self.bound - 1) >> start) + 1)

    def shift(self, count: int) -> Word:
        """The word times 2^count."""
        return Word((*(None,) * count, *self.bits), ((self.bound - 1) << count) + 1)

    def join(self, other: Word, start: int) -> Word:
        """The word plus ``other`` times 2^start, for a word below 2^start."""
        assert len(self) <= start
        padding = (None,) * (start - len(self))
        bound = self.bound - 1 + ((other.bound - 1) << start) + 1
        return Word((*self.bits, *padding, *other.bits), bound)

    def below(self, bound: int) -> Word:
        """The same word, known to be below ``bound``."""
        return Word(self.bits, min(self.bound, bound))


@dataclass
class Pipeline:
    """Builds registered arithmetic into ``m``.

    ``chunk`` bits are added in one clock, and delays of at least ``ram_from`` clocks are made of
    distributed RAM. Arithmetic that is ``fused`` has no register of its own: it is born when its
    operands are, and whoever uses it pays for its delay.
    """

    m: Module
    chunk: int = CHUNK_BITS
    ram_from: int = RAM_FROM
    _delays: dict[tuple[Wire, int], Value] = field(default_factory=dict)
    _counters: dict[int, Signal] = field(default_factory=dict)

    def input(self, signal: Signal, *, time: int = 0, bound: int | None = None) -> Word:
        """A word of the outside, born in clock ``time``."""
        wire = Wire(signal, time)
        return Word(tuple((wire, i) for i in range(len(signal))), bound or 1 << len(signal))

    def value(self, word: Word, time: int) -> Value:
        """The word as it is in clock ``time``."""
        return self._gather(word.bits, time)

    def at(self, signal: Signal, born: int, time: int) -> Value:
        """A control signal born in clock ``born``, in clock ``time``."""
        return self._delayed(self._control(signal, born), time)

    def add(self, x: Word, y: Word, *, bound: int | None = None, fused: bool = False) -> Word:
        """x + y."""
        return self._sum(x, y, bound or x.bound + y.bound - 1, subtract=False, fused=fused)

    def subtract(self, x: Word, y: Word, *, bound: int, fused: bool = False) -> Word:
        """x - y, known to be at least 0 and below ``bound``."""
        return self._sum(x, y, bound, subtract=True, fused=fused)

    def total(self, words: list[Word]) -> Word:
        """Sum of all, the earliest first."""
        words = [word for word in words if word.bound > 1]
        while len(words) > 1:
            words.sort(key=lambda word: (word.mean_time, len(word)))
            words = [*words[2:], self.add(words[0], words[1])]
        return words[0]

    def select(
        self, control: Signal, born: int, one: Word, zero: Word, *, fused: bool = False
    ) -> Word:
        """``one`` where the control is 1, else ``zero``, chunk by chunk, a clock later."""
        width = max(len(one), len(zero))
        wire = self._control(control, born)
        bits: list[Bit] = []
        for start in range(0, width, self.chunk):
            stop = min(width, start + self.chunk)
            parts = [(*word.bits, *(None,) * width)[start:stop] for word in (one, zero)]
            time = max(born, *(self._latest(part) for part in parts))
            value = Mux(
                self._delayed(wire, time),
                *(Cat(self._gather(part, time), C(0, 1))[: stop - start] for part in parts),
            )
            bits += self._made(value, stop - start, time, fused)
        return Word(tuple(bits), max(one.bound, zero.bound))

    def multiply(self, x: Word, y: Word, name: str) -> Word:
        """x * y in one DSP block, both below 2^18; ``name`` is the block's."""
        assert max(len(x), len(y)) <= Dsp.WIDTH
        time = max(x.time, y.time)
        self.m.submodules[name] = dsp = Dsp()
        self.m.d.comb += [dsp.a.eq(self.value(x, time)), dsp.b.eq(self.value(y, time))]
        wire = Wire(dsp.p, time + Dsp.latency)
        bits = tuple((wire, i) for i in range(2 * Dsp.WIDTH))
        return Word(bits, (x.bound - 1) * (y.bound - 1) + 1)

    def _sum(self, x: Word, y: Word, bound: int, *, subtract: bool, fused: bool) -> Word:
        width = (bound - 1).bit_length()
        left, right = ((*w.bits, *(None,) * width)[:width] for w in (x, y))
        bits: list[Bit] = []
        start = 0
        while start < width and (right[start] is None or (left[start] is None and not subtract)):
            bits.append(right[start] if right[start] is not None else left[start])
            start += 1
        carry: Bit = None
        first = start
        while start < width:
            stop = width if fused else min(width, start + self.chunk)
            a, b = left[start:stop], right[start:stop]
            time = max(self._latest(a), self._latest(b), carry[0].time if carry else 0)
            p, q = self._gather(a, time), self._gather(b, time)
            if start > first:
                assert carry is not None
                taken = self._gather((carry,), time)
                value = p + q + taken
                if subtract:
                    total = p + ~q + ~taken
                    value = Cat(total[: stop - start], ~total[stop - start])
            else:
                value = p - q if subtract else p + q
            made = self._made(value, stop - start + (stop < width), time, fused)
            bits += made[: stop - start]
            carry = made[-1]
            start = stop
        return Word(tuple(bits), bound)

    def _latest(self, bits: tuple[Bit, ...]) -> int:
        return max((bit[0].time for bit in bits if bit), default=0)

    def _made(self, value: Value, width: int, time: int, fused: bool) -> list[Bit]:
        """Bits of a new signal: ``value`` of clock ``time``, registered unless ``fused``."""
        signal = Signal(width, reset_less=True)
        domain = self.m.d.comb if fused else self.m.d.sync
        domain += signal.eq(value)
        wire = Wire(signal, time if fused else time + 1)
        return [(wire, i) for i in range(width)]

    def _control(self, signal: Signal, born: int) -> Wire:
        for wire, _ in self._delays:
            if wire.signal is signal and wire.time == born:
                return wire
        wire = Wire(signal, born)
        self._delays[wire, born] = signal
        return wire

    def _gather(self, bits: tuple[Bit, ...], time: int) -> Value:
        parts: list[Value] = []
        i = 0
        while i < len(bits):
            bit, j = bits[i], i + 1
            if bit is None:
                while j < len(bits) and bits[j] is None:
                    j += 1
                parts.append(C(0, j - i))
            else:
                wire, index = bit
                while j < len(bits) and bits[j] == (wire, index + j - i):
                    j += 1
                parts.append(self._delayed(wire, time)[index : index + j - i])
            i = j
        return Cat(*parts)

    def _delayed(self, wire: Wire, time: int) -> Value:
        assert time >= wire.time, (wire, time)
        if time == wire.time:
            return wire.signal
        if (wire, time) not in self._delays:
            register = Signal(len(wire.signal), reset_less=True)
            if time - wire.time >= self.ram_from:
                source = self._ram(wire.signal, time - 1 - wire.time)
            else:
                source = self._delayed(wire, time - 1)
            self.m.d.sync += register.eq(source)
            self._delays[wire, time] = register
        return self._delays[wire, time]

    def _ram(self, signal: Signal, clocks: int) -> Value:
        """``signal`` ``clocks`` clocks ago, from a ring in distributed RAM."""
        if clocks not in self._counters:
            counter = Signal(range(clocks))
            self.m.d.sync += counter.eq(Mux(counter == clocks - 1, 0, counter + 1))
            self._counters[clocks] = counter
        counter = self._counters[clocks]
        ring = Memory(shape=len(signal), depth=clocks, init=[], attrs={"ram_style": "distributed"})
        self.m.submodules += ring
        read, write = ring.read_port(domain="comb"), ring.write_port()
        self.m.d.comb += [
            read.addr.eq(counter),
            write.addr.eq(counter),
            write.data.eq(signal),
            write.en.eq(1),
        ]
        return read.data
