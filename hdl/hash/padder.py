"""Message bytes to padded SHA-2 words."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..stream import CHUNK_BYTES, Chunk
from .constants import parameters
from .sha2 import BLOCK_WORDS, words_layout

_END_MARK = 0x80


class Padder(wiring.Component):
    """Splits a message into words and appends the padding: bit 1, zeros, length in bits.

    Parameters
    ----------
    bits
        256 or 512: the padding of SHA-``bits``, words of 32 or 64 bits.
    max_bytes
        Longest message, in bytes. A longer one gets a wrong length field.

    Members
    -------
    chunks : In(stream of Chunk)
        Messages, of 0 to ``max_bytes`` bytes each.
    words : Out(stream of {word: w, first: 1, last: 1})
        What :class:`~intaglio.hdl.hash.sha2.Sha2` takes.

    Timing
    ------
    One word a clock; message words pass in the clock their chunk is offered (``latency`` 0), a
    chunk is taken with its last word. The padding follows without a pause.

    Security
    --------
    Chunks may be secret; only the message's length, which is public, is ever stored.

    Source: FIPS 180-4, section 5.1.
    """

    latency = 0

    def __init__(self, bits: int, max_bytes: int) -> None:
        if max_bytes < 1:
            raise ValueError(f"max_bytes must be at least 1, got {max_bytes}")
        self._word_bits = parameters(bits).word_bits
        self._max_bytes = max_bytes
        super().__init__(
            {
                "chunks": In(stream.Signature(Chunk)),
                "words": Out(stream.Signature(words_layout(self._word_bits))),
            }
        )

    def _ended(self, word: Value, count: Value) -> Value:
        """The word with only ``count`` (below w / 8) leading bytes kept and the end mark behind."""
        width = self._word_bits
        choices = []
        for kept in range(width // 8):
            cut = width - 8 * kept
            choices.append(Cat(Const(_END_MARK << cut - 8, cut), word[cut:]))
        return Array(choices)[count[: len(choices).bit_length() - 1]]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, word_bytes = self._word_bits, self._word_bits // 8
        chunk, word = self.chunks.p, self.words.p
        part = Signal(range(CHUNK_BYTES // word_bytes))
        index = Signal(range(BLOCK_WORDS))
        started = Signal()
        length_bytes = Signal(range(self._max_bytes + 1))
        length_bits = Signal(2 * width)

        offset = part * word_bytes
        taken = Signal(range(CHUNK_BYTES + 1))
        full = Signal()
        ends = Signal()
        words = [chunk.data[i : i + width] for i in reversed(range(0, 8 * CHUNK_BYTES, width))]
        source = Array(words)[part]
        m.d.comb += [
            taken.eq(chunk.count - offset),
            full.eq(chunk.count >= offset + word_bytes),
            ends.eq(chunk.last & (chunk.count <= offset + word_bytes)),
            length_bits.eq(length_bytes << 3),
            word.first.eq(~started),
        ]
        moved = self.words.valid & self.words.ready
        with m.If(moved):
            m.d.sync += [index.eq(index + 1), started.eq(~word.last)]

        with m.FSM():
            with m.State("message"):
                whole_chunk = ends | (offset + word_bytes == CHUNK_BYTES)
                m.d.comb += [
                    self.words.valid.eq(self.chunks.valid),
                    self.chunks.ready.eq(self.words.ready & whole_chunk),
                    word.word.eq(Mux(full, source, self._ended(source, taken))),
                ]
                with m.If(moved):
                    m.d.sync += part.eq(Mux(whole_chunk, 0, part + 1))
                    with m.If(whole_chunk):
                        m.d.sync += length_bytes.eq(length_bytes + chunk.count)
                    with m.If(ends):
                        m.next = "zeros"
                        with m.If(full):
                            m.next = "mark"
            with m.State("mark"):
                m.d.comb += self.words.valid.eq(1)
                m.d.comb += word.word.eq(_END_MARK << width - 8)
                with m.If(moved):
                    m.next = "zeros"
            with m.State("zeros"):
                m.d.comb += self.words.valid.eq(1)
                with m.If(index == BLOCK_WORDS - 2):
                    m.d.comb += word.word.eq(length_bits[width:])
                    with m.If(moved):
                        m.next = "length"
            with m.State("length"):
                m.d.comb += [
                    self.words.valid.eq(1),
                    word.word.eq(length_bits[:width]),
                    word.last.eq(1),
                ]
                with m.If(moved):
                    m.d.sync += length_bytes.eq(0)
                    m.next = "message"
        return m
