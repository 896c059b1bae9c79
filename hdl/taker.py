"""Takes the body of a request: into chunks for the message pool, or into a register."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from .hash.check import CHECK_BITS, extended
from .stream import CHUNK_BYTES, Chunk, Packet

_WORD_BITS = 8 * wire.KEY_BYTES


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
    clear : In(1)
        Zeroises what was taken.
    chunks : Out(stream of Chunk)
        The bytes for the message pool; at least one if ``length`` and the body are not empty.
    check : Out(64)
        Of the chunks taken, see :func:`~intaglio.hdl.hash.check.extended`.
    word : Out(256)
        The last bytes, the last of all in the top bits. Secret during a load.
    received : Out(range)
        Bytes that came, up to one more than a message may have.
    done : Out(1)
        All is in, and the chunks are taken.

    Timing: a byte a clock, as long as the chunks are taken.
    """

    i: In(stream.Signature(Packet(8)))
    length: In(16)
    start: In(1)
    enable: In(1)
    ended: In(1)
    to_chunks: In(1)
    to_word: In(1)
    clear: In(1)
    chunks: Out(stream.Signature(Chunk))
    check: Out(CHECK_BITS)
    word: Out(_WORD_BITS)
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
        m.d.comb += [
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
        with m.If(to_word):
            m.d.sync += self.word.eq(Cat(self.word, octet)[8:])
        with m.If(self.start):
            m.d.sync += left.eq(self.length)
        with m.If(self.clear):
            m.d.sync += [self.word.eq(0), self.check.eq(0), self.received.eq(0)]
        return m
