"""The two rings as the host has set them up, and how far either side has come."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire_ring
from intaglio.wire_ring import Control, State

from .landing import COUNT_BITS

RING_REGISTERS = (
    "control",
    "submission_base",
    "completion_base",
    "submission_log2",
    "completion_log2",
    "doorbell",
    "completion_taken",
)
"""Registers that :class:`Rings` keeps."""


class Rings(wiring.Component):
    """Keeps the registers of the rings; takes no count that cannot be right.

    Members
    -------
    NAME : Out, NAME_next, NAME_written : In
        As in :class:`.registers.Registers`, for ``control``, bases, sizes, ``doorbell`` and
        ``completion_taken``.
    descriptors_taken, completions : Out(32)
        Registers: descriptors fetched or given up, completions written.
    taken, written : In(1)
        Pulses: one more of either.
    ready : In(1)
        The engine is out of reset; otherwise what is written to ``control`` and counts is ignored.
    idle : In(1)
        Nothing that was fetched is under way.
    bus_master, full : In(1)
        For ``status``.
    status : Out(32)
        Register of State.
    fetching, running : Out(1)
        Descriptors may be fetched; completions may be written.
    room : Out(1)
        The completion ring has a free entry; two clocks behind ``written``.
    bad_doorbell : Out(1)
        Pulse: a count was refused.

    Timing: a count takes effect three clocks after it was written; writes must be as far apart,
    which the header of a TLP between them sees to.
    """

    def __init__(self) -> None:
        members = {}
        for name in RING_REGISTERS:
            bits = 8 * wire_ring.BY_NAME[name].size
            members[name] = Out(bits)
            members[f"{name}_next"] = In(bits)
            members[f"{name}_written"] = In(1)
        super().__init__(
            {
                **members,
                "descriptors_taken": Out(COUNT_BITS),
                "completions": Out(COUNT_BITS),
                "taken": In(1),
                "written": In(1),
                "ready": In(1),
                "idle": In(1),
                "bus_master": In(1),
                "full": In(1),
                "status": Out(32),
                "fetching": Out(1),
                "running": Out(1),
                "room": Out(1),
                "bad_doorbell": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        enabled, bad_ring = Signal(), Signal()
        m.d.comb += self.control.eq(Mux(enabled, Control.ENABLE.value, 0))
        for name in RING_REGISTERS[1:5]:
            with m.If(getattr(self, f"{name}_written") & ~enabled):
                m.d.sync += getattr(self, name).eq(getattr(self, f"{name}_next"))
        with m.If(self.control_written & self.ready):
            m.d.sync += enabled.eq((self.control_next & Control.ENABLE.value) != 0)

        good = Signal()
        m.d.comb += good.eq(
            _is_base(self.submission_base)
            & _is_base(self.completion_base)
            & _is_size(self.submission_log2)
            & _is_size(self.completion_log2)
        )
        with m.If(enabled & ~self.running & ~bad_ring):
            m.d.sync += [self.running.eq(good), bad_ring.eq(~good)]
        with m.If(~enabled):
            m.d.sync += bad_ring.eq(0)
            with m.If(self.idle):
                m.d.sync += self.running.eq(0)
        states = {
            State.READY: self.ready,
            State.RUNNING: self.running,
            State.BAD_RING: bad_ring,
            State.BUS_MASTER: self.bus_master,
            State.FULL: self.full,
        }
        m.d.comb += [
            self.fetching.eq(enabled & self.running),
            *(self.status[state.bit_length() - 1].eq(on) for state, on in states.items()),
        ]
        m.d.sync += [
            self.descriptors_taken.eq(self.descriptors_taken + self.taken),
            self.completions.eq(self.completions + self.written),
        ]
        self._counts(m)
        return m

    def _counts(self, m: Module) -> None:
        """Judge the counts that the host writes: forwards, and not too far."""
        submission_size, completion_size = Signal(COUNT_BITS), Signal(COUNT_BITS)
        m.d.comb += [
            submission_size.eq(1 << self.submission_log2[:4]),
            completion_size.eq(1 << self.completion_log2[:4]),
        ]
        unread = self.completions - self.completion_taken
        m.d.sync += self.room.eq(unread != completion_size)
        limits = {
            "doorbell": (self.fetching, self.descriptors_taken, submission_size),
            "completion_taken": (self.running, self.completion_taken, unread),
        }
        refused = []
        for name, (allowed, origin, most) in limits.items():
            value = getattr(self, name)
            written = getattr(self, f"{name}_written")
            wished, pending, judged = Signal(COUNT_BITS), Signal(), Signal()
            ahead, least, limit = (Signal(COUNT_BITS) for _ in range(3))
            m.d.sync += [
                *(pending.eq(written), judged.eq(pending)),
                *(ahead.eq(wished - origin), least.eq(value - origin), limit.eq(most)),
            ]
            accepted = allowed & (ahead <= limit) & (ahead >= least)
            with m.If(written):
                m.d.sync += wished.eq(getattr(self, f"{name}_next"))
            with m.If(judged & accepted):
                m.d.sync += value.eq(wished)
            refused.append(judged & ~accepted)
        m.d.comb += self.bad_doorbell.eq(Cat(refused).any())


def _is_base(base: Signal) -> Signal:
    low = wire_ring.RING_ALIGN_BYTES.bit_length() - 1
    return (base[:low] == 0) & base[low:].any()


def _is_size(log2: Signal) -> Signal:
    return (log2 >= wire_ring.MIN_RING_LOG2) & (log2 <= wire_ring.MAX_RING_LOG2)
