"""Requests out of device memory to the core, in order."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire, wire_ring
from intaglio.hdl import layouts
from intaglio.hdl.layouts import Status
from intaglio.hdl.stream import Packet

from .landing import COUNT_BITS, MESSAGE_DWS, SLOT_DWS, Landing, Refusal, job_layout
from .tlp import DW_BYTES

REQUEST_DWS = wire.REQUEST.size // DW_BYTES
BODY_DW = wire_ring.DESCRIPTOR.offset("body") // DW_BYTES


class Deliverer(wiring.Component):
    """Sends the core what has landed, refuses what has not, and zeroises the memory behind.

    Parameters
    ----------
    landing : Landing
        The memory; gives the sizes.

    Members
    -------
    jobs : In(stream of job_layout); complete, faulty : In(slots)
        From the fetcher. A job waits until its slot is complete.
    look : Out({enable, address}), data : In(32), wipe : Out(stream of address)
        To the memory.
    requests : Out(stream of Packet(8))
        Request records, each with its body.
    refusals : Out(stream of Refusal)
        Answers to the others.
    freed : Out({enable, words})
        Pulse: the job's slot and so many words of the ring are free.
    ready : Out(1)
        The whole memory was zeroised after the reset.

    Timing: a byte a clock, after six clocks; then 17 clocks to zeroise the slot.
    Security: bodies may be keys. What is done depends on descriptors only.
    """

    def __init__(self, landing: Landing) -> None:
        self.slots, self.words, self.first_word = landing.slots, landing.words, landing.first_word
        address = range(self.words)
        super().__init__(
            {
                "jobs": In(stream.Signature(job_layout(self.slots, self.words))),
                "complete": In(self.slots),
                "faulty": In(self.slots),
                "look": Out(data.StructLayout({"enable": 1, "address": address})),
                "data": In(32),
                "wipe": Out(stream.Signature(address)),
                "requests": Out(stream.Signature(Packet(8))),
                "refusals": Out(stream.Signature(Refusal)),
                "freed": Out(data.StructLayout({"enable": 1, "words": address})),
                "ready": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job = self.jobs.payload
        size, allotted = Signal(range(MESSAGE_DWS + 1)), Signal()
        failed, is_message = Signal(), Signal()
        place = Signal(range(MESSAGE_DWS + REQUEST_DWS + 1))
        message_at, unwiped = Signal(range(self.words)), Signal(range(MESSAGE_DWS + 1))
        word, word_valid, dirty = Signal(32), Signal(), Signal()
        count = Signal(COUNT_BITS)
        m.d.sync += count.eq(count + self.freed.enable)
        bytes_left = self._shift(m, word, word_valid)
        in_slot = place + Mux(place >= REQUEST_DWS, BODY_DW - REQUEST_DWS, 0)
        m.d.comb += [
            size.eq((job.length + DW_BYTES - 1)[2:]),
            allotted.eq(job.message & (job.status == Status.OK)),
            failed.eq((job.status != Status.OK) | self.faulty.bit_select(job.slot, 1)),
            is_message.eq(job.message & (place >= REQUEST_DWS)),
            self.look.address.eq(
                Mux(is_message, message_at, Cat(in_slot[: SLOT_DWS.bit_length() - 1], job.slot))
            ),
            self.wipe.payload.eq(message_at),
            self.freed.words.eq(Mux(allotted, size, 0)),
        ]

        with m.FSM() as fsm:
            m.d.comb += self.ready.eq(~fsm.ongoing("reset"))
            with m.State("reset"):
                m.d.comb += self.wipe.valid.eq(1)
                with m.If(self.wipe.ready):
                    m.d.sync += message_at.eq(message_at + 1)
                    with m.If(message_at == self.words - 1):
                        m.next = "wait"
            with m.State("wait"):
                m.d.sync += [
                    place.eq(0),
                    message_at.eq(job.start),
                    unwiped.eq(Mux(allotted, size, 0)),
                ]
                with m.If(self.jobs.valid & self.complete.bit_select(job.slot, 1)):
                    m.next = "look"
                    with m.If(~job.fetched):
                        m.d.sync += word.eq(0)
                        m.next = "refuse"
            with m.State("look"):
                m.d.comb += self.look.enable.eq(1)
                m.next = "word"
            with m.State("word"):
                m.d.sync += [word.eq(self.data), word_valid.eq(~failed), dirty.eq(is_message)]
                m.d.sync += place.eq(place + 1)
                m.next = "send"
                with m.If(failed):
                    m.next = "refuse"
                with m.Elif(place == 0):
                    m.d.sync += bytes_left.eq(wire.REQUEST.size + job.length)
            with m.State("send"):
                m.d.comb += self.wipe.valid.eq(dirty)
                with m.If(dirty):
                    m.d.sync += dirty.eq(~self.wipe.ready)
                with m.Elif(place == REQUEST_DWS + size), m.If(bytes_left == 0):
                    m.next = "purge"
                with m.Elif(~word_valid):
                    m.next = "look"
            with m.State("refuse"):
                self._refuse(m, job, word, count)
                with m.If(self.refusals.ready):
                    m.next = "purge"
            self._purge(m, job, place, unwiped)
        after = message_at + 1
        in_message = fsm.ongoing("send") | fsm.ongoing("purge")
        with m.If(in_message & self.wipe.valid & self.wipe.ready):
            m.d.sync += [
                message_at.eq(Mux(after == self.words, self.first_word, after)),
                unwiped.eq(unwiped - 1),
            ]
        return m

    def _purge(self, m: Module, job: data.View, place: Signal, unwiped: Signal) -> None:
        """Zeroise what is left of the message, then the slot, and give both back."""
        with m.State("purge"):
            m.d.comb += self.wipe.valid.eq(unwiped != 0)
            m.d.sync += place.eq(0)
            with m.If(unwiped == 0):
                m.next = "clear"
        with m.State("clear"):
            here = Cat(place[: SLOT_DWS.bit_length() - 1], job.slot)
            m.d.comb += [self.wipe.valid.eq(1), self.wipe.payload.eq(here)]
            with m.If(self.wipe.ready):
                m.d.sync += place.eq(place + 1)
                with m.If(place == SLOT_DWS - 1):
                    m.d.comb += [self.jobs.ready.eq(1), self.freed.enable.eq(1)]
                    m.next = "wait"

    def _shift(self, m: Module, word: Signal, word_valid: Signal) -> Signal:
        """Bytes of the words, as many as are left."""
        shift, held = Signal(32), Signal(range(DW_BYTES + 1))
        bytes_left = Signal(range(wire.MAX_REQUEST_BYTES + 1))
        last, taken = Signal(), Signal()
        m.d.comb += [
            last.eq(bytes_left == 1),
            taken.eq(self.requests.valid & self.requests.ready),
            self.requests.valid.eq(held != 0),
            self.requests.payload.data.eq(shift[:8]),
            self.requests.payload.last.eq(last),
        ]
        with m.If(taken):
            m.d.sync += [shift.eq(shift >> 8), held.eq(held - 1), bytes_left.eq(bytes_left - 1)]
        with m.If(taken & last):
            m.d.sync += [held.eq(0), shift.eq(0)]
        with m.Elif(word_valid & ((held == 0) | (taken & (held == 1)))):
            m.d.sync += [shift.eq(word), held.eq(DW_BYTES), word.eq(0), word_valid.eq(0)]
        return bytes_left

    def _refuse(self, m: Module, job: data.View, word: Signal, count: Signal) -> None:
        """Answer with what the first DW of the descriptor tells."""
        request = data.View(layouts.Request, Cat(word, Signal(8 * wire.REQUEST.size - 32)))
        refusal = self.refusals.payload
        m.d.comb += [
            self.refusals.valid.eq(1),
            refusal.status.eq(Mux(job.status == Status.OK, Status.DMA_ERROR, job.status)),
            refusal.op.eq(request.op),
            refusal.tag.eq(request.tag),
            refusal.descriptor.eq(Mux(job.fetched, 0, count)),
        ]
