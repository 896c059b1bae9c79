"""The PCIe link: TLPs on one side, packets of the core on the other. Composition only."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio import wire
from intaglio.hdl import layouts
from intaglio.hdl.stream import Packet, registered
from intaglio.wire_ring import Control

from . import tlp
from .arbiter import Arbiter
from .completer import Completer
from .counters import COUNTED, Counters
from .deliverer import Deliverer
from .fetcher import Fetcher
from .filter import Dispatcher, TlpFilter
from .interrupt import Interrupts
from .landing import Landing
from .reader import Fault, Reader
from .registers import Registers
from .reset import Resetter
from .rings import RING_REGISTERS, Rings
from .writer import Writer

TIMEOUT_CLOCKS = 2_000_000
"""16 ms at 125 MHz: within the standard's default range of 50 us to 50 ms."""

INTERRUPT_REGISTERS = ("interrupt", "moderation")


class _Parts(NamedTuple):
    """What the link is composed of."""

    filter: TlpFilter
    dispatcher: Dispatcher
    completer: Completer
    registers: Registers
    arbiter: Arbiter
    landing: Landing
    rings: Rings
    interrupts: Interrupts
    writer: Writer
    fetcher: Fetcher
    deliverer: Deliverer
    reader: Reader
    resetter: Resetter
    counters: Counters


_RESET = {"rings", "interrupts", "writer", "fetcher", "deliverer", "reader"}
"""The parts that a reset reaches."""


