"""Asynchronous serial lines, 8N1: one start bit, 8 data bits from bit 0 up, one stop bit."""

from typing import Any

from amaranth import Cat, Elaboratable, Module, Signal
from amaranth.lib import stream
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Component, In, Out

SYNC_STAGES = 2
"""Flip-flops that make a level of a pin safe to look at."""

_STAGES = SYNC_STAGES + 1
"""And those between the pin and a receiver: the last is beside what looks, far from the pin."""


def _check(clocks_per_bit: int) -> int:
    if not isinstance(clocks_per_bit, int) or clocks_per_bit < 2:
        raise ValueError(f"clocks_per_bit must be an integer of at least 2, not {clocks_per_bit!r}")
    return clocks_per_bit


class UartReceiver(Component):
    """Bytes from a serial line, sampled in the middle of each bit.

    A start bit must still be low in its middle. After a stop bit sampled low the receiver waits for
    the idle level, so that a break gives one ``error``.

    Parameters
    ----------
    clocks_per_bit : int
        Clocks a bit lasts, at least 2. The sender may be off by 4 % at 16 or more clocks a bit.

    Members
    -------
    rx : In(1)
        The pin, asynchronous, idle high.
    o : Out(stream of 8 bits, always ready)
        A byte whose stop bit was right; valid for one clock.
    error : Out(1)
        Pulse instead of a byte: its stop bit was low.
    busy : Out(1)
        A byte is coming in (or a low line after a damaged one).

    Timing: ``latency`` clocks from the first clock of the start bit at the pin to the byte.
    """

    rx: In(1, init=1)
    o: Out(stream.Signature(8, always_ready=True))
    error: Out(1)
    busy: Out(1)

    def __init__(self, clocks_per_bit: int) -> None:
        self.clocks_per_bit = _check(clocks_per_bit)
        super().__init__()

    @property
    def latency(self) -> int:
        """Clocks from the first clock of a start bit at the pin to the byte on ``o``."""
        return _STAGES + 9 * self.clocks_per_bit + (self.clocks_per_bit - 1) // 2 + 1

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        line = Signal(init=1)
        timer = Signal(range(self.clocks_per_bit))
        bits_left = Signal(range(10))
        shift = Signal(8)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1, stages=_STAGES)

        m.d.comb += self.o.payload.eq(shift)
        m.d.sync += [self.o.valid.eq(0), self.error.eq(0), timer.eq(timer - 1)]
        period, middle = self.clocks_per_bit - 1, (self.clocks_per_bit - 1) // 2
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("idle") | self.o.valid)
            with m.State("idle"):
                m.d.sync += bits_left.eq(9)
                with m.If(~line):
                    if middle:
                        m.d.sync += timer.eq(middle - 1)
                        m.next = "start"
                    else:
                        m.d.sync += timer.eq(period)
                        m.next = "bits"
            with m.State("start"), m.If(timer == 0):
                m.d.sync += timer.eq(period)
                m.next = "bits"
                with m.If(line):
                    m.next = "idle"
            with m.State("bits"), m.If(timer == 0):
                m.d.sync += [timer.eq(period), bits_left.eq(bits_left - 1)]
                with m.If(bits_left != 1):
                    m.d.sync += shift.eq(Cat(shift[1:], line))
                with m.Elif(line):
                    m.d.sync += self.o.valid.eq(1)
                    m.next = "idle"
                with m.Else():
                    m.d.sync += self.error.eq(1)
                    m.next = "break"
            with m.State("break"), m.If(line):
                m.next = "idle"
        return m


class UartTransmitter(Component):
    """Bytes to a serial line, back to back as long as there are any.

    Parameters
    ----------
    clocks_per_bit : int
        Clocks a bit lasts, at least 2.

    Members
    -------
    i : In(stream of 8 bits)
        Bytes to send; one is taken when the line is idle or in the last clock of a stop bit.
    tx : Out(1)
        The pin, idle high, from a flip-flop.
    busy : Out(1)
        A byte is going out.

    Timing: ``interval`` clocks a byte; the start bit begins one clock after a byte is taken.
    """

    i: In(stream.Signature(8))
    tx: Out(1, init=1)
    busy: Out(1)

    def __init__(self, clocks_per_bit: int) -> None:
        self.clocks_per_bit = _check(clocks_per_bit)
        super().__init__()

    @property
    def interval(self) -> int:
        """Clocks between two bytes taken."""
        return 10 * self.clocks_per_bit

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        timer = Signal(range(self.clocks_per_bit))
        bits_left = Signal(range(11))
        shift = Signal(9, init=-1)

        bit_ends = Signal()
        m.d.comb += [
            bit_ends.eq(timer == 0),
            self.busy.eq(bits_left != 0),
            self.i.ready.eq(~self.busy | (bit_ends & (bits_left == 1))),
        ]
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                self.tx.eq(0),
                shift.eq(Cat(self.i.payload, 1)),
                bits_left.eq(10),
                timer.eq(self.clocks_per_bit - 1),
            ]
        with m.Elif(self.busy & bit_ends):
            m.d.sync += [
                Cat(self.tx, shift).eq(Cat(shift, 1)),
                bits_left.eq(bits_left - 1),
                timer.eq(self.clocks_per_bit - 1),
            ]
        with m.Elif(self.busy):
            m.d.sync += timer.eq(timer - 1)
        return m
