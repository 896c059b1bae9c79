"""Wide multiply-accumulate, one digit of the multiplier a clock."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class MultiplyAccumulate(wiring.Component):
    """``product = a * b + c``, exactly.

    Parameters
    ----------
    width : int
        Bits of ``a``, ``b`` and ``c``.
    interval : int
        Clocks per product (1..width). The multiplier is ``width`` x ceil(width / interval) bits.

    Members
    -------
    start : In(1)
        Take ``a``, ``b``, ``c`` in this clock; at least ``interval`` clocks after the last start.
    a, b, c : In(width)
        Any values.
    product : Out(2 * width)
        Valid ``latency`` clocks after ``start``, for one clock.

    Timing: ``latency`` and ``interval``, constant. Security: all operands may be secret; without a
    start the operand registers load zeros, so that nothing stays behind ``interval + latency``
    clocks after the last product.
    """

    def __init__(self, width: int, interval: int):
        if not 1 <= interval <= width:
            raise ValueError(f"interval must be 1..{width}, not {interval}")
        self.width = width
        self.interval = interval
        self.digit = -(-width // interval)
        super().__init__(
            {
                "start": In(1),
                "a": In(width),
                "b": In(width),
                "c": In(width),
                "product": Out(2 * width),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from ``start`` to ``product``."""
        return self.interval + 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = self.interval * self.digit

        # operand registers: b is shifted out from its low end, digit by digit
        a, addend = Signal(self.width), Signal(self.width)
        b = Signal(total)
        step = Signal(range(self.interval))
        running = Signal()
        with m.If(self.start):
            m.d.sync += [a.eq(self.a), b.eq(self.b), addend.eq(self.c), step.eq(0), running.eq(1)]
        with m.Elif(step == self.interval - 1):
            m.d.sync += [a.eq(0), b.eq(0), addend.eq(0), step.eq(0), running.eq(0)]
        with m.Elif(running):
            m.d.sync += [b.eq(b >> self.digit), addend.eq(0), step.eq(step + 1)]

        # one partial product a clock
        partial = Signal(self.width + self.digit)
        start = Signal(self.width)
        first = Signal()
        m.d.sync += [
            partial.eq(a * b[: self.digit]),
            start.eq(addend),
            first.eq(step == 0),
        ]

        # accumulate from the low end; finished digits move to `low`
        high = Signal(self.width + 1)
        low = Signal(total)
        sum_ = Signal(self.width + self.digit + 1)
        m.d.comb += [
            sum_.eq(partial + Mux(first, start, high)),
            self.product.eq(Cat(low, high)),
        ]
        m.d.sync += [
            high.eq(sum_ >> self.digit),
            low.eq(Cat(low, sum_[: self.digit])[self.digit :]),
        ]
        return m
