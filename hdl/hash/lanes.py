"""Hash stations of the core. Each takes one job at a time from request to result."""

from typing import Any

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from ..engine.isa import LIMB_BITS, LIMBS
from ..stream import CHUNK_BYTES, Chunk, registered
from .check import CHECK_BITS
from .padder import Padder
from .reader import MessageReader, location_layout
from .rfc6979 import NonceGenerator
from .sha2 import Sha2

HEAD_UNIT_BYTES = 32
"""Bytes that ``head_units`` counts in."""

HEAD_UNIT_CHUNKS = HEAD_UNIT_BYTES // CHUNK_BYTES
_HEAD_BYTES = 2 * HEAD_UNIT_BYTES
WORD_BITS = 32
"""Bits of a word of a result."""

_WIDE_BITS = 64
"""Bits of a word of SHA-512."""


def sha512_request_layout(job_width: int, page_width: int) -> data.StructLayout:
    """Shape of :class:`Sha512Lane`'s requests."""
    location = location_layout(page_width)
    return data.StructLayout({"job": job_width, "head_units": range(3), "location": location})


def result_layout(job_width: int) -> data.StructLayout:
    """Shape of a word of a lane's result; job and check are the same for all words of a result."""
    return data.StructLayout({"job": job_width, "check": CHECK_BITS, "word": WORD_BITS, "last": 1})


def ecdsa_request_layout(job_width: int, page_width: int) -> data.StructLayout:
    """Shape of :class:`EcdsaLane`'s requests."""
    location = location_layout(page_width)
    return data.StructLayout({"job": job_width, "hashed": 1, "location": location})


def _words(m: Module, result: Any) -> Any:
    """A stream of {word, last} that leaves by ``result``, registered on its way."""
    layout = data.StructLayout({"word": WORD_BITS, "last": 1})
    words = stream.Signature(layout).create()
    out = registered(m, words)
    m.d.comb += [
        result.valid.eq(out.valid),
        out.ready.eq(result.ready),
        result.p.word.eq(out.p.word),
        result.p.last.eq(out.p.last),
    ]
    return words


