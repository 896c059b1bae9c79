"""Replies to host memory: one entry of the completion ring each, in one write."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire, wire_ring
from intaglio.hdl import layouts
from intaglio.hdl.stations.words import reverse_bytes
from intaglio.hdl.stream import Packet

from . import tlp
from .landing import COUNT_BITS, Refusal

ENTRY_DWS = wire_ring.COMPLETION.size // tlp.DW_BYTES
REPLY_DWS = wire.REPLY.size // tlp.DW_BYTES
DESCRIPTOR_DW = wire_ring.COMPLETION.offset("descriptor") // tlp.DW_BYTES
SEQUENCE_DW = wire_ring.COMPLETION.offset("sequence") // tlp.DW_BYTES


class Writer(wiring.Component):
    """Gathers a reply, then writes it behind the one before, as soon as the ring has room.

    An entry is as long as the least Max_Payload_Size and aligned to it, so that one TLP brings it
    and it crosses no 4 KiB. Its last DW is the sequence number, and a host that sees it sees all.

    Members
    -------
    base : In(64), log2 : In(4), completions : In(32)
        The ring, see :class:`.rings.Rings`.
    open : In(1)
        A write may begin: the rings run, there is room, the function is bus master, no reset is
        wanted.
    bdf : In(16)
        Of the function.
    replies : In(stream of Packet(8))
        From the core, at most ``MAX_REPLY_BYTES`` each.
    refusals : In(stream of Refusal)
        Answers of the link itself.
    o : Out(stream of Packet(32))
        Writes.
    written : Out(1)
        Pulse: an entry is out.
    waiting, idle : Out(1)
        A whole reply waits for ``open``; nothing is under way.

    Timing: a reply of n bytes takes n clocks to gather and 40 to write.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "base": In(64),
                "log2": In(4),
                "completions": In(COUNT_BITS),
                "open": In(1),
                "bdf": In(16),
                "replies": In(stream.Signature(Packet(8))),
                "refusals": In(stream.Signature(Refusal)),
                "o": Out(tlp.tlps()),
                "written": Out(1),
                "waiting": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.entry = entry = memory.Memory(shape=32, depth=ENTRY_DWS, init=[])
        write, read = entry.write_port(), entry.read_port(domain="comb")
        filled, place = Signal(range(wire.MAX_REPLY_BYTES + 1)), Signal(range(ENTRY_DWS))
        dws, descriptor = Signal(range(ENTRY_DWS + 1)), Signal(COUNT_BITS)
        m.d.comb += read.addr.eq(place)
        data = Signal(32)
        with m.If(place == SEQUENCE_DW):
            m.d.comb += data.eq(self.completions + 1)
        with m.Elif(place == DESCRIPTOR_DW):
            m.d.comb += data.eq(descriptor)
        with m.Elif(place < dws):
            m.d.comb += data.eq(read.data)

        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(
                fsm.ongoing("gather") & (filled == 0) & ~self.replies.valid & ~self.refusals.valid
            )
            self._gather(m, write, filled, dws, descriptor)
            self._refuse(m, write, place, dws, descriptor)
            with m.State("wait"):
                m.d.comb += self.waiting.eq(1)
                with m.If(self.open):
                    m.next = "header"
            self._send(m, place, data)
        return m

    def _gather(
        self,
        m: Module,
        write: memory.WritePort,
        filled: Signal,
        dws: Signal,
        descriptor: Signal,
    ) -> None:
        """Bytes of a reply into the entry."""
        shift, byte = Signal(24), self.replies.payload
        with m.State("gather"):
            m.d.sync += descriptor.eq(0)
            m.d.comb += [write.addr.eq(filled[2:]), self.replies.ready.eq(1)]
            ends = byte.last | (filled[:2] == 3)
            whole = Cat(shift, byte.data) >> Cat(0, 0, 0, ~filled[:2])
            m.d.comb += [
                write.data.eq(whole),
                write.en.eq(self.replies.valid & ends),
            ]
            with m.If(self.replies.valid):
                m.d.sync += [
                    shift.eq(Mux(ends, 0, Cat(shift, byte.data)[8:])),
                    filled.eq(Mux(byte.last, 0, filled + 1)),
                ]
                with m.If(byte.last):
                    m.d.sync += dws.eq(filled[2:] + 1)
                    m.next = "wait"
            with m.Elif(self.refusals.valid & (filled == 0)):
                m.next = "refuse"

    def _refuse(
        self,
        m: Module,
        write: memory.WritePort,
        place: Signal,
        dws: Signal,
        descriptor: Signal,
    ) -> None:
        """An answer of the link itself into the entry."""
        refusal = self._refusal(m)
        with m.State("refuse"):
            m.d.comb += [
                write.data.eq(refusal.word_select(place, 32)),
                *(write.addr.eq(place), write.en.eq(1)),
            ]
            m.d.sync += place.eq(place + 1)
            with m.If(place == REPLY_DWS - 1):
                m.d.sync += [
                    *(place.eq(0), dws.eq(REPLY_DWS)),
                    descriptor.eq(self.refusals.payload.descriptor),
                ]
                m.d.comb += self.refusals.ready.eq(1)
                m.next = "wait"

    def _send(self, m: Module, place: Signal, data: Signal) -> None:
        """The write to host memory: its header, and the entry behind it."""
        is_long = Signal()
        words = self._header(m, is_long)
        with m.State("header"):
            m.d.comb += self.o.valid.eq(1)
            for n, word in enumerate(words):
                with m.If(place == n):
                    m.d.comb += self.o.payload.data.eq(word)
            with m.If(self.o.ready):
                m.d.sync += place.eq(place + 1)
                with m.If(place == 2 + is_long):
                    m.d.sync += place.eq(0)
                    m.next = "data"
        with m.State("data"):
            m.d.comb += [
                self.o.valid.eq(1),
                self.o.payload.data.eq(reverse_bytes(data)),
                self.o.payload.last.eq(place == ENTRY_DWS - 1),
            ]
            with m.If(self.o.ready):
                m.d.sync += place.eq(place + 1)
                with m.If(self.o.payload.last):
                    m.next = "written"
        with m.State("written"):
            m.d.comb += self.written.eq(1)
            m.next = "gather"

    def _header(self, m: Module, is_long: Signal) -> list[Value]:
        """Words of the header of the next entry's write, three clocks behind ``completions``."""
        address, index = Signal(64), Signal(wire_ring.MAX_RING_LOG2)
        m.d.sync += [
            index.eq(self.completions & ((1 << self.log2) - 1)[: len(index)]),
            address.eq(self.base + index * wire_ring.COMPLETION.size),
            is_long.eq(address[32:].any()),
        ]
        return tlp.memory_words(
            write=True,
            address=address,
            is_long=is_long,
            length=C(ENTRY_DWS, 10),
            tag=C(0, 8),
            bdf=self.bdf,
        )

    def _refusal(self, m: Module) -> Value:
        """The reply record of a refusal."""
        refusal, reply = self.refusals.payload, Signal(layouts.Reply)
        m.d.comb += [
            reply.version.eq(wire.VERSION),
            reply.op.eq(refusal.op),
            reply.tag.eq(refusal.tag),
            reply.status.eq(refusal.status),
            reply.recid.eq(wire.NO_RECID),
        ]
        return reply.as_value()
