"""Feed: the hash lanes get their jobs."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .. import keystore
from ..engine.isa import LIMB_BITS, LIMBS, WORD_BITS
from ..hash.lanes import ecdsa_request_layout, sha512_request_layout
from ..jobs import record_layout
from ..routes import Kind
from ..stream import CHUNK_BYTES, registered
from .words import outbox_read_layout, reverse_bytes, shifted

_CHUNK_BITS = 8 * CHUNK_BYTES
_PARITY_BIT = 255
"""Bit of an Ed25519 point's bytes, RFC 8032, section 5.1.2, behind y: the lowest of x."""


class _Part(enum.Enum, shape=3):
    """A word that is read for a lane."""

    SECRET = 0
    X = 1
    """Of the point, for its parity."""
    Y = 2
    PUBLIC = 3
    DIGEST = 4


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
    sha512 : Out(stream), nonce : Out(stream)
        The lanes' requests.
    head : Out(stream of 64), operands : Out(stream of 65)
        What a lane takes after its request: the bytes a SHA-512 lane hashes first, or the limbs of
        secret key and digest, zeros where there is none.
    record_job : Out, record : In
        Lookup of a job's record, two clocks later.
    secret : Out({en, slot, index, limb}), secret_limb : In(65), secret_damaged : In(1)
    public : Out({want, slot, index, limb}), public_limb : In(65), public_damaged : In(1)
        Reads, two clocks later; never refused. ``damaged`` comes another clock later.
    outbox : Out({want, job, index, limb}), outbox_taken : In(1)
    outbox_found : In(1), outbox_limb : In(65), outbox_damaged : In(1)
        Reads: ``want`` until ``outbox_taken``, then the limb in the clock of ``outbox_found``, of
        the point, or of the digest to sign. ``damaged`` comes another clock later. Several may be
        under way.
    alarm : Out({enable, job})
        A secret, public key or digest that the job needs is not what was stored.

    Timing: a word is read in 8 clocks, from the outbox in as many as that takes, and leaves in 5 if
    the lane takes it.

    Security: all that is read here is secret but the public key and the outbox. A word has left its
    register when it has left here.
    """

    def __init__(self, *, jobs: int, keys: int, pages: int) -> None:
        self.jobs, self.keys, self.pages = jobs, keys, pages
        job = range(jobs)
        job_width, page_width = (jobs - 1).bit_length(), (pages - 1).bit_length()
        secret = {"slot": range(keys), "index": range(keystore.SECRET_WORDS), "limb": range(LIMBS)}
        public = {"slot": range(keys), "index": 1, "limb": range(LIMBS)}
        super().__init__(
            {
                "sha512_jobs": In(stream.Signature(data.StructLayout({"job": job, "second": 1}))),
                "nonce_jobs": In(stream.Signature(data.StructLayout({"job": job, "hashed": 1}))),
                "sha512": Out(stream.Signature(sha512_request_layout(job_width, page_width))),
                "head": Out(stream.Signature(_CHUNK_BITS)),
                "nonce": Out(stream.Signature(ecdsa_request_layout(job_width, page_width))),
                "operands": Out(stream.Signature(LIMB_BITS)),
                "record_job": Out(job),
                "record": In(record_layout(keys, pages, "feed")),
                "secret": Out(data.StructLayout({"en": 1, **secret})),
                "secret_limb": In(LIMB_BITS),
                "secret_damaged": In(1),
                "public": Out(data.StructLayout({"want": 1, **public})),
                "public_limb": In(LIMB_BITS),
                "public_damaged": In(1),
                "outbox": Out(outbox_read_layout(jobs)),
                "outbox_taken": In(1),
                "outbox_found": In(1),
                "outbox_limb": In(LIMB_BITS),
                "outbox_damaged": In(1),
                "alarm": Out(data.StructLayout({"enable": 1, "job": job})),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job, second, hashed, signs = Signal(range(self.jobs)), Signal(), Signal(), Signal()
        part, word, parity = Signal(_Part), Signal(WORD_BITS), Signal()
        asking, found, sends, sent = (Signal() for _ in range(4))
        self._offer(m, job, second, hashed)
        self._read(m, part, word, asking, found)
        free = self._send(m, sends, signs, word, sent)
        # as they were a clock ago: a job that is offered stays, and so does a lane that is free
        hashes, draws = Signal(), Signal()
        m.d.sync += [
            hashes.eq(self.sha512_jobs.valid & self.sha512.ready),
            draws.eq(self.nonce_jobs.valid & self.nonce.ready),
        ]
        with m.FSM() as fsm:
            m.d.comb += asking.eq(fsm.ongoing("read"))
            with m.State("idle"):
                ecdsa = self.nonce_jobs.payload
                m.d.sync += [
                    job.eq(self.sha512_jobs.payload.job),
                    second.eq(self.sha512_jobs.payload.second),
                    signs.eq(0),
                    part.eq(Mux(self.sha512_jobs.payload.second, _Part.X, _Part.SECRET)),
                ]
                # some lanes take digests only
                m.d.comb += self.nonce.payload.hashed.eq(ecdsa.hashed)
                # a lane that is free gets a job; the other need not wait for it
                with m.If(free & hashes):
                    m.d.comb += self.sha512_jobs.ready.eq(1)
                    m.next = "look"
                with m.Elif(free & draws):
                    m.d.comb += self.nonce_jobs.ready.eq(1)
                    m.d.sync += [
                        job.eq(ecdsa.job),
                        hashed.eq(ecdsa.hashed),
                        signs.eq(1),
                        part.eq(_Part.SECRET),
                    ]
                    m.next = "look"
            with m.State("look"):
                m.next = "found"
            with m.State("found"):
                m.d.sync += [self.sha512.valid.eq(~signs), self.nonce.valid.eq(signs)]
                m.next = "request"
            with m.State("request"), m.If(Mux(signs, self.nonce.ready, self.sha512.ready)):
                m.d.sync += [self.sha512.valid.eq(0), self.nonce.valid.eq(0)]
                m.next = "read"
            with m.State("read"), m.If(found):
                m.next = "check"
            with m.State("check"):
                m.next = "send"
                with m.If(part == _Part.X):
                    m.d.sync += [parity.eq(word[0]), part.eq(_Part.Y)]
                    m.next = "read"
                with m.If(part == _Part.Y):
                    m.d.sync += [word[_PARITY_BIT].eq(parity), parity.eq(0)]
            with m.State("send"):
                m.d.comb += sends.eq(1)
                with m.If(sent):
                    m.next = "idle"
                    with m.If(part == _Part.Y):
                        m.d.sync += part.eq(_Part.PUBLIC)
                        m.next = "read"
                    with m.If(signs & (part == _Part.SECRET)):
                        m.d.sync += part.eq(_Part.DIGEST)
                        m.next = "read"
                        with m.If(~hashed):
                            m.next = "send"
        return m

    def _offer(self, m: Module, job: Signal, second: Signal, hashed: Signal) -> None:
        """What the lanes are asked."""
        message, digest = self.sha512.payload, self.nonce.payload
        for location in (message.location, digest.location):
            m.d.comb += [
                location.page.eq(self.record.page),
                location.length.eq(self.record.length),
            ]
        m.d.comb += [
            self.record_job.eq(job),
            self.alarm.job.eq(job),
            message.job.eq(job),
            message.head_units.eq(Mux(second, 2, 1)),
            digest.job.eq(job),
            digest.hashed.eq(hashed),
        ]

    def _read(self, m: Module, part: Signal, word: Signal, asking: Value, found: Signal) -> None:
        """Read ``part`` into ``word`` while ``asking``; ``found`` with its last limb."""
        secret, public, outbox, record = self.secret, self.public, self.outbox, self.record
        asked, arrived = Signal(range(LIMBS + 1)), Signal(range(LIMBS))
        wants, taken, arrives, stored, comes = (*(Signal() for _ in range(4)), Signal(3))
        never_refused = (part == _Part.SECRET) | (part == _Part.PUBLIC)
        limb, damaged, kept = Signal(LIMB_BITS), Signal(), Signal(LIMB_BITS)
        m.d.comb += [
            wants.eq(asking & (asked != LIMBS)),
            taken.eq(wants & (never_refused | self.outbox_taken)),
            outbox.job.eq(self.record_job),
            outbox.index.eq(part == _Part.Y),
            outbox.limb.eq(asked),
            limb.eq(self.outbox_limb),
            damaged.eq(self.outbox_damaged),
            arrives.eq(comes[-1] | self.outbox_found),
            found.eq(stored & arrived.all()),
            self.alarm.enable.eq(stored & damaged),
        ]
        is_edwards = record.kind == Kind.SIGN_ED25519
        with m.Switch(part):
            with m.Case(_Part.SECRET):
                m.d.comb += [limb.eq(self.secret_limb), damaged.eq(self.secret_damaged)]
            with m.Case(_Part.PUBLIC):
                m.d.comb += [limb.eq(self.public_limb), damaged.eq(self.public_damaged)]
            with m.Default():
                m.d.comb += outbox.want.eq(wants)
        m.d.sync += [
            secret.en.eq(wants & (part == _Part.SECRET)),
            secret.slot.eq(record.slot),
            secret.index.eq(Mux(is_edwards, keystore.Word.PREFIX, keystore.Word.RAW)),
            secret.limb.eq(asked),
            public.want.eq(wants & (part == _Part.PUBLIC)),
            public.slot.eq(record.slot),
            public.limb.eq(asked),
            comes.eq(Cat(wants & never_refused, comes)),
            stored.eq(arrives),
            kept.eq(Mux(arrives, limb, 0)),
        ]
        with m.If(taken):
            m.d.sync += asked.eq(asked + 1)
        with m.If(~asking):
            m.d.sync += asked.eq(0)
        with m.If(stored):
            m.d.sync += [word.eq(shifted(word, kept)), arrived.eq(arrived + 1)]

    def _send(self, m: Module, sends: Value, signs: Signal, word: Signal, sent: Signal) -> Value:
        """Let ``word`` leave while it ``sends``, zeros behind it; ``sent`` with its end.

        Returns whether all has left: no lane takes what was for another.
        """
        head, operands = (each.signature.create() for each in (self.head, self.operands))
        count, leaves, waiting = Signal(range(LIMBS)), Signal(), []
        m.d.comb += [
            head.valid.eq(sends & ~signs),
            head.payload.eq(reverse_bytes(word[:_CHUNK_BITS])),
            operands.valid.eq(sends & signs),
            operands.payload.eq(word[:LIMB_BITS]),
            leaves.eq(sends & Mux(signs, operands.ready, head.ready)),
            sent.eq(leaves & count.all()),
        ]
        with m.If(leaves):
            m.d.sync += [
                word.eq(Mux(signs, shifted(word), word >> _CHUNK_BITS)),
                count.eq(count + 1),
            ]
        for source, sink in ((head, self.head), (operands, self.operands)):
            later = registered(m, source)
            connect(m, later, flipped(sink))
            waiting.append(later.valid)
        return ~Cat(waiting).any()
