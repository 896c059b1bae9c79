"""Message signalled interrupts (MSIs): one for all completions since the last, seldom enough."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from intaglio.wire_ring import Interrupt

from .landing import COUNT_BITS

MODERATION_BITS = 24


class Interrupts(wiring.Component):
    """Decides when an MSI is due, and asks for it.

    Members
    -------
    interrupt, moderation : Out(32); *_next : In(32), *_written : In(1)
        As in :class:`.registers.Registers`. The low 24 bits of ``moderation`` count.
    completions, completion_taken : In(32)
        See :class:`.rings.Rings`.
    allowed : In(1)
        Configuration space lets the function send MSIs.
    request : Out(1), ack : In(1)
        An MSI is wanted; pulse: it was sent.
    sent : Out(1)
        Pulse: one more.
    busy : Out(1)
        One is wanted, or will be when enough time has passed.

    One is due while a completion was written that no MSI has announced and that the host has not
    taken. Masked, it stays due.
    """

    interrupt: Out(32)
    interrupt_next: In(32)
    interrupt_written: In(1)
    moderation: Out(32)
    moderation_next: In(32)
    moderation_written: In(1)
    completions: In(COUNT_BITS)
    completion_taken: In(COUNT_BITS)
    allowed: In(1)
    request: Out(1)
    ack: In(1)
    sent: Out(1)
    busy: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        enabled, masked, rest = Signal(), Signal(), Signal(MODERATION_BITS)
        announced, due = Signal(COUNT_BITS), Signal()
        m.d.comb += [
            self.interrupt[Interrupt.ENABLE.bit_length() - 1].eq(enabled),
            self.interrupt[Interrupt.MASK.bit_length() - 1].eq(masked),
            self.sent.eq(self.request & self.ack),
            self.busy.eq(self.request | due),
        ]
        m.d.sync += due.eq(
            (enabled & ~masked & self.allowed & ~self.request)
            & (self.completions != announced)
            & (self.completions != self.completion_taken)
        )
        with m.If(self.interrupt_written):
            m.d.sync += [
                enabled.eq(self.interrupt_next[Interrupt.ENABLE.bit_length() - 1]),
                masked.eq(self.interrupt_next[Interrupt.MASK.bit_length() - 1]),
            ]
        with m.If(self.moderation_written):
            m.d.sync += self.moderation.eq(self.moderation_next[:MODERATION_BITS])

        with m.If(rest != 0):
            m.d.sync += rest.eq(rest - 1)
        with m.If(self.sent):
            m.d.sync += [self.request.eq(0), rest.eq(self.moderation[:MODERATION_BITS])]
        with m.Elif(due & (rest == 0) & ~self.request):
            m.d.sync += [self.request.eq(1), announced.eq(self.completions), due.eq(0)]
        return m
