"""Feed: the hash lanes get their jobs."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import keystore
from ..engine.isa import WORD_BITS
from ..hash.lanes import ecdsa_request_layout, sha512_request_layout
from ..jobs import Kind, record_layout
from ..stream import CHUNK_BYTES
from .words import encode_point, outbox_read_layout, reverse_bytes


class Feed(wiring.Component):
    """Gives the hash lanes their jobs: reads the secret, the point and the public key they hash.

    Parameters
    ----------
    jobs, keys, pages : int
        Job contexts, key slots, pages of the message pool.

    Members
    -------
    sha512_jobs : In(stream of {job, second}), nonce_jobs : In(stream of {job, hashed})
        Jobs for the lanes. ``second``: the second pass of an Ed25519 signature. ``hashed``: a
        digest is to be signed.
    sha512 : Out(stream), head : Out(stream of 64), nonce : Out(stream)
        The lanes' requests; the bytes a SHA-512 lane hashes first.
    record_job : Out, record : In
        Lookup of a job's record, two clocks later.
    secret : Out({en, slot, index}), secret_word : In(256), secret_damaged : In(1)
    public : Out({want, slot, index}), public_word : In(256), public_damaged : In(1)
        Reads, one clock later; never refused. ``damaged`` comes two clocks later.
    outbox : Out({want, job, index}), outbox_taken : In(1)
    outbox_found : In(1), outbox_word : In(260), outbox_damaged : In(1)
        Reads: ``want`` until ``outbox_taken``, then the word in the clock of ``outbox_found``: the
        point, or the digest to sign. ``damaged`` comes another clock later.
    alarm : Out({enable, job})
        A secret, public key or digest that the job needs is not what was stored.

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
                "nonce_jobs": In(stream.Signature(data.StructLayout({"job": job, "hashed": 1}))),
                "sha512": Out(stream.Signature(sha512_request_layout(job_width, page_width))),
                "head": Out(stream.Signature(8 * CHUNK_BYTES)),
                "nonce": Out(stream.Signature(ecdsa_request_layout(job_width, page_width))),
                "record_job": Out(job),
                "record": In(record_layout(keys, pages)),
                "secret": Out(data.StructLayout({"en": 1, **at_key})),
                "secret_word": In(256),
                "secret_damaged": In(1),
                "public": Out(data.StructLayout({"want": 1, "slot": range(keys), "index": 1})),
                "public_word": In(256),
                "public_damaged": In(1),
                "outbox": Out(outbox_read_layout(jobs)),
                "outbox_taken": In(1),
                "outbox_found": In(1),
                "outbox_word": In(WORD_BITS),
                "outbox_damaged": In(1),
                "alarm": Out(data.StructLayout({"enable": 1, "job": job})),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job, second, hashed = Signal(range(self.jobs)), Signal(), Signal()
        # the secret or the point; the public key or the digest
        first, other, parity, clears = Signal(256), Signal(256), Signal(), Signal()
        record = self.record
        m.d.comb += [
            self.record_job.eq(job),
            self.alarm.job.eq(job),
            self.secret.slot.eq(record.slot),
            self.public.slot.eq(record.slot),
            self.outbox.job.eq(job),
            self.secret.index.eq(keystore.Word.RAW),
        ]
        self._offer(m, job, second, hashed, first, other)
        m.d.sync += clears.eq(0)
        with m.If(clears):
            m.d.sync += [first.eq(0), other.eq(0), parity.eq(0)]

        with m.FSM():
            with m.State("idle"):
                m.d.sync += [
                    job.eq(self.sha512_jobs.payload.job),
                    second.eq(self.sha512_jobs.payload.second),
                    hashed.eq(0),
                ]
                # a lane that is free gets a job; the other need not wait for it
                with m.If(self.sha512_jobs.valid & self.sha512.ready):
                    m.d.comb += self.sha512_jobs.ready.eq(1)
                    m.next = "look"
                with m.Elif(self.nonce_jobs.valid & self.nonce.ready):
                    m.d.comb += self.nonce_jobs.ready.eq(1)
                    m.d.sync += [
                        job.eq(self.nonce_jobs.payload.job),
                        hashed.eq(self.nonce_jobs.payload.hashed),
                    ]
                    m.next = "look at d"
            with m.State("look"):
                m.next = "found"
            with m.State("found"):
                m.next = "secret"
                with m.If(second):
                    m.next = "x"
            with m.State("secret"):
                m.d.comb += self.secret.en.eq(1)
                with m.If(record.kind != Kind.LOAD_ED25519):
                    m.d.comb += self.secret.index.eq(keystore.Word.PREFIX)
                m.next = "secret word"
            with m.State("secret word"):
                m.d.sync += first.eq(self.secret_word)
                m.next = "secret checked"
            with m.State("secret checked"):
                m.d.comb += self.alarm.enable.eq(self.secret_damaged)
                m.next = "sha512"
            self._read_outbox(m, "x", 0, [parity.eq(self.outbox_word[0])], "public")
            with m.State("public"):
                m.d.comb += self.public.want.eq(1)
                m.next = "public word"
            with m.State("public word"):
                m.d.sync += other.eq(self.public_word)
                m.next = "public checked"
            with m.State("public checked"):
                m.d.comb += self.alarm.enable.eq(self.public_damaged)
                m.next = "y"
            point = encode_point(parity, self.outbox_word)
            self._read_outbox(m, "y", 1, [first.eq(point)], "sha512")
            with m.State("sha512"):
                m.d.sync += self.sha512.valid.eq(1)
                with m.If(self.sha512.valid & self.sha512.ready):
                    m.d.sync += self.sha512.valid.eq(0)
                    m.next = "head"
            with m.State("head"):
                self._head(m, second, first, other)
            with m.State("look at d"):
                m.next = "found d"
            with m.State("found d"):
                m.next = "d"
            with m.State("d"):
                m.d.comb += self.secret.en.eq(1)
                m.next = "d word"
            with m.State("d word"):
                m.d.sync += first.eq(self.secret_word)
                m.next = "d checked"
            with m.State("d checked"):
                m.d.comb += self.alarm.enable.eq(self.secret_damaged)
                m.next = "nonce"
                with m.If(hashed):
                    m.next = "z"
            self._read_outbox(m, "z", 0, [other.eq(self.outbox_word)], "nonce")
            with m.State("nonce"):
                m.d.sync += self.nonce.valid.eq(1)
                with m.If(self.nonce.valid & self.nonce.ready):
                    m.d.sync += self.nonce.valid.eq(0)
                    m.next = "clear"
            with m.State("clear"):
                # an idle read leaves the secret port on a word of no use
                m.d.sync += clears.eq(1)
                m.next = "idle"
        return m

    def _offer(
        self,
        m: Module,
        job: Signal,
        second: Signal,
        hashed: Signal,
        first: Signal,
        other: Signal,
    ) -> None:
        """What the lanes are asked."""
        message, digest = self.sha512.payload, self.nonce.payload
        for location in (message.location, digest.location):
            m.d.comb += [
                location.page.eq(self.record.page),
                location.length.eq(self.record.length),
            ]
        m.d.comb += [
            message.job.eq(job),
            message.head_units.eq(Mux(second, 2, 1)),
            digest.job.eq(job),
            digest.hashed.eq(hashed),
            digest.x.eq(first),
            digest.digest.eq(other),
        ]

    def _read_outbox(self, m: Module, name: str, index: int, takes: list[Any], after: str) -> None:
        """States that read the job's outbox word ``index`` and go on to ``after``."""
        with m.State(name):
            m.d.comb += [self.outbox.want.eq(1), self.outbox.index.eq(index)]
            with m.If(self.outbox_taken):
                m.next = f"{name} word"
        with m.State(f"{name} word"), m.If(self.outbox_found):
            m.d.sync += takes
            m.next = f"{name} checked"
        with m.State(f"{name} checked"):
            m.d.comb += self.alarm.enable.eq(self.outbox_damaged)
            m.next = after

    def _head(self, m: Module, second: Signal, first: Signal, other: Signal) -> None:
        """Give the lane the bytes of one word, or of two."""
        count, chunk_bits = Signal(4), 8 * CHUNK_BYTES
        chunk = Cat(first, other).word_select(count[:3], chunk_bits)
        with m.If(~self.head.valid | self.head.ready):
            m.d.sync += [
                count.eq(count + 1),
                self.head.valid.eq(1),
                self.head.payload.eq(reverse_bytes(chunk)),
            ]
            with m.If(count == Mux(second, 8, 4)):
                m.d.sync += [count.eq(0), self.head.valid.eq(0), self.head.payload.eq(0)]
                m.next = "clear"
