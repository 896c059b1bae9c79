"""The PCIe link: TLPs on one side, packets of the core on the other. Composition only."""

from __future__ import annotations

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio import wire
from intaglio.hdl import layouts
from intaglio.hdl.stream import Packet
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
        clear = Signal()
        engine = ResetInserter(clear)
        m.submodules.filter = tlp_filter = TlpFilter()
        m.submodules.dispatcher = dispatcher = Dispatcher()
        m.submodules.completer = completer = Completer()
        m.submodules.registers = registers = Registers()
        m.submodules.arbiter = arbiter = Arbiter(3)
        landing = Landing(slots=self.slots, words=self.words)
        rings, interrupts, writer = Rings(), Interrupts(), Writer()
        fetcher, deliverer = Fetcher(landing), Deliverer(landing)
        reader = Reader(
            slots=self.slots,
            words=self.words,
            first_word=landing.first_word,
            tags=self.tags,
            timeout_clocks=self.timeout_clocks,
        )
        m.submodules.landing = landing
        m.submodules.rings = engine(rings)
        m.submodules.interrupts = engine(interrupts)
        m.submodules.writer = engine(writer)
        m.submodules.fetcher = engine(fetcher)
        m.submodules.deliverer = engine(deliverer)
        m.submodules.reader = engine(reader)

        # the host's accesses
        function = self.function
        connect(m, flipped(self.rx), tlp_filter.i)
        connect(m, tlp_filter.o, dispatcher.i)
        connect(m, dispatcher.requests, completer.requests)
        connect(m, completer.bus, registers.bus)
        connect(m, completer.o, arbiter.i_0)
        connect(m, arbiter.o, flipped(self.tx))
        m.d.comb += [
            completer.request.eq(dispatcher.request),
            registers.identity.eq(self.identity),
            function.posted_only.eq(completer.posted_only),
            *(user.bdf.eq(function.bdf) for user in (completer, reader, writer)),
        ]
        for owner, names in ((rings, RING_REGISTERS), (interrupts, INTERRUPT_REGISTERS)):
            for name in names:
                m.d.comb += [
                    getattr(registers, name).eq(getattr(owner, name)),
                    getattr(owner, f"{name}_next").eq(getattr(registers, f"{name}_next")),
                    getattr(owner, f"{name}_written").eq(getattr(registers, f"{name}_written")),
                ]

        # the way of descriptors, messages and replies
        connect(m, fetcher.read, reader.read)
        connect(m, dispatcher.completions, reader.completions)
        connect(m, fetcher.jobs, deliverer.jobs)
        connect(m, deliverer.wipe, landing.wipe)
        connect(m, deliverer.requests, flipped(self.requests))
        connect(m, deliverer.refusals, writer.refusals)
        connect(m, flipped(self.replies), writer.replies)
        connect(m, writer.o, arbiter.i_1)
        connect(m, reader.o, arbiter.i_2)
        m.d.comb += [
            reader.completion.eq(dispatcher.completion),
            reader.bus_master.eq(function.bus_master),
            reader.max_read_request.eq(function.max_read_request),
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

        # the rings, and what is told of them
        m.submodules.resetter = resetter = Resetter()
        m.submodules.counters = counters = Counters()
        m.d.comb += [
            resetter.wish.eq(
                registers.control_written & (registers.control_next & Control.RESET.value).any()
            ),
            resetter.hold.eq(function.reset),
            resetter.quiet.eq(reader.idle & ~writer.o.valid),
            resetter.clean.eq(deliverer.ready & ~self.core_busy),
            clear.eq(resetter.clear),
            self.core_reset.eq(resetter.clear),
            reader.halt.eq(resetter.halt),
            fetcher.base.eq(rings.submission_base),
            fetcher.log2.eq(rings.submission_log2),
            fetcher.doorbell.eq(rings.doorbell),
            fetcher.fetching.eq(rings.fetching & function.bus_master & deliverer.ready),
            writer.base.eq(rings.completion_base),
            writer.log2.eq(rings.completion_log2),
            writer.completions.eq(rings.completions),
            writer.open.eq(rings.running & rings.room & function.bus_master & ~resetter.halt),
            rings.taken.eq(fetcher.taken),
            rings.written.eq(writer.written),
            rings.ready.eq(resetter.ready),
            rings.bus_master.eq(function.bus_master),
            rings.full.eq(writer.waiting & ~rings.room),
            rings.idle.eq(fetcher.idle & writer.idle & ~self.core_busy),
            registers.protocol.eq(wire.VERSION),
            registers.status.eq(rings.status),
            registers.descriptors_taken.eq(rings.descriptors_taken),
            registers.completions.eq(rings.completions),
            interrupts.completions.eq(rings.completions),
            interrupts.completion_taken.eq(rings.completion_taken),
            interrupts.allowed.eq(function.msi_enable & function.bus_master),
            interrupts.ack.eq(function.msi_ack),
            function.msi_request.eq(interrupts.request),
            counters.clear.eq(resetter.begins),
            *(getattr(registers, name).eq(getattr(counters, name)) for name in COUNTED),
            counters.interrupts_pulses.eq(interrupts.sent),
            counters.bad_doorbells_pulses.eq(rings.bad_doorbell),
            counters.bad_descriptors_pulses.eq(fetcher.bad_descriptor),
            counters.dma_errors_pulses.eq(
                reader.done.enable & (reader.done.fault == Fault.REFUSED)
            ),
            counters.dma_timeouts_pulses.eq(reader.done.enable & (reader.done.fault == Fault.LATE)),
            counters.tlps_unsupported_pulses.eq(completer.unsupported + dispatcher.unknown),
            counters.tlps_malformed_pulses.eq(tlp_filter.malformed + reader.unexpected),
            self.busy.eq(
                (tlp_filter.busy | dispatcher.busy | completer.busy | interrupts.busy)
                | ~resetter.ready
                | ~(fetcher.idle & writer.idle & reader.idle & deliverer.ready)
                | (fetcher.fetching & fetcher.behind)
            ),
        ]
        return m
