"""Reads of host memory: several in flight, completed in any order and in any pieces."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import data, enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from . import tlp

ADDRESS_DWS = 62
AGES = 8
"""Ages of a read: it is given up at half of them, and its tag used again at the end."""


class Fault(enum.Enum, shape=2):
    """How a read failed."""

    NONE = 0
    REFUSED = 1
    """Unsupported request, completer abort, or poisoned data."""
    LATE = 2
    """No completion in time."""
    MISFIT = 3
    """A completion that does not fit the read."""


def read_layout(slots: int, words: int) -> data.StructLayout:
    """A read of ``length`` DWs at ``address`` (in DWs) for ``slot``, to word ``target`` and up."""
    return data.StructLayout(
        {
            "address": ADDRESS_DWS,
            "length": range(1025),
            "target": range(words),
            "slot": range(slots),
        }
    )


class Reader(wiring.Component):
    """Splits reads into requests, gives each a tag and puts what is completed where it belongs.

    Requests cross no multiple of Max_Read_Request_Size, and so none of 4 KiB.

    Parameters
    ----------
    slots : int
        Who reads may be for.
    words, first_word : int
        Words of the memory that is written; a read that reaches its end goes on at ``first_word``.
    tags : int
        Requests in flight, a power of two up to 32.
    timeout_clocks : int
        Clocks after which a read is given up, at the earliest; at most a third more.

    Members
    -------
    read : In(stream of read_layout)
        Taken once its last request was sent.
    function fields ``bdf``, ``bus_master``, ``max_read_request``
        See :class:`.tlp.Function`.
    halt : In(1)
        No request is begun.
    completion : In(CompletionHeader), completions : In(stream of Beat)
        From the dispatcher.
    o : Out(stream of Packet(32))
        Read requests.
    issued, done : Out({enable, slot}), Out({enable, slot, fault})
        A request was begun; one ended. A read is complete when it was taken and as many ended.
    write : Out({enable, address, data})
        A word that came, a clock later; in time for ``done``.
    unexpected : Out(1)
        Pulse: a completion that no request awaits, or not like this, was dropped.
    idle : Out(1)
        Nothing is in flight.

    The tag of a read given up stays out of use for the same time again, so that what comes late
    is recognised and dropped; likewise that of a misfit.
    """

    def __init__(
        self, *, slots: int, words: int, first_word: int, tags: int = 16, timeout_clocks: int
    ) -> None:
        if tags < 2 or tags > 32 or tags & (tags - 1):
            raise ValueError(f"tags={tags} must be a power of two, 2..32")
        if timeout_clocks < AGES * tags:
            raise ValueError(f"timeout_clocks={timeout_clocks} must be at least {AGES * tags}")
        self.slots, self.words, self.first_word = slots, words, first_word
        self.tags, self.timeout_clocks = tags, timeout_clocks
        slot = range(slots)
        super().__init__(
            {
                "read": In(stream.Signature(read_layout(slots, words))),
                "bdf": In(16),
                "bus_master": In(1),
                "max_read_request": In(3),
                "halt": In(1),
                "completion": In(tlp.CompletionHeader),
                "completions": In(stream.Signature(tlp.Beat)),
                "o": Out(tlp.tlps()),
                "issued": Out(data.StructLayout({"enable": 1, "slot": slot})),
                "done": Out(data.StructLayout({"enable": 1, "slot": slot, "fault": Fault})),
                "write": Out(data.StructLayout({"enable": 1, "address": range(words), "data": 32})),
                "unexpected": Out(1),
                "idle": Out(1),
            }
        )
        self._entry = data.StructLayout(
            {
                "slot": slot,
                "target": range(words),
                "left": range(1025),
                "lower": 5,
                "refused": 1,
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.table = table = memory.Memory(shape=self._entry, depth=self.tags, init=[])
        self._write = table.write_port()
        self._lookup = table.read_port(domain="comb")
        self._entry_taken = Signal()
        busy, abandoned = Signal(self.tags), Signal(self.tags)
        ages = Array(Signal(range(AGES), name=f"age_{n}") for n in range(self.tags))
        self._issue(m, busy)
        self._complete(m, busy, abandoned, ages)
        return m

    def _wrapped(self, target: Signal) -> Mux:
        over = target >= self.words
        return Mux(over, target - (self.words - self.first_word), target)

    def _issue(self, m: Module, busy: Signal) -> None:
        """Requests out, each for the part of the read up to the next boundary."""
        read = self.read.payload
        address, target = Signal(ADDRESS_DWS), Signal(range(self.words))
        left, part = Signal(range(1025)), Signal(range(1025))
        tag, place = Signal(range(self.tags)), Signal(2)
        span, room = Signal(range(1025)), Signal(range(1025))
        m.d.comb += [
            span.eq((tlp.LEAST_PAYLOAD_BYTES // tlp.DW_BYTES) << self.max_read_request),
            room.eq(span - (address[:10] & (span - 1)[:10])),
        ]
        self._entry_new = entry = Signal(self._entry)
        self._entry_write = Signal()
        self._entry_tag = tag
        m.d.comb += [
            entry.slot.eq(read.slot),
            entry.target.eq(target),
            entry.left.eq(part),
            entry.lower.eq(address[:5]),
            self.issued.slot.eq(read.slot),
        ]
        with m.FSM(name="issue") as fsm:
            rests = fsm.ongoing("idle") | fsm.ongoing("part")
            m.d.comb += self.idle.eq(~busy.any() & rests)
            with m.State("idle"):
                m.d.sync += [
                    address.eq(read.address),
                    target.eq(read.target),
                    left.eq(read.length),
                ]
                with m.If(self.read.valid & ~self.halt):
                    m.next = "part"
            with m.State("part"):
                m.d.sync += part.eq(Mux(left < room, left, room))
                with m.If(self.halt):
                    m.next = "idle"
                with m.Elif(busy.bit_select(tag, 1)):
                    m.d.sync += tag.eq(tag + 1)
                with m.Elif(self.bus_master):
                    m.next = "enter"
            with m.State("enter"):
                m.d.comb += self._entry_write.eq(1)
                with m.If(self._entry_taken):
                    m.d.comb += self.issued.enable.eq(1)
                    m.next = "send"
            self._send(m, address, part, tag, place)
            with m.State("advance"):
                m.d.sync += [
                    place.eq(0),
                    tag.eq(tag + 1),
                    left.eq(left - part),
                    address.eq(address + part),
                    target.eq(self._wrapped(target + part)),
                ]
                m.next = "part"
                with m.If(left == part):
                    m.d.comb += self.read.ready.eq(1)
                    m.next = "idle"

    def _send(self, m: Module, address: Signal, part: Signal, tag: Signal, place: Signal) -> None:
        """The request itself, DW by DW; ``address`` is as it was a clock before."""
        is_long = Signal()
        m.d.sync += is_long.eq(address[30:].any())
        words = tlp.memory_words(
            write=False,
            address=Cat(0, 0, address),
            is_long=is_long,
            length=part,
            tag=tag,
            bdf=self.bdf,
        )
        with m.State("send"):
            m.d.comb += [
                self.o.valid.eq(1),
                self.o.payload.last.eq(place == 2 + is_long),
            ]
            for n, word in enumerate(words):
                with m.If(place == n):
                    m.d.comb += self.o.payload.data.eq(word)
            with m.If(self.o.ready):
                m.d.sync += place.eq(place + 1)
                with m.If(self.o.payload.last):
                    m.next = "advance"

    def _complete(self, m: Module, busy: Signal, abandoned: Signal, ages: Array) -> None:
        """What comes for the requests, and what does not."""
        header, beat = self.completion, self.completions.payload
        tag, swept = Signal(range(self.tags)), Signal(range(self.tags))
        found, entry = Signal(self._entry), Signal(self._entry)
        known, updates, looked = Signal(), Signal(), Signal()
        active = busy & ~abandoned
        m.d.comb += [
            self._lookup.addr.eq(Mux(self.completions.valid, header.tag, swept)),
            found.eq(self._lookup.data),
            self.done.slot.eq(entry.slot),
        ]
        m.d.sync += [
            self.write.enable.eq(0),
            self.write.address.eq(entry.target),
            self.write.data.eq(beat.data),
        ]
        tick = self._tick(m, busy, ages)
        with m.If(self._entry_write & self._entry_taken):
            m.d.sync += [busy.bit_select(self._entry_tag, 1).eq(1), ages[self._entry_tag].eq(0)]
            m.d.sync += abandoned.bit_select(self._entry_tag, 1).eq(0)

        with m.FSM(name="complete"):
            with m.State("lookup"):
                m.d.sync += [
                    entry.eq(found),
                    tag.eq(header.tag),
                    known.eq(
                        (header.tag < self.tags)
                        & (header.requester == self.bdf)
                        & active.bit_select(header.tag[: len(tag)], 1)
                    ),
                ]
                m.d.sync += looked.eq(0)
                with m.If(self.completions.valid):
                    m.next = "weigh"
                with m.Elif(~tick):
                    self._sweep(m, swept, looked, busy, active, abandoned, ages)
            self._judge(m, known, entry)
            self._take(m, entry)
            with m.State("update"):
                m.next = "lookup"
                with m.If(entry.left != 0):
                    m.d.comb += updates.eq(1)
                with m.Else():
                    m.d.comb += [
                        self.done.enable.eq(1),
                        self.done.fault.eq(Mux(entry.refused, Fault.REFUSED, Fault.NONE)),
                    ]
                    m.d.sync += busy.bit_select(tag, 1).eq(0)
            self._fail(m, busy, abandoned, tag)

        m.d.comb += [
            self._entry_taken.eq(~updates),
            self._write.en.eq(updates | self._entry_write),
            self._write.addr.eq(Mux(updates, tag, self._entry_tag)),
            self._write.data.eq(Mux(updates, entry, self._entry_new)),
        ]

    def _judge(self, m: Module, known: Signal, entry: data.View) -> None:
        """Whether a completion is what ``entry`` awaits."""
        header, fits = self.completion, Signal()
        with m.State("weigh"):
            m.d.sync += fits.eq(
                ~self.completions.payload.empty
                & (header.byte_count == entry.left << 2)
                & (header.length <= entry.left)
                & (header.lower_address == Cat(0, 0, entry.lower))
            )
            m.next = "judge"
        with m.State("judge"):
            with m.If(~known):
                m.next = "unexpected"
            with m.Elif(header.status != tlp.Status.SUCCESS):
                m.next = "refused"
            with m.Elif(fits):
                m.next = "data"
            with m.Else():
                m.next = "misfit"

    def _take(self, m: Module, entry: data.View) -> None:
        """The payload of a completion."""
        poisoned = self.completion.poisoned
        with m.State("data"):
            m.d.comb += self.completions.ready.eq(1)
            with m.If(self.completions.valid):
                m.d.sync += [
                    self.write.enable.eq(~poisoned),
                    entry.target.eq(self._wrapped(entry.target + 1)),
                    entry.left.eq(entry.left - 1),
                    entry.lower.eq(entry.lower + 1),
                    entry.refused.eq(entry.refused | poisoned),
                ]
                with m.If(self.completions.payload.last):
                    m.next = "update"

    def _fail(self, m: Module, busy: Signal, abandoned: Signal, tag: Signal) -> None:
        """What becomes of a request that got no data, and of a completion without a request."""
        with m.State("refused"):
            m.d.comb += [self.done.enable.eq(1), self.done.fault.eq(Fault.REFUSED)]
            m.d.sync += busy.bit_select(tag, 1).eq(0)
            m.next = "drop"
        with m.State("misfit"):
            m.d.comb += [self.done.enable.eq(1), self.done.fault.eq(Fault.MISFIT)]
            m.d.sync += abandoned.bit_select(tag, 1).eq(1)
            m.next = "unexpected"
        with m.State("unexpected"):
            m.d.comb += self.unexpected.eq(1)
            m.next = "drop"
        with m.State("late"):
            m.d.comb += [self.done.enable.eq(1), self.done.fault.eq(Fault.LATE)]
            m.next = "lookup"
        with m.State("drop"):
            m.d.comb += self.completions.ready.eq(1)
            with m.If(self.completions.valid & self.completions.payload.last):
                m.next = "lookup"

    def _tick(self, m: Module, busy: Signal, ages: Array) -> Signal:
        """Age what is in flight: half of the ages are no less than ``timeout_clocks``."""
        period = -(-self.timeout_clocks // (AGES // 2 - 1))
        timer, tick = Signal(range(period)), Signal()
        m.d.comb += tick.eq(timer == period - 1)
        m.d.sync += timer.eq(Mux(tick, 0, timer + 1))
        with m.If(tick):
            for n, age in enumerate(ages):
                with m.If(busy[n] & (age != AGES - 1)):
                    m.d.sync += age.eq(age + 1)
        return tick

    def _sweep(
        self,
        m: Module,
        swept: Signal,
        looked: Signal,
        busy: Signal,
        active: Signal,
        abandoned: Signal,
        ages: Array,
    ) -> None:
        """Look at one tag, then give it up, or set it free, if it is time."""
        age, late, over = ages[swept], Signal(), Signal()
        m.d.sync += [
            late.eq(active.bit_select(swept, 1) & (age >= AGES // 2)),
            over.eq(busy.bit_select(swept, 1) & (age == AGES - 1)),
            looked.eq(~looked),
        ]
        with m.If(looked):
            m.d.sync += swept.eq(swept + 1)
            with m.If(late):
                m.d.sync += abandoned.bit_select(swept, 1).eq(1)
                m.next = "late"
            with m.Elif(over):
                m.d.sync += busy.bit_select(swept, 1).eq(0)
