"""The words that RFC 6979's HMACs hash, read from a store of 32-bit words."""

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from .sha2 import BLOCK_WORDS, words_layout

BITS = 256
WORD_BITS = 32
WORDS = BITS // WORD_BITS
BYTES = BITS // 8
BLOCK_BYTES = 64
SEED_WORDS = 2 * WORDS
_END_MARK = 0x80
_INNER_PAD = 0x36363636
_OUTER_PAD = 0x5C5C5C5C


class Phase(enum.Enum, shape=3):
    """One HMAC each; the letters are the steps of RFC 6979, section 3.2."""

    SEED_0 = 0
    """d: K = HMAC_K(V || 00 || x || h1)."""
    MIX_0 = 1
    """e: V = HMAC_K(V)."""
    SEED_1 = 2
    """f: K = HMAC_K(V || 01 || x || h1)."""
    MIX_1 = 3
    """g: V = HMAC_K(V)."""
    CANDIDATE = 4
    """h.2: V = HMAC_K(V), whose leading bits are a candidate for k."""
    RESEED = 5
    """h.3, after a candidate out of range: K = HMAC_K(V || 00)."""
    REMIX = 6
    """h.3: V = HMAC_K(V)."""


class Place(enum.Enum, shape=6):
    """Where the words of a value begin in a generator's store, the most significant first."""

    KEY = 0
    """K."""
    VALUE = 8
    """V."""
    SCRATCH = 16
    """The digest of an inner hash."""
    SEED = 24
    """x and h1 modulo the order, in as many bytes as the order has, zeros behind."""


STORE_WORDS = 40


def _frame(head: int, content_bytes: int) -> list[int]:
    """Words behind the key block of an HMAC's hash, zero but for the word-aligned ``head`` behind V
    or a digest, the end mark and the length; ``content_bytes`` of content."""
    zeros = -(content_bytes + 1 + 8) % BLOCK_BYTES
    size = content_bytes + 1 + zeros + 8
    whole = head << 8 * (size - BYTES - 1)
    whole |= _END_MARK << 8 * (size - content_bytes - 1) | 8 * (BLOCK_BYTES + content_bytes)
    return [whole >> i & (1 << WORD_BITS) - 1 for i in reversed(range(0, 8 * size, WORD_BITS))]


def check_order(order: int) -> int:
    """``order``; ValueError if it is not in 2..2**256-1."""
    if not 2 <= order < 1 << BITS:
        raise ValueError(f"order must be in 2..2**256-1, got {order:#x}")
    return order


def octets(order: int) -> int:
    """``rlen`` / 8: bytes of an integer below the order."""
    return -(-order.bit_length() // 8)


_MADE = data.StructLayout({"valid": 1, "first": 1, "last": 1, "reads": 1, "seeds": 1})
"""What a word of an HMAC is made of: whether a stored word is a part of it, or the end of one and
the beginning of the next."""


class HmacWords(wiring.Component):
    """Words of one of the two hashes of an HMAC: a block of key and pad, then the content.

    ``phase`` and ``outer`` (held while ``words`` is under way) say what: the inner hash of
    ``phase`` or, with ``outer``, the outer one over the inner digest. ``enable`` offers the words,
    the first ``latency`` clocks later, and is held until the last is taken.
    ``addr`` and ``data`` read the generator's store, laid out as :class:`Place` says, in the same
    clock. Sources: RFC 2104; for the content RFC 6979, section 3.2.
    """

    latency = 2

    def __init__(self, order: int) -> None:
        self._order = check_order(order)
        super().__init__(
            {
                "phase": In(Phase),
                "outer": In(1),
                "enable": In(1),
                "addr": Out(range(STORE_WORDS)),
                "data": In(WORD_BITS),
                "words": Out(stream.Signature(words_layout(WORD_BITS))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        block, index, ended = Signal(2), Signal(range(BLOCK_WORDS)), Signal()
        advances = Signal()
        is_key = block == 0
        seeds = ~self.outer & ((self.phase == Phase.SEED_0) | (self.phase == Phase.SEED_1))
        at = Cat(index, block == 2)
        frame, blocks = self._frame(m, seeds, at)
        ends = (block == blocks) & (index == BLOCK_WORDS - 1)
        goes = self.enable & ~ended
        m.d.comb += advances.eq(~self.words.valid | self.words.ready)
        with m.If(advances & goes):
            m.d.sync += [index.eq(index + 1), ended.eq(ends)]
            with m.If(index == BLOCK_WORDS - 1):
                m.d.sync += block.eq(Mux(ends, 0, block + 1))
        with m.If(self.words.valid & self.words.ready & self.words.p.last):
            m.d.sync += ended.eq(0)

        place = Signal(data.StructLayout({**_MADE.members, "frame": WORD_BITS}))
        is_first = at < WORDS
        is_seed = seeds & ~is_first & (at < WORDS + SEED_WORDS)
        with m.If(advances):
            m.d.sync += [
                place.valid.eq(goes),
                place.first.eq(is_key & (index == 0)),
                place.last.eq(ends),
                place.reads.eq(Mux(is_key, index < WORDS, is_first)),
                place.seeds.eq(~is_key & is_seed),
                place.frame.eq(Mux(is_key, Mux(self.outer, _OUTER_PAD, _INNER_PAD), frame)),
            ]
            with m.If(is_key):
                m.d.sync += self.addr.eq(Place.KEY.value + index[:3])
            with m.Elif(self.outer):
                m.d.sync += self.addr.eq(Place.SCRATCH.value + index[:3])
            with m.Elif(is_first):
                m.d.sync += self.addr.eq(Place.VALUE.value + index[:3])
            with m.Else():
                m.d.sync += self.addr.eq(Place.SEED.value + (at - WORDS)[:4])

        # one byte stands between V and the seed, so its words are a byte late
        carry = Signal(8)
        whole = Mux(place.reads, self.data, 0)
        late = Cat(Mux(place.seeds, self.data[8:], 0), carry)
        with m.If(advances):
            m.d.sync += [
                self.words.valid.eq(place.valid),
                self.words.p.word.eq((whole | late) ^ place.frame),
                self.words.p.first.eq(place.first),
                self.words.p.last.eq(place.last),
                carry.eq(Mux(place.seeds, self.data[:8], 0)),
            ]
        return m

    def _frame(self, m: Module, seeds: Value, at: Value) -> tuple[Signal, Signal]:
        """The constant part of word ``at`` behind the key block, and blocks of content."""
        seed_bytes = BYTES + 1 + 2 * octets(self._order)
        frame, blocks = Signal(WORD_BITS), Signal(2, init=1)
        frames = [
            (seeds & (self.phase == Phase.SEED_0), _frame(0, seed_bytes)),
            (seeds, _frame(1, seed_bytes)),
            (~self.outer & (self.phase == Phase.RESEED), _frame(0, BYTES + 1)),
            (Const(1), _frame(0, BYTES)),
        ]
        for i, (chosen, words) in enumerate(frames):
            with m.If(chosen) if i == 0 else m.Elif(chosen):
                padded = words + [0] * (2 * BLOCK_WORDS - len(words))
                m.d.comb += frame.eq(Array(Const(w, WORD_BITS) for w in padded)[at])
                m.d.comb += blocks.eq(len(words) // BLOCK_WORDS)
        return frame, blocks
