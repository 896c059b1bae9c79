"""Descriptors and messages from host memory into the device, each exactly once."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from intaglio import wire, wire_ring
from intaglio.hdl.layouts import Status

from .landing import COUNT_BITS, MESSAGE_DWS, SLOT_DWS, Landing, job_layout
from .reader import Fault, read_layout
from .tlp import DW_BYTES

_BODY_ALIGN_BITS = wire_ring.BODY_ALIGN_BYTES.bit_length() - 1
_SIZES = {field.name: field.size for field in wire_ring.DESCRIPTOR.fields}
_LOOKED_AT = ("length", "where", "address")


def _places(name: str) -> range:
    """Indices of the DWs of a descriptor that hold its field ``name``."""
    offset = wire_ring.DESCRIPTOR.offset(name)
    return range(offset // DW_BYTES, -(-(offset + _SIZES[name]) // DW_BYTES))


def _field(words: dict[int, Value], name: str) -> Value:
    """The field ``name`` in the ``words`` of a descriptor."""
    low = 8 * (wire_ring.DESCRIPTOR.offset(name) % DW_BYTES)
    return Cat(words[n] for n in _places(name))[low : low + 8 * _SIZES[name]]


class Fetcher(wiring.Component):
    """Reads descriptors ahead, judges them in order and reads their messages.

    Parameters
    ----------
    landing : Landing
        The memory; gives the sizes.

    Members
    -------
    base : In(64), log2 : In(4), doorbell : In(32), fetching : In(1)
        The ring, see :class:`.rings.Rings`.
    taken : Out(1)
        Pulse: a descriptor was fetched or given up; its place in the ring is free.
    read : Out(stream of read_layout); issued, done : In
        See :class:`.reader.Reader`.
    view : Out({enable, address}), granted : In(1), data : In(32)
        Reads the memory.
    jobs : Out(stream of job_layout)
        Requests in the ring's order. A message may be still to come.
    complete, faulty : Out(slots)
        Bit of a slot: nothing is to come for it; something failed.
    freed : In({enable, words})
        Pulse: the first slot is free again, and so many words of the ring.
    bad_descriptor : Out(1)
        Pulse: a descriptor was refused for what it says.
    behind, idle : Out(1)
        Descriptors wait in the ring; all slots are free.
    """

    def __init__(self, landing: Landing) -> None:
        self.slots, self.words, self.first_word = landing.slots, landing.words, landing.first_word
        self._job = job_layout(self.slots, self.words)
        self._read = read_layout(self.slots, self.words)
        slot, address = range(self.slots), range(self.words)
        super().__init__(
            {
                "base": In(64),
                "log2": In(4),
                "doorbell": In(COUNT_BITS),
                "fetching": In(1),
                "taken": Out(1),
                "read": Out(stream.Signature(self._read)),
                "issued": In(data.StructLayout({"enable": 1, "slot": slot})),
                "done": In(data.StructLayout({"enable": 1, "slot": slot, "fault": Fault})),
                "view": Out(data.StructLayout({"enable": 1, "address": address})),
                "granted": In(1),
                "data": In(32),
                "jobs": Out(stream.Signature(self._job)),
                "complete": Out(self.slots),
                "faulty": Out(self.slots),
                "freed": In(data.StructLayout({"enable": 1, "words": address})),
                "bad_descriptor": Out(1),
                "behind": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = SyncFIFOBuffered(width=self._job.size, depth=self.slots)
        wanted, wants, unwanted = (Signal(self.slots) for _ in range(3))
        m.d.sync += wanted.eq(wanted & ~unwanted | wants)
        for n in range(self.slots):
            flight = Signal(7, name=f"flight_{n}")
            ends = self.done.enable & (self.done.slot == n)
            m.d.sync += flight.eq(flight + (self.issued.enable & (self.issued.slot == n)) - ends)
            m.d.comb += self.complete[n].eq(~wanted[n] & (flight == 0))
            with m.If(ends & (self.done.fault != Fault.NONE)):
                m.d.sync += self.faulty[n].eq(1)

        held, unjudged = Signal(range(self.slots + 1)), Signal(range(self.slots + 1))
        message, wants_message = Signal(self._read), Signal()
        room = held != self.slots
        fetches = self._ask(m, room, message, wants_message, wants, unwanted)
        self._judge(m, queue, unjudged != 0, message, wants_message)
        m.d.sync += [
            held.eq(held + fetches - self.freed.enable),
            unjudged.eq(unjudged + fetches - self.taken),
        ]
        m.d.comb += [
            self.jobs.payload.eq(queue.r_data),
            self.jobs.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.jobs.ready),
            self.idle.eq(held == 0),
        ]
        return m

    def _ask(
        self,
        m: Module,
        room: Value,
        message: data.View,
        wants_message: Signal,
        wants: Signal,
        unwanted: Signal,
    ) -> Value:
        """Hand reads over, one after the other: messages first, for they are older."""
        fetched, slot = Signal(COUNT_BITS), Signal(range(self.slots))
        read, waits = Signal(self._read), Signal()
        index, address = Signal(wire_ring.MAX_RING_LOG2), Signal(64)
        fetches = Signal()
        self._message_taken = wants_message & ~waits
        m.d.comb += [
            index.eq(fetched & ((1 << self.log2) - 1)[: len(index)]),
            fetches.eq(self.fetching & room & self.behind & ~(waits | wants_message)),
            self.behind.eq(fetched != self.doorbell),
            self.read.valid.eq(waits),
            self.read.payload.eq(read),
        ]
        m.d.sync += address.eq(self.base + index * wire_ring.DESCRIPTOR.size)
        with m.If(self.read.ready):
            m.d.comb += unwanted.bit_select(read.slot, 1).eq(1)
            m.d.sync += waits.eq(0)
        with m.If(fetches):
            m.d.comb += wants.bit_select(slot, 1).eq(1)
            m.d.sync += [
                read.address.eq(address[2:]),
                read.length.eq(SLOT_DWS),
                read.target.eq(slot * SLOT_DWS),
                read.slot.eq(slot),
                waits.eq(1),
                self.faulty.bit_select(slot, 1).eq(0),
                slot.eq(slot + 1),
                fetched.eq(fetched + 1),
            ]
        with m.Elif(self._message_taken):
            m.d.comb += wants.bit_select(message.slot, 1).eq(1)
            m.d.sync += [read.eq(message), waits.eq(1)]
        return fetches

    def _judge(
        self,
        m: Module,
        queue: SyncFIFOBuffered,
        more: Value,
        message: data.View,
        wants_message: Signal,
    ) -> None:
        """Look at each descriptor once it is there, and pass it on."""
        needed = sorted({n for name in _LOOKED_AT for n in _places(name)})
        words = {n: Signal(32, name=f"word_{n}") for n in needed}
        step, slot = Signal(range(len(needed))), Signal(range(self.slots))
        length, where, address = (_field(words, name) for name in _LOOKED_AT)
        job, judged = Signal(self._job), Signal(self._job)
        size = Signal(range(MESSAGE_DWS + 1))
        start, used = Signal(range(self.words), init=self.first_word), Signal(range(self.words))
        allotted, fits, failed = Signal(range(self.words)), Signal(), Signal()
        refused = Signal()
        m.d.sync += [
            size.eq((length + DW_BYTES - 1)[2:]),
            fits.eq(self.words - self.first_word - used >= size),
        ]
        m.d.comb += [
            failed.eq(self.faulty.bit_select(slot, 1)),
            self._fields(judged, slot, length, where, start),
            queue.w_data.eq(job),
            message.address.eq(address[2:]),
            message.length.eq(size),
            message.target.eq(start),
            message.slot.eq(slot),
            self.view.address.eq(slot * SLOT_DWS + Array(needed)[step]),
        ]
        self._status(m, judged, failed, length, where, address)
        fetches = job.message & (job.status == Status.OK)
        m.d.sync += allotted.eq(0)
        with m.FSM(name="judge"):
            with m.State("wait"):
                m.d.sync += step.eq(0)
                with m.If(more & self.complete.bit_select(slot, 1)):
                    m.next = "look"
                    with m.If(failed):
                        m.next = "judge"
            self._look(m, list(words.values()), step)
            with m.State("judge"):
                m.d.sync += [
                    job.eq(judged),
                    refused.eq(~failed & (judged.status != Status.OK)),
                ]
                m.next = "pass"
            with m.State("pass"):
                m.d.comb += wants_message.eq(fetches & fits & queue.w_rdy)
                with m.If(queue.w_rdy & (~fetches | self._message_taken)):
                    m.d.comb += [queue.w_en.eq(1), self.taken.eq(1)]
                    m.d.sync += slot.eq(slot + 1)
                    m.next = "wait"
                    with m.If(fetches):
                        m.d.sync += allotted.eq(size)
                        end = start + size
                        over = end >= self.words
                        m.d.sync += start.eq(Mux(over, end - (self.words - self.first_word), end))
        freed = Signal(range(self.words))
        m.d.sync += [
            freed.eq(Mux(self.freed.enable, self.freed.words, 0)),
            used.eq(used + allotted - freed),
        ]
        m.d.comb += self.bad_descriptor.eq(self.taken & refused)

    def _look(self, m: Module, words: list[Signal], step: Signal) -> None:
        """``words`` of the descriptor, one after the other."""
        with m.State("look"):
            m.d.comb += self.view.enable.eq(1)
            with m.If(self.granted):
                m.next = "capture"
        with m.State("capture"):
            for n, word in enumerate(words):
                with m.If(step == n):
                    m.d.sync += word.eq(self.data)
            m.d.sync += step.eq(step + 1)
            m.next = "look"
            with m.If(step == len(words) - 1):
                m.next = "judge"

    def _fields(
        self, job: data.View, slot: Value, length: Value, where: Value, start: Value
    ) -> list[object]:
        return [
            job.slot.eq(slot),
            job.length.eq(length),
            job.start.eq(start),
            job.message.eq((where == wire_ring.Body.MEMORY) & (length != 0)),
        ]

    def _status(
        self,
        m: Module,
        job: data.View,
        failed: Value,
        length: Value,
        where: Value,
        address: Value,
    ) -> None:
        m.d.comb += [job.status.eq(Status.OK), job.fetched.eq(~failed)]
        with m.If(failed):
            m.d.comb += job.status.eq(Status.DMA_ERROR)
        with m.Elif(where == wire_ring.Body.INLINE), m.If(length > wire_ring.INLINE_BYTES):
            m.d.comb += job.status.eq(Status.BAD_DESCRIPTOR)
        with m.Elif(where != wire_ring.Body.MEMORY):
            m.d.comb += job.status.eq(Status.BAD_DESCRIPTOR)
        with m.Elif(length > wire.MAX_MESSAGE_BYTES):
            m.d.comb += job.status.eq(Status.BAD_LENGTH)
        with m.Elif((length != 0) & address[:_BODY_ALIGN_BITS].any()):
            m.d.comb += job.status.eq(Status.BAD_ADDRESS)
