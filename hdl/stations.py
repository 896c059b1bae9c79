"""What happens between hash lanes, engine and reply: words gathered, handed on, and wiped."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from intaglio import wire

from . import keystore, pool
from .engine.contexts import inbox_layout
from .engine.isa import OUTBOX_WORDS, WORD_BITS
from .hash.lanes import (
    ecdsa_request_layout,
    ecdsa_result_layout,
    sha512_request_layout,
    sha512_result_layout,
)
from .jobs import Kind, record_layout
from .layouts import Op, Status
from .reply import Body, reply_layout


def reverse_bytes(value: Value) -> Cat:
    """The bytes of ``value`` in the other order."""
    return Cat(value[i : i + 8] for i in reversed(range(0, len(value), 8)))


def encode_point(x: Value, y: Value) -> Cat:
    """An Ed25519 point as RFC 8032, section 5.1.2, writes it, the first byte in bits 7..0."""
    return Cat(y[:255], x[0])


def key_write_layout(keys: int) -> data.StructLayout:
    """A word for the key store."""
    return data.StructLayout({"slot": range(keys), "index": keystore.Word, "data": 256})


class Feed(wiring.Component):
    """Gives the hash lanes their jobs: reads the secret, the point and the public key they hash.

    Parameters
    ----------
    jobs, keys, pages : int
        Job contexts, key slots, pages of the message pool.

    Members
    -------
    sha512_jobs : In(stream of {job, second}), nonce_jobs : In(stream of {job})
        Jobs for the lanes. ``second``: the second pass of an Ed25519 signature.
    sha512 : Out(stream), nonce : Out(stream)
        The lanes' requests.
    digest : In({enable, job, word})
        A digest to sign, from the intake; kept until the job is forgotten.
    forget : In({enable, job})
        Zeroise the job's digest.
    record_job : Out, record : In
        Lookup of a job's record, in the same clock.
    secret : Out({en, slot, index}), secret_word : In(256)
    public : Out({want, slot, index}), public_word : In(256)
    outbox : Out({want, job, index}), outbox_word : In(260)
        Reads, one clock later; the latter two are never refused.

    Security: all that is read here is secret but the public key and the outbox. When a lane has
    taken it, the registers are zeroised.
    """

    def __init__(self, *, jobs: int, keys: int, pages: int) -> None:
        self.jobs, self.keys, self.pages = jobs, keys, pages
        job = range(jobs)
        job_width, page_width = (jobs - 1).bit_length(), (pages - 1).bit_length()
        at_key = {"slot": range(keys), "index": range(keystore.SECRET_WORDS)}
        super().__init__(
            {
                "sha512_jobs": In(stream.Signature(data.StructLayout({"job": job, "second": 1}))),
                "nonce_jobs": In(stream.Signature(data.StructLayout({"job": job}))),
                "sha512": Out(stream.Signature(sha512_request_layout(job_width, page_width))),
                "nonce": Out(stream.Signature(ecdsa_request_layout(job_width, page_width))),
                "digest": In(data.StructLayout({"enable": 1, "job": job, "word": 256})),
                "forget": In(data.StructLayout({"enable": 1, "job": job})),
                "record_job": Out(job),
                "record": In(record_layout(keys, pages)),
                "secret": Out(data.StructLayout({"en": 1, **at_key})),
                "secret_word": In(256),
                "public": Out(data.StructLayout({"want": 1, "slot": range(keys), "index": 1})),
                "public_word": In(256),
                "outbox": Out(
                    data.StructLayout({"want": 1, "job": job, "index": range(OUTBOX_WORDS)})
                ),
                "outbox_word": In(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job, second = Signal(range(self.jobs)), Signal()
        words = [Signal(256, name=f"word{i}") for i in range(3)]
        record = self.record
        is_load = record.kind == Kind.LOAD_ED25519
        digest_word = self._digests(m, job)
        m.d.comb += [
            self.record_job.eq(job),
            self.secret.slot.eq(record.slot),
            self.public.slot.eq(record.slot),
            self.outbox.job.eq(job),
            self.secret.index.eq(keystore.Word.RAW),
        ]

        with m.FSM():
            with m.State("idle"):
                m.d.sync += [job.eq(self.sha512_jobs.payload.job), second.eq(0)]
                # a lane that is free gets a job; the other need not wait for it
                with m.If(self.sha512_jobs.valid & self.sha512.ready):
                    m.d.comb += self.sha512_jobs.ready.eq(1)
                    m.d.sync += second.eq(self.sha512_jobs.payload.second)
                    m.next = "secret"
                    with m.If(self.sha512_jobs.payload.second):
                        m.next = "x"
                with m.Elif(self.nonce_jobs.valid & self.nonce.ready):
                    m.d.comb += self.nonce_jobs.ready.eq(1)
                    m.d.sync += job.eq(self.nonce_jobs.payload.job)
                    m.next = "d"
            with m.State("secret"):
                m.d.comb += self.secret.en.eq(1)
                with m.If(~is_load):
                    m.d.comb += self.secret.index.eq(keystore.Word.PREFIX)
                m.next = "secret word"
            with m.State("secret word"):
                m.d.sync += words[0].eq(self.secret_word)
                m.next = "sha512"
            with m.State("x"):
                m.d.comb += [self.outbox.want.eq(1), self.outbox.index.eq(0)]
                m.d.comb += self.public.want.eq(1)
                m.next = "y"
            with m.State("y"):
                m.d.comb += [self.outbox.want.eq(1), self.outbox.index.eq(1)]
                m.d.sync += [words[2].eq(self.outbox_word), words[1].eq(self.public_word)]
                m.next = "point"
            with m.State("point"):
                m.d.sync += [words[0].eq(encode_point(words[2], self.outbox_word)), words[2].eq(0)]
                m.next = "sha512"
            with m.State("sha512"):
                request = self.sha512.payload
                m.d.comb += [
                    self.sha512.valid.eq(1),
                    request.job.eq(job),
                    request.head.eq(Cat(reverse_bytes(words[1]), reverse_bytes(words[0]))),
                    request.head_units.eq(Mux(second, 2, 1)),
                    request.location.page.eq(record.page),
                    request.location.length.eq(record.length),
                ]
                with m.If(self.sha512.ready):
                    m.next = "clear"
            with m.State("d"):
                m.d.comb += self.secret.en.eq(1)
                m.next = "d word"
            with m.State("d word"):
                m.d.sync += words[0].eq(self.secret_word)
                m.next = "nonce"
            with m.State("nonce"):
                request = self.nonce.payload
                m.d.comb += [
                    self.nonce.valid.eq(1),
                    request.job.eq(job),
                    request.x.eq(words[0]),
                    request.digest.eq(digest_word),
                    request.hashed.eq(record.hashed),
                    request.location.page.eq(record.page),
                    request.location.length.eq(record.length),
                ]
                with m.If(self.nonce.ready):
                    m.next = "clear"
            with m.State("clear"):
                # an idle read leaves the secret port on a word of no use
                m.d.sync += [word.eq(0) for word in words]
                m.next = "idle"
        return m

    def _digests(self, m: Module, job: Signal) -> Value:
        """Digests to sign, by job."""
        m.submodules.digests = digests = Memory(shape=256, depth=self.jobs, init=[])
        read, write = digests.read_port(), digests.write_port()
        m.d.comb += [
            read.addr.eq(job),
            write.addr.eq(Mux(self.digest.enable, self.digest.job, self.forget.job)),
            write.data.eq(Mux(self.digest.enable, self.digest.word, 0)),
            write.en.eq(self.digest.enable | self.forget.enable),
        ]
        return read.data


class Collect(wiring.Component):
    """Takes the lanes' results to the engine's inboxes and the key store.

    Members
    -------
    sha512 : In(stream), nonce : In(stream)
        The lanes' results.
    record_job : Out, record : In
        Lookup of a job's record, in the same clock.
    inbox : Out({enable, job, index, word})
    key_write : Out(stream of {slot, index, data})
        An Ed25519 key's prefix; the seed is overwritten with zeros. Secret.
    hashed : Out(stream of {job, fault})
        The job may go on. ``fault``: the lane read another message than came in.
    """

    def __init__(self, *, jobs: int, keys: int, pages: int) -> None:
        self.jobs = jobs
        job_width = (jobs - 1).bit_length()
        hashed = data.StructLayout({"job": range(jobs), "fault": 1})
        super().__init__(
            {
                "sha512": In(stream.Signature(sha512_result_layout(job_width))),
                "nonce": In(stream.Signature(ecdsa_result_layout(job_width))),
                "record_job": Out(range(jobs)),
                "record": In(record_layout(keys, pages)),
                "inbox": Out(inbox_layout(jobs)),
                "key_write": Out(stream.Signature(key_write_layout(keys))),
                "hashed": Out(stream.Signature(hashed)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        of_sha512 = Signal()
        result = self.sha512.payload
        low, high = result.digest[:256], result.digest[256:]
        is_load = of_sha512 & (self.record.kind == Kind.LOAD_ED25519)
        # RFC 8032, section 5.1.5: clear the lowest three bits and the highest, set the one below
        clamped = Cat(C(0, 3), low[3:254], C(1, 1))
        first = Mux(is_load, clamped, Mux(of_sha512, low, self.nonce.payload.z))
        second = Mux(is_load, 0, Mux(of_sha512, high, self.nonce.payload.k))
        check = Mux(of_sha512, result.check, self.nonce.payload.check)
        m.d.comb += [
            self.record_job.eq(Mux(of_sha512, result.job, self.nonce.payload.job)),
            self.inbox.job.eq(self.record_job),
            self.key_write.payload.slot.eq(self.record.slot),
            self.hashed.payload.job.eq(self.record_job),
            self.hashed.payload.fault.eq(check != self.record.check),
        ]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += of_sha512.eq(self.sha512.valid)
                with m.If(self.sha512.valid | self.nonce.valid):
                    m.next = "first"
            with m.State("first"):
                m.d.comb += [self.inbox.enable.eq(1), self.inbox.word.eq(first)]
                m.next = "second"
            with m.State("second"):
                m.d.comb += [
                    self.inbox.enable.eq(1),
                    self.inbox.index.eq(1),
                    self.inbox.word.eq(second),
                ]
                m.next = "done"
                with m.If(is_load):
                    m.next = "prefix"
            for state, word, value, after in (
                ("prefix", keystore.Word.PREFIX, high, "seed"),
                ("seed", keystore.Word.RAW, C(0, 256), "done"),
            ):
                with m.State(state):
                    m.d.comb += [
                        self.key_write.valid.eq(1),
                        self.key_write.payload.index.eq(word),
                        self.key_write.payload.data.eq(value),
                    ]
                    with m.If(self.key_write.ready):
                        m.next = after
            with m.State("done"):
                m.d.comb += self.hashed.valid.eq(1)
                with m.If(self.hashed.ready):
                    m.d.comb += [self.sha512.ready.eq(of_sha512), self.nonce.ready.eq(~of_sha512)]
                    m.next = "idle"
        return m


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
    outbox : Out({want, job, index}), outbox_taken : In(1), outbox_word : In(260)
        Reads, one clock after a clock with ``want`` and ``outbox_taken``.
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
                "outbox": Out(
                    data.StructLayout({"want": 1, "job": job, "index": range(OUTBOX_WORDS)})
                ),
                "outbox_taken": In(1),
                "outbox_word": In(WORD_BITS),
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
                self._read(m, current.job, words)
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

    def _read(self, m: Module, job: Signal, words: list[Signal]) -> None:
        """Read the outbox."""
        index, arrives = Signal(range(OUTBOX_WORDS)), Signal()
        m.d.comb += [
            self.outbox.want.eq(~arrives),
            self.outbox.job.eq(job),
            self.outbox.index.eq(index),
        ]
        with m.If(self.outbox_taken & ~arrives):
            m.d.sync += arrives.eq(1)
        with m.If(arrives):
            m.d.sync += [arrives.eq(0), index.eq(index + 1)]
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
