"""Message bytes to padded SHA-2 words."""

from amaranth import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
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
    One word a clock; a chunk's first word comes ``latency`` clocks after the chunk. The padding
    follows the last chunk without a pause. ``chunks.ready`` depends on ``words.ready``.

    Security
    --------
    Chunks may be secret; one is held, and its register is zero once its words are taken. Of the
    message only its length, which is public, is kept for longer.

    Source: FIPS 180-4, section 5.1.
    """

    latency = 1

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

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self._word_bits
        parts = 8 * CHUNK_BYTES // width
        word = self.words.p
        part = Signal(range(parts))
        index = Signal(range(BLOCK_WORDS))
        started = Signal()
        length_bytes = Signal(range(self._max_bytes + 1))
        length_bits = Signal(2 * width)

        # the chunk in turn, its end marked
        held = Signal(Chunk)
        held_full, in_padding = Signal(), Signal()
        is_end, loads = Signal(), Signal()
        moved, chunk_moved, offered = Signal(), Signal(), Signal()
        m.d.comb += [
            self.chunks.ready.eq(loads & ~is_end),
            self.words.valid.eq(held_full | in_padding),
            moved.eq(self.words.valid & self.words.ready),
            chunk_moved.eq(held_full & self.words.ready & (part == parts - 1)),
            is_end.eq(held_full & held.last),
            loads.eq(~in_padding & (~held_full | chunk_moved)),
            offered.eq(self.chunks.valid & ~is_end),
            length_bits.eq(length_bytes << 3),
            word.first.eq(~started),
        ]
        with m.If(loads):
            m.d.sync += [
                held_full.eq(offered),
                held.data.eq(_marked(self.chunks.p, offered)),
                held.count.eq(Mux(offered, self.chunks.p.count, 0)),
                held.last.eq(offered & self.chunks.p.last),
            ]

        with m.If(moved):
            m.d.sync += [index.eq(index + 1), started.eq(~word.last)]
        with m.If(held_full & self.words.ready):
            m.d.sync += part.eq(part + 1)
        with m.If(chunk_moved):
            m.d.sync += length_bytes.eq(length_bytes + held.count)
        words = [held.data[i : i + width] for i in reversed(range(0, 8 * CHUNK_BYTES, width))]
        padding = Signal(width)
        m.d.comb += word.word.eq(Array(words)[part] | padding)
        with m.FSM():
            with m.State("message"), m.If(chunk_moved & held.last):
                m.d.sync += in_padding.eq(1)
                m.next = "zeros"
                with m.If(held.count == CHUNK_BYTES):
                    m.next = "mark"
            with m.State("mark"):
                m.d.comb += padding.eq(_END_MARK << width - 8)
                with m.If(moved):
                    m.next = "zeros"
            with m.State("zeros"), m.If(index == BLOCK_WORDS - 2):
                m.d.comb += padding.eq(length_bits[width:])
                with m.If(moved):
                    m.next = "length"
            with m.State("length"):
                m.d.comb += [padding.eq(length_bits[:width]), word.last.eq(1)]
                with m.If(moved):
                    m.d.sync += [length_bytes.eq(0), in_padding.eq(0)]
                    m.next = "message"
        return m


def _marked(chunk: data.View, gate: Value) -> Value:
    """The chunk's data with zeros for what does not count, the end mark behind what does.

    All zeros without ``gate``.
    """
    octets = []
    for place in range(CHUNK_BYTES):
        octet = chunk.data[8 * (CHUNK_BYTES - 1 - place) :][:8]
        kept = octet & (gate & (chunk.count > place)).replicate(8)
        octets.append(kept | Cat(C(0, 7), gate & (chunk.count == place)))
    return Cat(reversed(octets))
