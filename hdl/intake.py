"""Intake: requests in, checked in the order of the golden core, jobs and immediate replies out."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio import wire

from . import keystore, layouts, pool
from .engine.contexts import digest_layout
from .engine.isa import LIMBS
from .jobs import record_layout
from .judge import Judge
from .layouts import CurveId, Op, Status
from .reply import Body, reply_layout
from .routes import Kind
from .stations.words import key_write_layout
from .stream import Chunk, Packet
from .taker import BodyTaker


class Intake(wiring.Component):
    """Takes requests one after the other.

    Parameters
    ----------
    jobs, keys, pages : int
        Job contexts, key slots, pages of the message pool.

    Members
    -------
    requests : In(stream of Packet(8))
        Payloads of whole frames. Stalled while a job finds no context or no pages.
    now : In(32)
        Clock counter, for the jobs' cycles.
    job : In({free, index}), loads : Out(1), take_job : Out(1)
        A free job context, which may load a key if ``loads``; it is taken in the clock of
        ``take_job``.
    jobs_active : In(1)
        Any job is in flight.
    key_slot : Out, key_info : In(keystore.Info)
        Lookup in the key store, in the same clock.
    key_command : Out(stream), key_busy : In(1), acquire : Out(1)
        Loads and wipes; ``acquire`` counts a job of ``key_slot``.
    key_write : Out(stream of key_write_layout(keys))
        The secret of a load, for its RAW word; four limbs. Secret.
    chunks : Out(stream of Chunk), written : In(stream of pool.Head), free_pages : In
        Messages to the pool.
    release : Out(stream of pool.Message)
        A message whose request was refused after it was stored.
    digest : Out({enable, job, limb, data}), digest_taken : In(1)
        A digest to sign; four limbs, each kept up until taken.
    new : Out(stream of {job, record})
        A job begins.
    reply : Out(stream of reply_layout)
        Replies of requests that are no jobs.
    last_tag : Out, short : Out(1)
        The last accepted tag; pulse: a frame without a whole header came.
    good, duplicate, refused, opened, draining : Out(1)
        Pulses for the counters; ``draining`` while OPEN waits for the jobs of the session before.

    Security: :class:`BodyTaker` holds a secret during a load and is zeroised with every request.
    """

    def __init__(self, *, jobs: int, keys: int, pages: int) -> None:
        self.jobs, self.keys, self.pages = jobs, keys, pages
        self.record = record_layout(keys, pages)
        job = range(jobs)
        super().__init__(
            {
                "requests": In(stream.Signature(Packet(8))),
                "now": In(32),
                "job": In(data.StructLayout({"free": 1, "index": job})),
                "loads": Out(1),
                "take_job": Out(1),
                "jobs_active": In(1),
                "key_slot": Out(range(keys)),
                "key_info": In(keystore.Info(jobs)),
                "key_command": Out(stream.Signature(keystore.Command(keys))),
                "key_busy": In(1),
                "acquire": Out(1),
                "key_write": Out(stream.Signature(key_write_layout(keys))),
                "chunks": Out(stream.Signature(Chunk)),
                "written": In(stream.Signature(pool.Head(pages))),
                "free_pages": In(range(pages + 1)),
                "release": Out(stream.Signature(pool.Message(pages))),
                "digest": Out(digest_layout(jobs)),
                "digest_taken": In(1),
                "new": Out(
                    stream.Signature(data.StructLayout({"job": job, "record": self.record}))
                ),
                "reply": Out(stream.Signature(reply_layout(keys))),
                "last_tag": Out(wire.TAG_BITS),
                "short": Out(1),
                "good": Out(1),
                "duplicate": Out(1),
                "refused": Out(1),
                "opened": Out(1),
                "draining": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.judge = judge = Judge(keys=self.keys, jobs=self.jobs)
        m.submodules.body = body = BodyTaker()
        header = Signal(layouts.Request)
        session = Signal(16)
        status, takes_tag = Signal(Status), Signal()
        started = Signal(32)
        page = Signal(range(self.pages))
        limb = Signal(range(LIMBS))
        looked = Signal(judge.latency)
        needed = Signal(range(wire.pages(1 << len(header.length)) + 1))
        m.d.comb += [
            judge.header.eq(header),
            judge.info.eq(self.key_info),
            judge.session.eq(session),
            judge.last_tag.eq(self.last_tag),
            judge.jobs_active.eq(self.jobs_active),
            self.key_slot.eq(header.slot),
        ]
        is_load, is_message, is_digest = self.loads, Signal(), Signal()
        differs, exceeds = Signal(), Signal()
        m.d.sync += [
            is_load.eq(header.op == Op.LOAD_KEY),
            is_message.eq(header.op == Op.SIGN_MESSAGE),
            is_digest.eq(header.op == Op.SIGN_DIGEST),
            differs.eq(body.received != header.length),
            exceeds.eq(body.received > header.length),
        ]
        is_job = is_load | is_message | is_digest
        stores = Signal()
        m.d.sync += [
            stores.eq(is_message & (status == Status.OK)),
            body.to_word.eq(~is_message & (status == Status.OK)),
            body.big_endian.eq(~(is_load & (header.curve == CurveId.ED25519))),
            body.next.eq(0),
        ]
        # something of the message went to the pool
        keeps = stores & (body.received != 0) & (header.length != 0)

        # the states "header" and "body", in registers of their own
        in_header, in_body = Signal(init=1), Signal()
        connect(m, body.chunks, flipped(self.chunks))
        m.d.comb += [
            self.idle.eq(in_header & ~self.requests.valid),
            self.requests.ready.eq(in_header | body.i.ready),
            body.i.payload.eq(self.requests.payload),
            body.i.valid.eq(self.requests.valid),
            body.length.eq(header.length),
            body.enable.eq(in_body),
            body.to_chunks.eq(stores),
        ]
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += [body.ended.eq(self.requests.payload.last), started.eq(self.now)]
        with m.FSM():
            with m.State("header"):
                self._header(m, header, in_header)
            with m.State("look"):
                # the slot is looked up, then judged
                m.d.sync += looked.eq(Cat(1, looked))
                with m.If(looked.all()):
                    m.d.sync += looked.eq(0)
                    m.next = "judge"
            with m.State("judge"):
                m.d.sync += [
                    status.eq(judge.status),
                    takes_tag.eq(judge.takes_tag),
                    needed.eq((header.length + wire.PAGE_BYTES - 1) // wire.PAGE_BYTES),
                ]
                m.d.comb += [body.start.eq(1), self.good.eq(1)]
                m.next = "room"
            with m.State("room"):
                fits = self.job.free & (~is_message | (self.free_pages >= needed))
                with m.If((status != Status.OK) | ~is_job | fits):
                    m.d.sync += in_body.eq(1)
                    m.next = "body"
            with m.State("body"), m.If(body.done):
                m.d.sync += in_body.eq(0)
                m.next = "rank"
                with m.If(keeps):
                    m.next = "stored"
            with m.State("stored"):
                m.d.comb += self.written.ready.eq(1)
                with m.If(self.written.valid):
                    m.d.sync += page.eq(self.written.payload.page)
                    m.next = "rank"
            with m.State("rank"):
                self._rank(m, header, status, takes_tag, differs)
            with m.State("decide"):
                self._decide(m, header, status, keeps, session)
            with m.State("refund"):
                m.d.comb += [
                    self.release.valid.eq(1),
                    self.release.payload.page.eq(page),
                    self.release.payload.length.eq(Mux(exceeds, header.length, body.received)),
                ]
                with m.If(self.release.ready):
                    m.next = "reply"
            with m.State("drain"):
                m.d.comb += self.draining.eq(1)
                with m.If(~self.jobs_active):
                    m.d.comb += self.opened.eq(1)
                    m.next = "command"
            with m.State("command"):
                self._command(m, header, is_load)
            with m.State("secret"):
                self._secret(m, header, body, limb)
            with m.State("begin"):
                self._begin(m, header, (is_load, is_message, is_digest), body, limb, page, started)
            with m.State("reply"):
                self._reply(m, header, status)
            with m.State("clear"):
                m.d.comb += body.clear.eq(1)
                m.d.sync += in_header.eq(1)
                m.next = "header"
        return m

    def _header(self, m: Module, header: data.View, in_header: Signal) -> None:
        byte = self.requests.payload
        taken = Signal(range(wire.REQUEST.size))
        with m.If(self.requests.valid):
            bits = header.as_value()
            m.d.sync += [
                bits.eq(Cat(bits, byte.data)[8:]),
                taken.eq(taken + 1),
            ]
            with m.If(taken == wire.REQUEST.size - 1):
                m.d.sync += [taken.eq(0), in_header.eq(0)]
                m.next = "look"
            with m.Elif(byte.last):
                m.d.sync += taken.eq(0)
                m.d.comb += self.short.eq(1)

    def _rank(
        self,
        m: Module,
        header: data.View,
        status: Signal,
        takes_tag: Signal,
        differs: Signal,
    ) -> None:
        """With the body's true length known: the status, and whether the tag counts."""
        of_format = (Status.BAD_VERSION, Status.BAD_OP)
        of_session = (Status.STALE_SESSION, Status.DUPLICATE)
        opens = header.op == Op.OPEN
        wrong_length = Signal()
        ranks_before = Cat(status == earlier for earlier in of_format).any() | (
            Cat(status == earlier for earlier in of_session).any() & ~opens
        )
        m.d.comb += wrong_length.eq(differs & ~ranks_before)
        with m.If(wrong_length):
            m.d.sync += status.eq(Status.BAD_LENGTH)
        with m.If(takes_tag & ~(opens & wrong_length)):
            m.d.sync += self.last_tag.eq(header.tag)
        m.next = "decide"

    def _decide(
        self,
        m: Module,
        header: data.View,
        status: Signal,
        keeps: Value,
        session: Signal,
    ) -> None:
        """Refuse, or go and do it."""
        with m.If(status != Status.OK):
            m.d.comb += [
                self.duplicate.eq(status == Status.DUPLICATE),
                self.refused.eq(status != Status.DUPLICATE),
            ]
            m.next = "reply"
            with m.If(keeps):
                m.next = "refund"
        with m.Else(), m.Switch(header.op):
            with m.Case(Op.OPEN):
                m.d.sync += session.eq(header.session)
                m.next = "drain"
            with m.Case(Op.LOAD_KEY, Op.WIPE_KEY, Op.WIPE_ALL):
                m.next = "command"
            with m.Case(Op.SIGN_MESSAGE, Op.SIGN_DIGEST):
                m.next = "begin"
            with m.Default():
                m.next = "reply"

    def _command(self, m: Module, header: data.View, is_load: Signal) -> None:
        """Have the key store zeroise; wait until it has."""
        given = Signal()
        payload = self.key_command.payload
        m.d.comb += [
            self.key_command.valid.eq(~given),
            payload.slot.eq(header.slot),
            payload.curve.eq(header.curve),
            payload.action.eq(keystore.Action.WIPE_ALL),
        ]
        with m.If(is_load):
            m.d.comb += payload.action.eq(keystore.Action.BEGIN_LOAD)
        with m.Elif(header.op == Op.WIPE_KEY):
            m.d.comb += payload.action.eq(keystore.Action.WIPE)
        with m.If(self.key_command.ready):
            m.d.sync += given.eq(1)
        with m.If(given & ~self.key_busy):
            m.d.sync += given.eq(0)
            m.next = "reply"
            with m.If(is_load):
                m.next = "secret"

    def _secret(self, m: Module, header: data.View, body: BodyTaker, limb: Signal) -> None:
        """Have the key store take the secret."""
        payload = self.key_write.payload
        m.d.comb += [
            payload.slot.eq(header.slot),
            payload.index.eq(keystore.Word.RAW),
            payload.limb.eq(limb),
            payload.data.eq(body.limb),
        ]
        m.d.sync += self.key_write.valid.eq(1)
        with m.If(self.key_write.valid & self.key_write.ready):
            m.d.sync += [self.key_write.valid.eq(0), body.next.eq(1), limb.eq(limb + 1)]
            with m.If(limb == LIMBS - 1):
                m.next = "begin"

    def _begin(
        self,
        m: Module,
        header: data.View,
        operation: tuple[Signal, Signal, Signal],
        body: BodyTaker,
        limb: Signal,
        page: Signal,
        started: Signal,
    ) -> None:
        """Hand the job over."""
        record, (is_load, is_message, hashed) = self.new.payload.record, operation
        kinds = {
            (0, CurveId.ED25519): Kind.SIGN_ED25519,
            (0, CurveId.SECP256K1): Kind.SIGN_ECDSA,
            (1, CurveId.ED25519): Kind.LOAD_ED25519,
            (1, CurveId.SECP256K1): Kind.LOAD_ECDSA,
        }
        for (load, curve), kind in kinds.items():
            with m.If((is_load == load) & (header.curve == curve)):
                m.d.comb += record.kind.eq(kind)
        with m.If(is_message):
            m.d.comb += [
                record.page.eq(page),
                record.length.eq(header.length),
                record.check.eq(body.check),
            ]
        stored = Signal()
        m.d.comb += [
            self.new.payload.job.eq(self.job.index),
            record.op.eq(header.op),
            record.tag.eq(header.tag),
            record.slot.eq(header.slot),
            record.hashed.eq(hashed),
            record.start.eq(started),
            self.digest.job.eq(self.job.index),
            self.digest.limb.eq(limb),
            self.digest.data.eq(body.limb),
        ]
        m.d.sync += [
            self.digest.enable.eq(hashed & ~stored),
            self.new.valid.eq(~hashed | stored),
        ]
        with m.If(self.digest.enable & self.digest_taken):
            m.d.sync += [
                self.digest.enable.eq(0),
                body.next.eq(1),
                limb.eq(limb + 1),
                stored.eq(limb == LIMBS - 1),
            ]
        with m.If(self.new.valid & self.new.ready):
            m.d.comb += [self.take_job.eq(1), self.acquire.eq(1)]
            m.d.sync += [self.new.valid.eq(0), stored.eq(0)]
            m.next = "clear"

    def _reply(self, m: Module, header: data.View, status: Signal) -> None:
        """Answer at once."""
        payload = self.reply.payload
        m.d.comb += [
            self.reply.valid.eq(1),
            payload.op.eq(header.op),
            payload.tag.eq(header.tag),
            payload.status.eq(status),
            payload.slot.eq(header.slot),
        ]
        with m.If(status == Status.OK), m.Switch(header.op):
            with m.Case(Op.OPEN, Op.IDENTIFY):
                m.d.comb += payload.body.eq(Body.IDENTITY)
            with m.Case(Op.COUNTERS):
                m.d.comb += payload.body.eq(Body.COUNTERS)
            with m.Case(Op.PUBLIC_KEY):
                m.d.comb += payload.body.eq(Body.KEY)
        with m.If(self.reply.ready):
            m.next = "clear"
