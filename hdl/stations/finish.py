"""Finish: jobs end, their replies leave, all they held is wiped."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from .. import keystore, pool
from ..engine.isa import LIMB_BITS, LIMBS, WORD_BITS
from ..jobs import record_layout
from ..layouts import Op, Status
from ..reply import Body, reply_layout
from ..routes import Kind
from .words import key_write_layout, outbox_read_layout


class _Turn(enum.Enum, shape=2):
    """What is read of the outbox, in this order."""

    PARITY = 0
    LEADING = 1
    OTHER = 2
    DONE = 3


_Place = data.StructLayout({"limb": range(LIMBS), "turn": _Turn})
"""A limb of what is read."""

_FIRST = _Place.const({"limb": LIMBS - 1, "turn": _Turn.PARITY})
"""The parity's limb: the words follow."""


class _Words(wiring.Component):
    """Two words: limbs enter above and leave below, zeros behind them.

    Members
    -------
    enter, leave : In(1), entering : In(LIMB_BITS)
        All move down by one, never both in one clock; ``entering`` is zero if they leave.
    limb : Out(LIMB_BITS), number : Out(0..7), is_last : Out(1)
        The lowest limb; which of the two words' it is, once all have entered.
    clear : In(1)
        Zeroise.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "enter": In(1),
                "entering": In(LIMB_BITS),
                "leave": In(1),
                "limb": Out(LIMB_BITS),
                "number": Out(range(2 * LIMBS)),
                "is_last": Out(1),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        words = Signal(2 * WORD_BITS)
        m.d.comb += [
            self.limb.eq(words[:LIMB_BITS]),
            self.is_last.eq(self.number == 2 * LIMBS - 1),
        ]
        with m.If(self.clear):
            m.d.sync += words.eq(0)
        with m.Elif(self.enter | self.leave):
            m.d.sync += words.eq(Cat(words[LIMB_BITS:], self.entering))
        with m.If(self.leave):
            m.d.sync += self.number.eq(self.number + 1)
        return m


class Finish(wiring.Component):
    """Ends jobs: publishes keys, replies, wipes and frees everything the job held.

    Members
    -------
    finish : In(stream of {job, status, recid})
        Jobs that have been through all their stations.
    now : In(32)
    mute : In(1)
        Send no replies (the session they belong to is over). One that is offered already stays so.
    record_job : Out, record : In
        Lookup of a job's record, two clocks later.
    outbox : Out({want, job, index, limb}), outbox_taken : In(1)
    outbox_found : In(1), outbox_limb : In(LIMB_BITS), outbox_damaged : In(1)
        Reads: ``want`` until ``outbox_taken``. The limbs are asked one after the other and come in
        this order, each in a clock of ``outbox_found``. ``damaged`` comes another clock later; it
        is a FAULT.
    key_write : Out(stream of {slot, index, limb, data})
    key_finish : Out(stream), key_release : Out(1)
        Public words of a loaded key, four limbs each; end of the load; the slot has one job less.
    reply : Out(stream of reply_layout), limbs : Out(stream of LIMB_BITS)
        ``limbs``: after a reply with body SIGNATURE was taken, the four of R or r, then the four of
        S or s.
    wipe : Out(stream of {job}), release : Out(stream of pool.Message)
        Zeroise the context with its digest, which is free when it is, and the message.
    done, fault, refused : Out(1)
        Pulses for the counters.
    idle : Out(1)
        Nothing is being finished. Low after a reset until every context was given to :attr:`wipe`.

    Security: only what passed the release check leaves the outbox.
    """

    def __init__(self, *, jobs: int, keys: int, pages: int) -> None:
        self.jobs, self.keys = jobs, keys
        job = range(jobs)
        finish = data.StructLayout({"job": job, "status": Status, "recid": 2})
        super().__init__(
            {
                "finish": In(stream.Signature(finish)),
                "now": In(32),
                "mute": In(1),
                "record_job": Out(job),
                "record": In(record_layout(keys, pages, "finish")),
                "outbox": Out(outbox_read_layout(jobs)),
                "outbox_taken": In(1),
                "outbox_found": In(1),
                "outbox_limb": In(LIMB_BITS),
                "outbox_damaged": In(1),
                "key_write": Out(stream.Signature(key_write_layout(keys))),
                "key_finish": Out(stream.Signature(keystore.Finish(keys))),
                "key_release": Out(1),
                "reply": Out(stream.Signature(reply_layout(keys))),
                "limbs": Out(stream.Signature(LIMB_BITS)),
                "wipe": Out(stream.Signature(data.StructLayout({"job": job}))),
                "release": Out(stream.Signature(pool.Message(pages))),
                "done": Out(1),
                "fault": Out(1),
                "refused": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        current = Signal(self.finish.payload.shape())
        cycles = Signal(32)
        record = self.record
        is_load, is_ed25519, offered, leaving = Signal(), Signal(), Signal(), Signal()
        is_good = current.status == Status.OK
        m.d.comb += [
            self.record_job.eq(current.job),
            self.key_finish.payload.slot.eq(record.slot),
            self.key_finish.payload.ok.eq(is_good),
            self.wipe.payload.job.eq(current.job),
            self.release.payload.page.eq(record.page),
            self.release.payload.length.eq(record.length),
        ]
        self._reply(m, current, cycles, is_load, is_ed25519)
        words = self._words(m, leaving)
        m.d.sync += [words.clear.eq(0), offered.eq(self.reply.valid & ~self.reply.ready)]

        with m.FSM(init="sweep") as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("idle") & ~leaving)
            self._sweep(m, current)
            with m.State("idle"):
                m.d.comb += self.finish.ready.eq(1)
                m.d.sync += current.eq(self.finish.payload)
                with m.If(self.finish.valid):
                    m.d.sync += cycles.eq(self.now)
                    m.next = "look"
            with m.State("look"):
                m.next = "found"
            with m.State("found"):
                m.next = "count"
            with m.State("count"):
                loads = (record.kind == Kind.LOAD_ED25519) | (record.kind == Kind.LOAD_ECDSA)
                edwards = (record.kind == Kind.LOAD_ED25519) | (record.kind == Kind.SIGN_ED25519)
                m.d.sync += [
                    cycles.eq(cycles - record.start),
                    is_load.eq(loads),
                    is_ed25519.eq(edwards),
                ]
                m.next = "read"
            with m.State("read"), m.If(~leaving):
                self._read(m, current, words, is_load, is_ed25519)
            with m.State("checked"):
                m.d.sync += words.clear.eq(~is_good)
                m.next = "cleared"
            with m.State("cleared"):
                m.next = "reply"
                with m.If(is_load):
                    m.next = "publish"
            with m.State("publish"):
                m.d.comb += self.key_write.valid.eq(1)
                with m.If(self.key_write.ready & words.is_last):
                    m.next = "finish load"
            with m.State("finish load"):
                m.d.comb += self.key_finish.valid.eq(1)
                with m.If(self.key_finish.ready):
                    m.next = "reply"
            with m.State("reply"):
                m.d.comb += self.reply.valid.eq(~self.mute | offered)
                with m.If(~self.reply.valid):
                    m.d.sync += words.clear.eq(1)
                    m.next = "replied"
                with m.Elif(self.reply.ready):
                    m.d.sync += leaving.eq(self.reply.payload.body == Body.SIGNATURE)
                    m.next = "replied"
            self._end(m, current)
        return m

    def _sweep(self, m: Module, current: data.View) -> None:
        """After a reset: every context is wiped."""
        with m.State("sweep"):
            m.d.comb += self.wipe.valid.eq(1)
            with m.If(self.wipe.ready):
                m.d.sync += current.job.eq(current.job + 1)
                with m.If(current.job == self.jobs - 1):
                    m.next = "idle"

    def _end(self, m: Module, current: data.View) -> None:
        """Count the job, free what it held; its context last, whose record is still looked at."""
        with m.State("replied"):
            m.d.comb += [
                self.key_release.eq(1),
                self.done.eq(current.status == Status.OK),
                self.fault.eq(current.status == Status.FAULT),
                self.refused.eq(current.status == Status.INVALID_KEY),
            ]
            m.next = "wipe"
            with m.If((self.record.op == Op.SIGN_MESSAGE) & (self.record.length != 0)):
                m.next = "release"
        with m.State("release"):
            m.d.comb += self.release.valid.eq(1)
            with m.If(self.release.ready):
                m.next = "wipe"
        with m.State("wipe"):
            m.d.comb += self.wipe.valid.eq(1)
            with m.If(self.wipe.ready):
                m.next = "idle"

    def _words(self, m: Module, leaving: Signal) -> _Words:
        """The words, and the ways on which they leave; a signature's while the job ends, at the
        latest before the next job's are read.
        """
        m.submodules.words = words = _Words()
        key_write = self.key_write.payload
        m.d.comb += [
            key_write.slot.eq(self.record.slot),
            key_write.index.eq(Mux(words.number[-1], keystore.Word.PUBLIC1, keystore.Word.PUBLIC0)),
            key_write.limb.eq(words.number),
            key_write.data.eq(words.limb),
            self.limbs.valid.eq(leaving),
            self.limbs.payload.eq(words.limb),
            words.leave.eq(
                (self.key_write.valid & self.key_write.ready)
                | (self.limbs.valid & self.limbs.ready)
            ),
        ]
        with m.If(self.limbs.ready & words.is_last):
            m.d.sync += leaving.eq(0)
        return words

    def _read(
        self, m: Module, current: data.View, words: _Words, is_load: Signal, is_ed25519: Signal
    ) -> None:
        """Read the parity of x, the leading word and the other; damage is a fault.

        An encoded point has its parity of x in its highest bit. An Ed25519 key is one word: zeros
        follow.
        """
        asked, found = Signal(_Place, init=_FIRST), Signal(_Place, init=_FIRST)
        parity, arrived = Signal(), Signal()
        leading = Mux(is_ed25519, 1, Mux(is_load, 0, 2))
        m.d.comb += [
            self.outbox.want.eq(asked.turn != _Turn.DONE),
            self.outbox.job.eq(current.job),
            words.entering.eq(self.outbox_limb),
        ]
        with m.If(asked.turn != _Turn.PARITY):
            m.d.comb += [
                self.outbox.index.eq(leading + (asked.turn == _Turn.OTHER)),
                self.outbox.limb.eq(asked.limb),
            ]
        with m.If(self.outbox.want & self.outbox_taken):
            m.d.sync += asked.eq(asked.as_value() + 1)
        with m.If(self.outbox_found):
            m.d.sync += found.eq(found.as_value() + 1)
        with m.Switch(found.turn):
            with m.Case(_Turn.PARITY), m.If(self.outbox_found):
                m.d.sync += parity.eq(self.outbox_limb[0])
            with m.Case(_Turn.LEADING):
                m.d.comb += words.enter.eq(self.outbox_found)
                with m.If(is_ed25519 & (found.limb == LIMBS - 1)):
                    m.d.comb += words.entering[255 % LIMB_BITS].eq(parity)
            with m.Case(_Turn.OTHER):
                m.d.comb += words.enter.eq(self.outbox_found)
                with m.If(is_load & is_ed25519):
                    m.d.comb += words.entering.eq(0)
        m.d.sync += arrived.eq(self.outbox_found)
        with m.If(arrived):
            with m.If(self.outbox_damaged):
                m.d.sync += current.status.eq(Status.FAULT)
            with m.If(found.turn == _Turn.DONE):
                m.d.sync += [asked.eq(_FIRST), found.eq(_FIRST), parity.eq(0)]
                m.next = "checked"

    def _reply(
        self,
        m: Module,
        current: data.View,
        cycles: Signal,
        is_load: Signal,
        is_ed25519: Signal,
    ) -> None:
        """The reply; its body only if the job's status is OK."""
        record, payload = self.record, self.reply.payload
        m.d.comb += [
            payload.op.eq(record.op),
            payload.tag.eq(record.tag),
            payload.status.eq(current.status),
            payload.recid.eq(Mux(is_ed25519, wire.NO_RECID, current.recid)),
            payload.cycles.eq(cycles),
            payload.slot.eq(record.slot),
            payload.big_endian.eq(~is_ed25519),
        ]
        with m.If(current.status == Status.OK):
            m.d.comb += payload.body.eq(Mux(is_load, Body.KEY, Body.SIGNATURE))
