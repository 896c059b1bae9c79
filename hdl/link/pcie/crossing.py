"""Packets between the clock of the endpoint block and that of the core."""

from __future__ import annotations

from amaranth.hdl import C, ClockDomain, ClockSignal, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer, ResetSynchronizer
from amaranth.lib.fifo import AsyncFIFO
from amaranth.lib.wiring import In, Out

from intaglio.hdl.stream import Packet

SETTLE_CLOCKS = 63
"""Link clocks after a reset, and after anything that crossed, in which the core counts as busy,
whatever it says: news of it takes some clocks, and the core's clock may be eight times slower."""


class Crossing(wiring.Component):
    """Joins a link in the domain ``sync`` with a core in the domain ``core``.

    Parameters
    ----------
    depth : int
        Bytes either way, a power of two, at least 4.

    Members
    -------
    requests : In(stream of Packet(8)), replies : Out(stream of Packet(8))
        Of the link, in ``sync``.
    core_requests : Out(stream of Packet(8)), core_replies : In(stream of Packet(8))
        Of the core, in ``core``.
    core_busy : In(1)
        Of the core, in ``core``, from flip-flops.
    busy : Out(1)
        The same in ``sync``, for the link.
    reset : In(1)
        Pulse in ``sync``: the domain ``core`` is being reset (:func:`core_domain`), and with it
        what is in the crossing.

    Timing: two or three clocks of the slower side.
    Security: up to ``depth`` bytes of the last request stay in the crossing until others come.
    """

    def __init__(self, depth: int = 4) -> None:
        if depth < 4 or depth & (depth - 1):
            raise ValueError(f"depth={depth} must be a power of two, at least 4")
        self.depth = depth
        packets = stream.Signature(Packet(8))
        super().__init__(
            {
                "requests": In(packets),
                "replies": Out(packets),
                "core_requests": Out(packets),
                "core_replies": In(packets),
                "core_busy": In(1),
                "busy": Out(1),
                "reset": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        resetting, lately = (Signal(range(SETTLE_CLOCKS + 1), init=SETTLE_CLOCKS) for _ in range(2))
        # both queues are emptied into nothing: the pointers of their reading sides know no reset
        forgets, held = Signal(init=1), Signal(init=1)
        m.d.sync += forgets.eq(self.reset | (resetting != 0))
        m.submodules.held = FFSynchronizer(forgets, held, o_domain="core", init=1, reset_less=False)
        ways = {
            "requests": (self.requests, self.core_requests, "sync", "core"),
            "replies": (self.core_replies, self.replies, "core", "sync"),
        }
        for name, (source, sink, write, read) in ways.items():
            width = source.payload.shape().size
            queue = AsyncFIFO(width=width, depth=self.depth, w_domain=write, r_domain=read)
            m.submodules[name] = queue
            empties, refuses = (held, forgets) if read == "core" else (forgets, C(0))
            m.d.comb += [
                queue.w_data.eq(source.payload),
                queue.w_en.eq(source.valid & ~refuses),
                source.ready.eq(queue.w_rdy & ~refuses),
                sink.payload.eq(queue.r_data),
                sink.valid.eq(queue.r_rdy & ~empties),
                queue.r_en.eq(sink.ready | empties),
            ]
        told = Signal()
        m.submodules.busy = FFSynchronizer(self.core_busy, told, init=1)
        m.d.comb += self.busy.eq(told | (lately != 0))
        active = self.reset | self.requests.valid | self.replies.valid | told
        for timer, starts in ((resetting, self.reset), (lately, active)):
            with m.If(starts):
                m.d.sync += timer.eq(SETTLE_CLOCKS)
            with m.Elif(timer != 0):
                m.d.sync += timer.eq(timer - 1)
        return m


def core_domain(m: Module, *, clock: Value, reset: Value) -> None:
    """Add the domain ``core`` to ``m``: its clock, and its reset, given in ``sync``."""
    m.domains.core = ClockDomain("core")
    wanted = Signal(init=1)
    m.d.sync += wanted.eq(reset)
    m.d.comb += ClockSignal("core").eq(clock)
    m.submodules.core_reset = ResetSynchronizer(wanted, domain="core")