class Sha512Lane(wiring.Component):
    """SHA-512(head || message), the integer Ed25519 reads in it.

    Parameters
    ----------
    job_width, page_width
        Bits of a job number and of a page number.

    Members
    -------
    request : In(stream of {job, head_units: 0..2, location: {page, length: 0..4096}})
        What is hashed begins with ``32 * head_units`` bytes of ``head``. ``length`` bytes of a
        message follow; ``page`` is passed on as it is.
    head : In(stream of 64)
        The head, eight bytes a word, the first in bits 63..56. Words of other requests may stand
        there before and after.
    fetch : Out(stream of {page, length})
        Asks the message pool; not for length 0.
    message : In(stream of Chunk)
        The pool's answer.
    result : Out(stream of {job, check: 64, word: 32, last})
        The digest in 16 words, the first byte in bits 7..0 of the first: as RFC 8032, section
        5.1.6, reads it. ``check``: see :class:`~intaglio.hdl.hash.reader.MessageReader`; equal for
        equal messages, so two passes can be compared.

    Timing
    ------
    85 clocks a block and 6, from the edge that takes a request to the first that may take a word of
    its result, if head and pool are never late (measured: README of this folder). A word a clock;
    the next request is taken after the last.

    Security
    --------
    Head and digest may be secret. Time depends on ``head_units``, ``length`` and handshakes. When
    the last word of the result is taken, the hash state is zero.

    Source: RFC 8032, section 5.1; FIPS 180-4.
    """

    def __init__(self, job_width: int, page_width: int) -> None:
        self._page_width = page_width
        self._request = sha512_request_layout(job_width, page_width)
        super().__init__(
            {
                "request": In(stream.Signature(self._request)),
                "head": In(stream.Signature(8 * CHUNK_BYTES)),
                "fetch": Out(stream.Signature(location_layout(page_width))),
                "message": In(stream.Signature(Chunk)),
                "result": Out(stream.Signature(result_layout(job_width))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.reader = reader = MessageReader(self._page_width)
        m.submodules.padder = padder = Padder(512, wire.MAX_MESSAGE_BYTES + _HEAD_BYTES)
        m.submodules.sha = sha = Sha2(512)
        wiring.connect(m, registered(m, padder.words), sha.words)
        wiring.connect(m, reader.fetch, wiring.flipped(self.fetch))
        wiring.connect(m, wiring.flipped(self.message), reader.message)

        job = Signal.like(self.request.p.job)
        chunks = stream.Signature(Chunk).create()
        wiring.connect(m, registered(m, chunks), padder.chunks)
        head_chunks, in_head = Signal(range(_HEAD_BYTES // CHUNK_BYTES + 1)), Signal()
        words = _words(m, self.result)
        given = self._give(m, sha.digest, words)
        m.d.comb += [
            reader.request.payload.eq(self.request.p.location),
            self.result.p.job.eq(job),
            self.result.p.check.eq(reader.check),
            chunks.payload.eq(reader.chunks.payload),
            chunks.valid.eq(Mux(in_head, self.head.valid, reader.chunks.valid)),
            self.head.ready.eq(chunks.ready & in_head),
            reader.chunks.ready.eq(chunks.ready & ~in_head),
        ]
        with m.If(in_head):
            m.d.comb += [
                chunks.p.data.eq(self.head.payload),
                chunks.p.count.eq(CHUNK_BYTES),
                chunks.p.last.eq(0),
            ]

        with m.FSM():
            with m.State("idle"):
                m.d.comb += [
                    self.request.ready.eq(reader.request.ready & ~self.result.valid),
                    reader.request.valid.eq(self.request.valid & ~self.result.valid),
                ]
                with m.If(self.request.valid & self.request.ready):
                    m.d.sync += [
                        job.eq(self.request.p.job),
                        head_chunks.eq(self.request.p.head_units * HEAD_UNIT_CHUNKS),
                        in_head.eq(self.request.p.head_units != 0),
                    ]
                    m.next = "message"
                    with m.If(self.request.p.head_units != 0):
                        m.next = "head"
            with m.State("head"), m.If(self.head.valid & self.head.ready):
                m.d.sync += head_chunks.eq(head_chunks - 1)
                with m.If(head_chunks == 1):
                    m.d.sync += in_head.eq(0)
                    m.next = "message"
            passes = reader.chunks.valid & reader.chunks.ready & reader.chunks.p.last
            with m.State("message"), m.If(passes):
                m.next = "result"
            with m.State("result"), m.If(given):
                m.next = "idle"
        return m

    def _give(self, m: Module, digest: Any, words: Any) -> Value:
        """The digest by ``words``, its octets turned round; when the last is taken.

        It passes in words as wide as the hash unit's, of which each is sent in parts.
        """
        octets = Cat(digest.p[i : i + 8] for i in reversed(range(0, len(digest.p), 8)))
        wide = data.StructLayout({"word": _WIDE_BITS, "last": 1})
        chosen = stream.Signature(wide).create()
        index = Signal(range(len(octets) // _WIDE_BITS))
        part = Signal(range(_WIDE_BITS // WORD_BITS))
        m.d.comb += [
            chosen.p.word.eq(octets.word_select(index, _WIDE_BITS)),
            chosen.p.last.eq(index.all()),
            chosen.valid.eq(digest.valid),
            digest.ready.eq(chosen.ready & index.all()),
        ]
        with m.If(chosen.valid & chosen.ready):
            m.d.sync += index.eq(index + 1)
        passing = registered(m, chosen)
        m.d.comb += [
            words.valid.eq(passing.valid),
            words.p.word.eq(passing.p.word.word_select(part, WORD_BITS)),
            words.p.last.eq(passing.p.last & part.all()),
            passing.ready.eq(words.ready & part.all()),
        ]
        with m.If(words.valid & words.ready):
            m.d.sync += part.eq(part + 1)
        return words.valid & words.ready & words.p.last


class EcdsaLane(wiring.Component):
    """Digest z and RFC 6979 nonce k of an ECDSA signature with SHA-256.

    Parameters
    ----------
    order
        Order of the group, 2..2**256-1.
    job_width, page_width
        Bits of a job number and of a page number.
    messages
        Whether it takes messages; a lane without needs no part of the message pool.

    Members
    -------
    request : In(stream of {job, hashed: 1, location: {page, length: 0..4096}})
        ``hashed`` 1: a digest is signed and ``location`` is ignored. ``hashed`` 0: SHA-256 of the
        message is signed; not for a lane without ``messages``.
    operands : In(stream of 65)
        Eight limbs after each request: four of x, the secret key, 1..order-1, and four of the
        digest, which are ignored where ``hashed`` was 0. Limbs of other requests may stand there
        before and after.
    fetch, message
        As for :class:`Sha512Lane`; a lane without ``messages`` leaves them alone.
    result : Out(stream of {job, check: 64, word: 32, last})
        Eight words of the digest and eight of V, both as the integers of big-endian bytes, the
        least significant word first. As many leftmost bits of each as the order has, all for
        secp256k1, are z (SEC 1, section 4.1.3), not reduced, and k, in 1..order-1. ``check``: as
        for :class:`Sha512Lane`; 0 where ``hashed`` was 1.

    Timing
    ------
    9 clocks for the operands or, beside them, 69 a block of the message and at most 5;
    :data:`~intaglio.hdl.hash.rfc6979.LOAD_CLOCKS`, the order's ``latency`` there and 1, to the
    first word of the result, if operands and pool are never late (measured: README of this folder).
    A word a clock; the next request is taken :data:`~intaglio.hdl.hash.rfc6979.WIPE_CLOCKS` after
    the last.

    Security
    --------
    x, k and what the nonce is made from are secret. Time depends on ``hashed``, ``length``,
    handshakes and the number of candidates for k. When the last word of the result is taken, x, z,
    hash and nonce state are zero. Message and nonce share one hash unit.

    Source: RFC 6979, section 3.2; FIPS 186-5, section 6.4.
    """

    def __init__(
        self, order: int, job_width: int, page_width: int, *, messages: bool = True
    ) -> None:
        self._order = order
        self._page_width = page_width
        self.messages = messages
        super().__init__(
            {
                "request": In(stream.Signature(ecdsa_request_layout(job_width, page_width))),
                "operands": In(stream.Signature(LIMB_BITS)),
                "fetch": Out(stream.Signature(location_layout(page_width))),
                "message": In(stream.Signature(Chunk)),
                "result": Out(stream.Signature(result_layout(job_width))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.generator = generator = NonceGenerator(self._order)
        m.submodules.sha = sha = Sha2(256)
        job = Signal.like(self.request.p.job)
        x = Signal(LIMBS * LIMB_BITS)
        z = Signal(LIMBS * LIMB_BITS)
        check = Signal(CHECK_BITS)
        index, gives_z, free = Signal(range(256 // WORD_BITS)), Signal(), Signal()
        begins, enters, entering = Signal(), Signal(), Signal(LIMB_BITS)
        clears, words = Signal(), _words(m, self.result)
        m.d.comb += [
            generator.request.p.x.eq(x),
            generator.request.p.h1.eq(z),
            generator.digest.payload.eq(sha.digest.payload),
            sha.words.payload.eq(generator.words.payload),
            sha.words.valid.eq(generator.words.valid),
            generator.words.ready.eq(sha.words.ready),
            self.request.ready.eq(free),
            self.result.p.job.eq(job),
            self.result.p.check.eq(check),
            words.p.word.eq(generator.result.p.word),
            words.p.last.eq(~gives_z & generator.result.p.last),
        ]

        hashing, read = Signal(), C(0, CHECK_BITS)
        if self.messages:
            read = self._message(m, sha, hashing)
        # wide registers are told by one of their own, not by the state
        m.d.comb += begins.eq(self.request.valid & free)
        m.d.sync += [
            clears.eq(0),
            enters.eq(self.operands.valid & self.operands.ready),
            entering.eq(self.operands.payload),
        ]
        with m.If(begins):
            m.d.sync += [job.eq(self.request.p.job), check.eq(0)]
            if self.messages:
                m.d.sync += hashing.eq(~self.request.p.hashed)
        with m.If(clears):
            m.d.sync += [x.eq(0), z.eq(0)]
        with m.If(enters):
            m.d.sync += [x.eq(Cat(x, z)[LIMB_BITS:]), z.eq(Cat(z, entering)[LIMB_BITS:])]
        with m.If(gives_z):
            m.d.comb += words.p.word.eq(z.word_select(index, WORD_BITS))
        with m.FSM():
            with m.State("idle"):
                m.d.sync += free.eq(generator.idle & ~self.result.valid)
                with m.If(begins):
                    m.d.sync += free.eq(0)
                    m.next = "operands"
            with m.State("operands"):
                m.d.comb += self.operands.ready.eq(~enters | (index != 2 * LIMBS - 1))
                with m.If(enters):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == 2 * LIMBS - 1):
                        m.d.sync += index.eq(0)
                        m.next = "nonce"
                        if self.messages:
                            with m.If(hashing):
                                m.next = "message"
            if self.messages:
                with m.State("message"):
                    m.d.comb += sha.digest.ready.eq(1)
                    m.d.sync += z.eq(sha.digest.payload)
                    with m.If(sha.digest.valid):
                        m.d.sync += [hashing.eq(0), check.eq(read)]
                        m.next = "nonce"
            with m.State("nonce"):
                m.d.comb += generator.request.valid.eq(1)
                with m.If(generator.request.ready):
                    m.d.sync += gives_z.eq(1)
                    m.next = "result"
            with m.State("result"):
                m.d.comb += [
                    generator.digest.valid.eq(sha.digest.valid),
                    sha.digest.ready.eq(generator.digest.ready),
                    words.valid.eq(generator.result.valid),
                    generator.result.ready.eq(words.ready & ~gives_z),
                ]
                with m.If(words.valid & words.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index.all()):
                        m.d.sync += gives_z.eq(0)
                    with m.If(words.p.last):
                        m.d.sync += clears.eq(1)
                        m.next = "idle"
        return m

    def _message(self, m: Module, sha: Sha2, hashing: Signal) -> Value:
        """Feed the hash unit from the message while ``hashing``; the message's check."""
        m.submodules.reader = reader = MessageReader(self._page_width)
        m.submodules.padder = padder = Padder(256, wire.MAX_MESSAGE_BYTES)
        words = registered(m, padder.words)
        wiring.connect(m, registered(m, reader.chunks), padder.chunks)
        wiring.connect(m, reader.fetch, wiring.flipped(self.fetch))
        wiring.connect(m, wiring.flipped(self.message), reader.message)
        request = self.request
        m.d.comb += [
            reader.request.payload.eq(request.p.location),
            reader.request.valid.eq(request.valid & request.ready & ~request.p.hashed),
        ]
        with m.If(hashing):
            m.d.comb += [
                sha.words.payload.eq(words.payload),
                sha.words.valid.eq(words.valid),
                words.ready.eq(sha.words.ready),
            ]
        return reader.check
