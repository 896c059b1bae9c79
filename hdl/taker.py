"""Takes the body of a request: into chunks for the message pool, or into a register."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from .engine.isa import LIMB_BITS, WORD_BITS
from .hash.check import CHECK_BITS, extended
from .stations.words import shifted
from .stream import CHUNK_BYTES, Chunk, Packet

_NUMBER_BITS = 8 * wire.KEY_BYTES


class BodyTaker(wiring.Component):
    """Body of one request after the other.

    Members
    -------
    i : In(stream of Packet(8))
        The rest of a request's packet; taken while ``enable``.
    length : In(16), start : In(1)
        What the header says of the body's length; taken over in the clock of ``start``.
    enable, ended : In(1)
        The body is to be taken; the packet's last byte was.
    to_chunks, to_word : In(1)
        Where the first ``length`` bytes go, if anywhere. Those behind are only counted.
    big_endian : In(1)
        The bytes of the word come with the most significant first, else the least.
    clear : In(1)
        Zeroises what was taken.
    chunks : Out(stream of Chunk)
        The bytes for the message pool; at least one if ``length`` and the body are not empty.
    check : Out(64)
        Of the chunks taken, see :func:`~intaglio.hdl.hash.check.extended`.
    limb : Out(LIMB_BITS), next : In(1)
        The last 32 bytes as a word, limb by limb, the least significant first: ``next`` has the
        following one come in the next clock. Secret during a load.
    received : Out(range)
        Bytes that came, up to one more than a message may have.
    done : Out(1)
        All is in, and the chunks are taken.

    Timing: a byte a clock, as long as the chunks are taken.
    Security: the word is zero after four times ``next``.
    """

    i: In(stream.Signature(Packet(8)))
    length: In(16)
    start: In(1)
    enable: In(1)
    ended: In(1)
    to_chunks: In(1)
    to_word: In(1)
    big_endian: In(1)
    clear: In(1)
    chunks: Out(stream.Signature(Chunk))
    check: Out(CHECK_BITS)
    limb: Out(LIMB_BITS)
    next: In(1)
    received: Out(range(wire.MAX_MESSAGE_BYTES + 2))
    done: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, chunk = self.i.payload, self.chunks.payload
        left = Signal.like(self.length)
        fits, is_full, is_eighth = Signal(), Signal(), Signal()
        # a byte taken, put to its place a clock later
        octet, closes = Signal(8), Signal()
        to_chunk, to_word = Signal(), Signal()
        word = Signal(WORD_BITS)
        m.d.comb += [
            self.limb.eq(word[:LIMB_BITS]),
            fits.eq(left != 0),
            is_full.eq(closes | is_eighth),
            self.i.ready.eq(self.enable & ~self.ended & ~self.chunks.valid & ~(to_chunk & is_full)),
            self.done.eq(self.enable & self.ended & ~self.chunks.valid & ~to_chunk & ~to_word),
        ]
        m.d.sync += [octet.eq(0), to_chunk.eq(0), to_word.eq(0)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                octet.eq(byte.data),
                closes.eq(byte.last | (left == 1)),
                to_chunk.eq(fits & self.to_chunks),
                to_word.eq(fits & self.to_word),
            ]
            with m.If(fits):
                m.d.sync += left.eq(left - 1)
            with m.If(self.received != wire.MAX_MESSAGE_BYTES + 1):
                m.d.sync += self.received.eq(self.received + 1)

        with m.If(self.chunks.valid & self.chunks.ready):
            m.d.sync += [
                self.check.eq(extended(self.check, chunk.data)),
                self.chunks.valid.eq(0),
                chunk.eq(0),
                is_eighth.eq(0),
            ]
        with m.If(to_chunk):
            for place in range(CHUNK_BYTES):
                with m.If(chunk.count == place):
                    m.d.sync += chunk.data.word_select(CHUNK_BYTES - 1 - place, 8).eq(octet)
            m.d.sync += [
                chunk.count.eq(chunk.count + 1),
                chunk.last.eq(closes),
                self.chunks.valid.eq(is_full),
                is_eighth.eq(chunk.count == CHUNK_BYTES - 2),
            ]
        with m.If(to_word & self.big_endian):
            m.d.sync += word.eq(Cat(octet, word)[:_NUMBER_BITS])
        with m.Elif(to_word):
            m.d.sync += word.eq(Cat(word[8:_NUMBER_BITS], octet))
        with m.Elif(self.next):
            m.d.sync += word.eq(shifted(word))
        with m.If(self.start):
            m.d.sync += left.eq(self.length)
        with m.If(self.clear):
            m.d.sync += [word.eq(0), self.check.eq(0), self.received.eq(0)]
        return m
