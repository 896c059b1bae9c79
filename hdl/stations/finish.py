"""Finish: jobs end, their replies leave, all they held is wiped."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from .. import keystore, pool
from ..engine.isa import WORD_BITS
from ..jobs import Kind, record_layout
from ..layouts import Op, Status
from ..reply import Body, reply_layout
from .words import key_write_layout, outbox_read_layout


class Finish(wiring.Component):
    """Ends jobs: publishes keys, replies, wipes and frees everything the job held.

    Members
    -------
    finish : In(stream of {job, status, recid})
        Jobs that have been through all their stations.
    now : In(32)
    mute : In(1)
        Send no replies (the session they belong to is over).
    record_job : Out, record : In
        Lookup of a job's record, two clocks later.
    outbox : Out({want, job, index}), outbox_taken : In(1)
    outbox_found : In(1), outbox_word : In(260), outbox_damaged : In(1)
        Reads: ``want`` until ``outbox_taken``, then the word in the clock of ``outbox_found``.
        ``damaged`` comes another clock later; it is a FAULT.
    key_write : Out(stream of {slot, index, data}), key_finish : Out(stream), key_release : Out(1)
        Public words of a loaded key; end of the load; the slot has one job less.
    reply : Out(stream of reply_layout), words : Out(2 x 256)
        ``words``: R and S, or r and s, of the reply's signature, until the clock after it was
        taken; the leading word in bits 255..0.
    wipe : Out(stream of {job}), release : Out(stream of pool.Message), forget : Out(1)
        Zeroise the context, the message and the digest.
    free : Out({enable, job})
        The context is free again.
    done, fault, refused : Out(1)
        Pulses for the counters.
    idle : Out(1)
        Nothing is being finished. Low after a reset until every context and digest is zeroised;
        no context is free before :attr:`free` said so.

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
                "record": In(record_layout(keys, pages)),
                "outbox": Out(outbox_read_layout(jobs)),
                "outbox_taken": In(1),
                "outbox_found": In(1),
                "outbox_word": In(WORD_BITS),
                "outbox_damaged": In(1),
                "key_write": Out(stream.Signature(key_write_layout(keys))),
                "key_finish": Out(stream.Signature(keystore.Finish(keys))),
                "key_release": Out(1),
                "reply": Out(stream.Signature(reply_layout(keys))),
                "words": Out(2 * 256),
                "wipe": Out(stream.Signature(data.StructLayout({"job": job}))),
                "release": Out(stream.Signature(pool.Message(pages))),
                "free": Out(data.StructLayout({"enable": 1, "job": job})),
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
        first, other, clears = Signal(256), Signal(256), Signal()
        record = self.record
        is_load, is_ed25519 = Signal(), Signal()
        is_good = current.status == Status.OK
        m.d.comb += [
            self.record_job.eq(current.job),
            self.key_write.payload.slot.eq(record.slot),
            self.key_finish.payload.slot.eq(record.slot),
            self.key_finish.payload.ok.eq(is_good),
            self.wipe.payload.job.eq(current.job),
            self.release.payload.page.eq(record.page),
            self.release.payload.length.eq(record.length),
            self.free.job.eq(current.job),
            self.words.eq(Cat(first, other)),
        ]
        self._reply(m, current, cycles, is_load, is_ed25519)
        m.d.sync += clears.eq(0)
        with m.If(clears):
            m.d.sync += [first.eq(0), other.eq(0)]

        with m.FSM(init="sweep") as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("idle"))
            with m.State("sweep"):
                m.d.comb += self.wipe.valid.eq(1)
                with m.If(self.wipe.ready):
                    m.next = "swept"
            with m.State("swept"):
                m.d.comb += self.free.enable.eq(1)
                m.d.sync += current.job.eq(current.job + 1)
                m.next = "sweep"
                with m.If(current.job == self.jobs - 1):
                    m.next = "idle"
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
            with m.State("read"):
                self._read(m, current, is_load, is_ed25519, first, other)
            with m.State("checked"):
                m.d.sync += clears.eq(~is_good)
                m.next = "cleared"
            with m.State("cleared"):
                m.next = "reply"
                with m.If(is_load):
                    m.next = "publish"
            for state, index, word, after in (
                ("publish", keystore.Word.PUBLIC0, first, "publish more"),
                ("publish more", keystore.Word.PUBLIC1, other, "finish load"),
            ):
                with m.State(state):
                    m.d.comb += [
                        self.key_write.valid.eq(1),
                        self.key_write.payload.index.eq(index),
                        self.key_write.payload.data.eq(word),
                    ]
                    with m.If(self.key_write.ready):
                        m.next = after
            with m.State("finish load"):
                m.d.comb += self.key_finish.valid.eq(1)
                with m.If(self.key_finish.ready):
                    m.next = "reply"
            with m.State("reply"):
                m.d.comb += self.reply.valid.eq(~self.mute)
                with m.If(self.reply.ready | self.mute):
                    m.next = "replied"
            with m.State("replied"):
                m.d.comb += [
                    self.key_release.eq(1),
                    self.done.eq(is_good),
                    self.fault.eq(current.status == Status.FAULT),
                    self.refused.eq(current.status == Status.INVALID_KEY),
                ]
                m.next = "wipe"
            with m.State("wipe"):
                m.d.comb += self.wipe.valid.eq(1)
                m.d.sync += clears.eq(1)
                with m.If(self.wipe.ready):
                    m.next = "free"
                    with m.If((record.op == Op.SIGN_MESSAGE) & (record.length != 0)):
                        m.next = "release"
            with m.State("release"):
                m.d.comb += self.release.valid.eq(1)
                with m.If(self.release.ready):
                    m.next = "free"
            with m.State("free"):
                m.d.comb += self.free.enable.eq(1)
                m.next = "idle"
        return m

    def _read(
        self,
        m: Module,
        current: data.View,
        is_load: Signal,
        is_ed25519: Signal,
        first: Signal,
        other: Signal,
    ) -> None:
        """Read the parity of x, the leading word and the other; damage is a fault.

        An encoded point has its parity of x in its highest bit. An Ed25519 key is one word: zeros
        follow.
        """
        turn, waits, arrived = Signal(range(3)), Signal(), Signal()
        parity = Signal()
        leading = Mux(is_ed25519, 1, Mux(is_load, 0, 2))
        m.d.comb += [
            self.outbox.want.eq(~waits & ~arrived),
            self.outbox.job.eq(current.job),
            self.outbox.index.eq(Mux(turn == 0, 0, leading + (turn == 2))),
        ]
        m.d.sync += arrived.eq(self.outbox_found)
        with m.If(self.outbox_taken):
            m.d.sync += waits.eq(1)
        with m.If(self.outbox_found):
            m.d.sync += waits.eq(0)
        with m.If(self.outbox_found), m.Switch(turn):
            with m.Case(0):
                m.d.sync += parity.eq(self.outbox_word[0])
            with m.Case(1):
                highest = Mux(is_ed25519, parity, self.outbox_word[255])
                m.d.sync += first.eq(Cat(self.outbox_word[:255], highest))
            with m.Default():
                m.d.sync += other.eq(self.outbox_word)
        with m.If(arrived):
            m.d.sync += turn.eq(turn + 1)
            with m.If(self.outbox_damaged):
                m.d.sync += current.status.eq(Status.FAULT)
            with m.If(turn == 2):
                m.d.sync += [turn.eq(0), parity.eq(0)]
                with m.If(is_load & is_ed25519):
                    m.d.sync += other.eq(0)
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
