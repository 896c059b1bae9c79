"""Feed: the hash lanes get their jobs."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import keystore
from ..engine.isa import WORD_BITS
from ..hash.lanes import ecdsa_request_layout, sha512_request_layout
from ..jobs import Kind, record_layout
from .words import encode_point, outbox_read_layout, reverse_bytes


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
    record_job : Out, record : In
        Lookup of a job's record, in the same clock.
    secret : Out({en, slot, index}), secret_word : In(256), secret_damaged : In(1)
    public : Out({want, slot, index}), public_word : In(256), public_damaged : In(1)
        Reads, one clock later; never refused.
    outbox : Out({want, job, index}), outbox_taken : In(1)
    outbox_word : In(260), outbox_damaged : In(1)
        Reads, one clock after a clock with ``want`` and ``outbox_taken``: the point, or the digest
        to sign.
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
                "nonce_jobs": In(stream.Signature(data.StructLayout({"job": job}))),
                "sha512": Out(stream.Signature(sha512_request_layout(job_width, page_width))),
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
                "outbox_word": In(WORD_BITS),
                "outbox_damaged": In(1),
                "alarm": Out(data.StructLayout({"enable": 1, "job": job})),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job, second = Signal(range(self.jobs)), Signal()
        words = [Signal(256, name=f"word{i}") for i in range(3)]
        record = self.record
        is_load = record.kind == Kind.LOAD_ED25519
        m.d.comb += [
            self.record_job.eq(job),
            self.nonce.payload.hashed.eq(record.hashed),
            self.alarm.job.eq(job),
            self.secret.slot.eq(record.slot),
            self.public.slot.eq(record.slot),
            self.outbox.job.eq(job),
            self.secret.index.eq(keystore.Word.RAW),
        ]

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.record_job.eq(self.nonce_jobs.payload.job)
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
                m.d.comb += self.alarm.enable.eq(self.secret_damaged)
                m.d.sync += words[0].eq(self.secret_word)
                m.next = "sha512"
            with m.State("x"):
                m.d.comb += [self.outbox.want.eq(1), self.outbox.index.eq(0)]
                m.d.comb += self.public.want.eq(1)
                with m.If(self.outbox_taken):
                    m.next = "x word"
            with m.State("x word"):
                m.d.comb += self.alarm.enable.eq(self.public_damaged | self.outbox_damaged)
                m.d.sync += [words[2].eq(self.outbox_word), words[1].eq(self.public_word)]
                m.next = "y"
            with m.State("y"):
                m.d.comb += [self.outbox.want.eq(1), self.outbox.index.eq(1)]
                with m.If(self.outbox_taken):
                    m.next = "y word"
            with m.State("y word"):
                m.d.comb += self.alarm.enable.eq(self.outbox_damaged)
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
                m.d.comb += self.alarm.enable.eq(self.secret_damaged)
                m.d.sync += words[0].eq(self.secret_word)
                m.next = "nonce"
                with m.If(record.hashed):
                    m.next = "z"
            with m.State("z"):
                m.d.comb += [self.outbox.want.eq(1), self.outbox.index.eq(0)]
                with m.If(self.outbox_taken):
                    m.next = "z word"
            with m.State("z word"):
                m.d.comb += self.alarm.enable.eq(self.outbox_damaged)
                m.d.sync += words[1].eq(self.outbox_word)
                m.next = "nonce"
            with m.State("nonce"):
                request = self.nonce.payload
                m.d.comb += [
                    self.nonce.valid.eq(1),
                    request.job.eq(job),
                    request.x.eq(words[0]),
                    request.digest.eq(words[1]),
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