class PcieLink(wiring.Component):
    """Descriptor rings in host memory, as :mod:`intaglio.wire_ring` tells, over raw TLPs.

    Parameters
    ----------
    timeout_clocks : int
        Clocks after which a read of host memory is given up.
    slots, words, tags : int
        Descriptors held at once, DWs of device memory, reads in flight; see :class:`.Landing` and
        :class:`.Reader`.

    Members
    -------
    rx, tx : In, Out(stream of Packet(32))
        TLPs from and to the endpoint block, see :mod:`.tlp`.
    function : Function
        What else it tells.
    identity : In(Identity)
        Identity record, readable in BAR 0.
    requests : Out(stream of Packet(8)), replies : In(stream of Packet(8))
        To and from the core.
    core_busy : In(1), core_reset : Out(1)
        The core has something to do; it is to be reset.
    busy : Out(1)
        Low, the clock may stop until a TLP comes or ``function`` changes.

    A reset (by register or by ``function.reset``) waits until no read is in flight, so that what
    comes late cannot be taken for something else, then resets all but the way of the host's
    accesses; READY shows when the memories of link and core were zeroised.
    """

    def __init__(
        self,
        *,
        timeout_clocks: int = TIMEOUT_CLOCKS,
        slots: int = 8,
        words: int = 2048,
        tags: int = 16,
    ) -> None:
        self.timeout_clocks, self.slots, self.words, self.tags = timeout_clocks, slots, words, tags
        super().__init__(
            {
                "rx": In(tlp.tlps()),
                "tx": Out(tlp.tlps()),
                "function": Out(tlp.Function()),
                "identity": In(layouts.Identity),
                "requests": Out(stream.Signature(Packet(8))),
                "replies": In(stream.Signature(Packet(8))),
                "core_busy": In(1),
                "core_reset": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parts, clear = self._parts(), Signal()
        m.d.comb += clear.eq(parts.resetter.clear)
        for name, part in parts._asdict().items():
            m.submodules[name] = ResetInserter(clear)(part) if name in _RESET else part
        self._accesses(m, parts)
        self._registers(m, parts)
        self._bodies_in(m, parts)
        self._replies_out(m, parts)
        self._resets(m, parts)
        self._rings(m, parts)
        self._counts(m, parts)
        self._activity(m, parts)
        return m

    def _parts(self) -> _Parts:
        landing = Landing(slots=self.slots, words=self.words)
        reader = Reader(
            slots=self.slots,
            words=self.words,
            first_word=landing.first_word,
            tags=self.tags,
            timeout_clocks=self.timeout_clocks,
        )
        return _Parts(
            filter=TlpFilter(),
            dispatcher=Dispatcher(),
            completer=Completer(),
            registers=Registers(),
            arbiter=Arbiter(3),
            landing=landing,
            rings=Rings(),
            interrupts=Interrupts(),
            writer=Writer(),
            fetcher=Fetcher(landing),
            deliverer=Deliverer(landing),
            reader=reader,
            resetter=Resetter(),
            counters=Counters(),
        )

    def _accesses(self, m: Module, parts: _Parts) -> None:
        """The host's accesses to BAR 0."""
        dispatcher, completer = parts.dispatcher, parts.completer
        connect(m, flipped(self.rx), parts.filter.i)
        connect(m, registered(m, parts.filter.o), dispatcher.i)
        connect(m, dispatcher.requests, completer.requests)
        connect(m, completer.bus, parts.registers.bus)
        connect(m, completer.o, parts.arbiter.i_0)
        connect(m, parts.arbiter.o, flipped(self.tx))
        m.d.comb += [
            completer.request.eq(dispatcher.request),
            completer.bdf.eq(self.function.bdf),
            self.function.posted_only.eq(completer.posted_only),
        ]

    def _registers(self, m: Module, parts: _Parts) -> None:
        """What registers show, and who is told of what is written to them."""
        registers, rings = parts.registers, parts.rings
        m.d.comb += [
            registers.identity.eq(self.identity),
            registers.protocol.eq(wire.VERSION),
            registers.status.eq(rings.status),
            registers.descriptors_taken.eq(rings.descriptors_taken),
            registers.completions.eq(rings.completions),
        ]
        for owner, names in (
            (rings, RING_REGISTERS),
            (parts.interrupts, INTERRUPT_REGISTERS),
        ):
            for name in names:
                m.d.comb += [
                    getattr(registers, name).eq(getattr(owner, name)),
                    getattr(owner, f"{name}_next").eq(getattr(registers, f"{name}_next")),
                    getattr(owner, f"{name}_written").eq(getattr(registers, f"{name}_written")),
                ]

    def _bodies_in(self, m: Module, parts: _Parts) -> None:
        """The way of descriptors and messages, from host memory to the core."""
        fetcher, reader, landing, deliverer = (
            *(parts.fetcher, parts.reader),
            *(parts.landing, parts.deliverer),
        )
        connect(m, fetcher.read, reader.read)
        connect(m, parts.dispatcher.completions, reader.completions)
        connect(m, reader.o, parts.arbiter.i_2)
        connect(m, fetcher.jobs, deliverer.jobs)
        connect(m, deliverer.wipe, landing.wipe)
        connect(m, deliverer.requests, flipped(self.requests))
        m.d.comb += [
            reader.completion.eq(parts.dispatcher.completion),
            reader.bdf.eq(self.function.bdf),
            reader.bus_master.eq(self.function.bus_master),
            reader.max_read_request.eq(self.function.max_read_request),
            fetcher.issued.eq(reader.issued),
            fetcher.done.eq(reader.done),
            landing.write.eq(reader.write),
            landing.view.eq(fetcher.view),
            landing.look.eq(deliverer.look),
            fetcher.granted.eq(landing.granted),
            fetcher.data.eq(landing.data),
            deliverer.data.eq(landing.data),
            deliverer.complete.eq(fetcher.complete),
            deliverer.faulty.eq(fetcher.faulty),
            fetcher.freed.eq(deliverer.freed),
        ]

    def _replies_out(self, m: Module, parts: _Parts) -> None:
        """The way of replies, from the core to host memory, and interrupts that tell of them."""
        writer, interrupts, function = parts.writer, parts.interrupts, self.function
        connect(m, flipped(self.replies), writer.replies)
        connect(m, parts.deliverer.refusals, writer.refusals)
        connect(m, writer.o, parts.arbiter.i_1)
        m.d.comb += [
            writer.bdf.eq(function.bdf),
            interrupts.completions.eq(parts.rings.completions),
            interrupts.completion_taken.eq(parts.rings.completion_taken),
            interrupts.allowed.eq(function.msi_enable & function.bus_master),
            interrupts.ack.eq(function.msi_ack),
            function.msi_request.eq(interrupts.request),
        ]

    def _resets(self, m: Module, parts: _Parts) -> None:
        """When all but the way of the host's accesses is reset."""
        registers, resetter = parts.registers, parts.resetter
        m.d.comb += [
            resetter.wish.eq(
                registers.control_written & (registers.control_next & Control.RESET.value).any()
            ),
            resetter.hold.eq(self.function.reset),
            resetter.quiet.eq(parts.reader.idle & ~parts.writer.o.valid),
            resetter.clean.eq(parts.deliverer.ready & ~self.core_busy),
            self.core_reset.eq(resetter.clear),
            parts.reader.halt.eq(resetter.halt),
        ]

    def _rings(self, m: Module, parts: _Parts) -> None:
        """Where the rings are, and what their state allows."""
        rings, fetcher, writer, function = parts.rings, parts.fetcher, parts.writer, self.function
        m.d.comb += [
            fetcher.base.eq(rings.submission_base),
            fetcher.log2.eq(rings.submission_log2),
            fetcher.doorbell.eq(rings.doorbell),
            fetcher.fetching.eq(rings.fetching & function.bus_master & parts.deliverer.ready),
            writer.base.eq(rings.completion_base),
            writer.log2.eq(rings.completion_log2),
            writer.completions.eq(rings.completions),
            writer.open.eq(rings.running & rings.room & function.bus_master & ~parts.resetter.halt),
            rings.taken.eq(fetcher.taken),
            rings.written.eq(writer.written),
            rings.ready.eq(parts.resetter.ready),
            rings.bus_master.eq(function.bus_master),
            rings.full.eq(writer.waiting & ~rings.room),
            rings.idle.eq(fetcher.idle & writer.idle & ~self.core_busy),
        ]

    def _counts(self, m: Module, parts: _Parts) -> None:
        """What the counters of BAR 0 count."""
        counters, done = parts.counters, parts.reader.done
        m.d.comb += [
            counters.clear.eq(parts.resetter.begins),
            *(getattr(parts.registers, name).eq(getattr(counters, name)) for name in COUNTED),
            counters.interrupts_pulses.eq(parts.interrupts.sent),
            counters.bad_doorbells_pulses.eq(parts.rings.bad_doorbell),
            counters.bad_descriptors_pulses.eq(parts.fetcher.bad_descriptor),
            counters.dma_errors_pulses.eq(done.enable & (done.fault == Fault.REFUSED)),
            counters.dma_timeouts_pulses.eq(done.enable & (done.fault == Fault.LATE)),
            counters.tlps_unsupported_pulses.eq(
                parts.completer.unsupported + parts.dispatcher.unknown
            ),
            counters.tlps_malformed_pulses.eq(parts.filter.malformed + parts.reader.unexpected),
        ]

    def _activity(self, m: Module, parts: _Parts) -> None:
        """Whether the clock is needed."""
        fetcher, deliverer = parts.fetcher, parts.deliverer
        accessed = parts.filter.busy | parts.dispatcher.busy | parts.completer.busy
        idle = fetcher.idle & parts.writer.idle & parts.reader.idle & deliverer.ready
        m.d.comb += self.busy.eq(
            (accessed | parts.interrupts.busy)
            | ~(parts.resetter.ready & idle)
            | (fetcher.fetching & fetcher.behind)
        )
