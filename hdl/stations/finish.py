"""Finish: jobs end, their replies leave, all they held is wiped."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from .. import keystore, pool
from ..engine.isa import OUTBOX_WORDS, WORD_BITS
from ..jobs import Kind, record_layout
from ..layouts import Op, Status
from ..reply import Body, reply_layout
from .words import encode_point, key_write_layout, outbox_read_layout, reverse_bytes


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
        Lookup of a job's record, in the same clock.
    outbox : Out({want, job, index}), outbox_taken : In(1)
    outbox_word : In(260), outbox_damaged : In(1)
        Reads, one clock after a clock with ``want`` and ``outbox_taken``. A damaged word is FAULT.
    key_write : Out(stream of {slot, index, data}), key_finish : Out(stream), key_release : Out(1)
        Public words of a loaded key; end of the load; the slot has one job less.
    reply : Out(stream of reply_layout)
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
                "outbox_word": In(WORD_BITS),
                "outbox_damaged": In(1),
                "key_write": Out(stream.Signature(key_write_layout(keys))),
                "key_finish": Out(stream.Signature(keystore.Finish(keys))),
                "key_release": Out(1),
                "reply": Out(stream.Signature(reply_layout(keys))),
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
        words = [Signal(256, name=f"word{i}") for i in range(OUTBOX_WORDS)]
        record = self.record
        is_load = (record.kind == Kind.LOAD_ED25519) | (record.kind == Kind.LOAD_ECDSA)
        is_ed25519 = (record.kind == Kind.LOAD_ED25519) | (record.kind == Kind.SIGN_ED25519)
        is_good = current.status == Status.OK
        point = encode_point(words[0], words[1])
        m.d.comb += [
            self.record_job.eq(Mux(self.idle, self.finish.payload.job, current.job)),
            self.key_write.payload.slot.eq(record.slot),
            self.key_finish.payload.slot.eq(record.slot),
            self.key_finish.payload.ok.eq(is_good),
            self.wipe.payload.job.eq(current.job),
            self.release.payload.page.eq(record.page),
            self.release.payload.length.eq(record.length),
            self.free.job.eq(current.job),
        ]
        self._reply(m, current, cycles, words, is_load, is_ed25519, point)

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
                    m.d.sync += cycles.eq(self.now - record.start)
                    m.next = "read"
            with m.State("read"):
                self._read(m, current, words)
            with m.State("checked"):
                with m.If(~is_good):
                    m.d.sync += [word.eq(0) for word in words]
                m.next = "reply"
                with m.If(is_load):
                    m.next = "publish"
            with m.State("publish"):
                m.d.comb += [
                    self.key_write.valid.eq(1),
                    self.key_write.payload.index.eq(keystore.Word.PUBLIC0),
                    self.key_write.payload.data.eq(Mux(is_ed25519, point, reverse_bytes(words[0]))),
                ]
                with m.If(self.key_write.ready):
                    m.next = "publish more"
            with m.State("publish more"):
                m.d.comb += [
                    self.key_write.valid.eq(1),
                    self.key_write.payload.index.eq(keystore.Word.PUBLIC1),
                    self.key_write.payload.data.eq(Mux(is_ed25519, 0, reverse_bytes(words[1]))),
                ]
                with m.If(self.key_write.ready):
                    m.next = "finish load"
            with m.State("finish load"):
                m.d.comb += self.key_finish.valid.eq(1)
                with m.If(self.key_finish.ready):
                    m.next = "reply"
            with m.State("reply"):
                m.d.comb += self.reply.valid.eq(~self.mute)
                with m.If(self.reply.ready | self.mute):
                    m.d.comb += [
                        self.key_release.eq(1),
                        self.done.eq(is_good),
                        self.fault.eq(current.status == Status.FAULT),
                        self.refused.eq(current.status == Status.INVALID_KEY),
                    ]
                    m.next = "wipe"
            with m.State("wipe"):
                m.d.comb += self.wipe.valid.eq(1)
                m.d.sync += [word.eq(0) for word in words]
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

    def _read(self, m: Module, current: data.View, words: list[Signal]) -> None:
        """Read the outbox; damage is a fault."""
        index, arrives = Signal(range(OUTBOX_WORDS)), Signal()
        m.d.comb += [
            self.outbox.want.eq(~arrives),
            self.outbox.job.eq(current.job),
            self.outbox.index.eq(index),
        ]
        with m.If(self.outbox_taken & ~arrives):
            m.d.sync += arrives.eq(1)
        with m.If(arrives):
            m.d.sync += [arrives.eq(0), index.eq(index + 1)]
            with m.If(self.outbox_damaged):
                m.d.sync += current.status.eq(Status.FAULT)
            with m.Switch(index):
                for i, word in enumerate(words):
                    with m.Case(i):
                        m.d.sync += word.eq(self.outbox_word)
            with m.If(index == OUTBOX_WORDS - 1):
                m.next = "checked"

    def _reply(
        self,
        m: Module,
        current: data.View,
        cycles: Signal,
        words: list[Signal],
        is_load: Value,
        is_ed25519: Value,
        point: Value,
    ) -> None:
        """The reply; its body only if the job's status is OK."""
        record, payload = self.record, self.reply.payload
        eddsa = Cat(point, words[2])
        ecdsa = Cat(reverse_bytes(words[2]), reverse_bytes(words[3]))
        m.d.comb += [
            payload.op.eq(record.op),
            payload.tag.eq(record.tag),
            payload.status.eq(current.status),
            payload.recid.eq(Mux(is_ed25519, wire.NO_RECID, current.recid)),
            payload.cycles.eq(cycles),
            payload.slot.eq(record.slot),
        ]
        with m.If(current.status == Status.OK):
            m.d.comb += [
                payload.body.eq(Mux(is_load, Body.KEY, Body.SIGNATURE)),
                payload.signature.eq(Mux(is_ed25519, eddsa, ecdsa)),
            ]
