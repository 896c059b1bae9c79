"""Deterministic ECDSA nonces: RFC 6979 with HMAC-SHA256."""

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .sha2 import BLOCK_WORDS, Sha2, block_clocks, words_layout

_BITS = 256
_WORD_BITS = 32
_WORDS = _BITS // _WORD_BITS
_BYTES = _BITS // 8
_BLOCK_BYTES = 64
_END_MARK = 0x80
_INNER_PAD = 0x36363636
_OUTER_PAD = 0x5C5C5C5C
_INITIAL_WORD = 0x01010101
_SEED_WORDS = 2 * _WORDS

Request = data.StructLayout({"x": _BITS, "h1": _BITS})
"""Secret key ``x``, 1..order-1, and digest ``h1``, 0..2**256-1; both integers."""

Result = data.StructLayout({"word": _WORD_BITS, "last": 1})
"""V, which begins with the nonce ``k``, in eight words, the least significant first: k is V without
as many of its last bits as the order has fewer than 256."""


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


_NEXT = {
    Phase.SEED_0: Phase.MIX_0,
    Phase.MIX_0: Phase.SEED_1,
    Phase.SEED_1: Phase.MIX_1,
    Phase.MIX_1: Phase.CANDIDATE,
    Phase.CANDIDATE: Phase.RESEED,
    Phase.RESEED: Phase.REMIX,
    Phase.REMIX: Phase.CANDIDATE,
}

_KEY_PHASES = (Phase.SEED_0, Phase.SEED_1, Phase.RESEED)
"""HMACs that give a new K; the others give a new V."""


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


_STORE_WORDS = 40


def _words(value: Value) -> list[Value]:
    """Words of ``value``, least significant first."""
    return [value[i : i + _WORD_BITS] for i in range(0, len(value), _WORD_BITS)]


def _frame(head: int, content_bytes: int) -> list[int]:
    """Words behind the key block of an HMAC's hash, zero but for the word-aligned ``head`` behind V
    or a digest, the end mark and the length; ``content_bytes`` of content."""
    zeros = -(content_bytes + 1 + 8) % _BLOCK_BYTES
    size = content_bytes + 1 + zeros + 8
    whole = head << 8 * (size - _BYTES - 1)
    whole |= _END_MARK << 8 * (size - content_bytes - 1) | 8 * (_BLOCK_BYTES + content_bytes)
    return [whole >> i & (1 << _WORD_BITS) - 1 for i in reversed(range(0, 8 * size, _WORD_BITS))]


def check_order(order: int) -> int:
    """``order``; ValueError if it is not in 2..2**256-1."""
    if not 2 <= order < 1 << _BITS:
        raise ValueError(f"order must be in 2..2**256-1, got {order:#x}")
    return order


def _octets(order: int) -> int:
    """``rlen`` / 8: bytes of an integer below the order."""
    return -(-order.bit_length() // 8)


def blocks(order: int) -> int:
    """SHA-256 blocks of a nonce whose first candidate is in range: 22 for a 256-bit order."""
    seed = _BYTES + 1 + 2 * _octets(order)
    inner = [seed, _BYTES, seed, _BYTES, _BYTES]
    return sum(1 + -(-(size + 9) // _BLOCK_BYTES) for size in inner) + 2 * len(inner)


def latency(order: int) -> int:
    """Clocks from the edge that takes a request to the first that may take its nonce, if the first
    candidate is in range: the blocks, and ten times a digest stored and words under way."""
    return blocks(order) * block_clocks(_BITS) + 10 * (_WORDS + 2 + HmacWords.latency) + 1


LOAD_CLOCKS = 1 + 2 * _SEED_WORDS + 2 + _WORDS
"""Clocks a request waits for being taken: h1 is compared with the order, x and h1 are stored."""

WIPE_CLOCKS = _STORE_WORDS
"""Clocks after a nonce was taken, or a reset, before the generator looks at a request."""


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
                "addr": Out(range(_STORE_WORDS)),
                "data": In(_WORD_BITS),
                "words": Out(stream.Signature(words_layout(_WORD_BITS))),
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

        place = Signal(data.StructLayout({**_MADE.members, "frame": _WORD_BITS}))
        is_first = at < _WORDS
        is_seed = seeds & ~is_first & (at < _WORDS + _SEED_WORDS)
        with m.If(advances):
            m.d.sync += [
                place.valid.eq(goes),
                place.first.eq(is_key & (index == 0)),
                place.last.eq(ends),
                place.reads.eq(Mux(is_key, index < _WORDS, is_first)),
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
                m.d.sync += self.addr.eq(Place.SEED.value + (at - _WORDS)[:4])

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
        seed_bytes = _BYTES + 1 + 2 * _octets(self._order)
        frame, blocks = Signal(_WORD_BITS), Signal(2, init=1)
        frames = [
            (seeds & (self.phase == Phase.SEED_0), _frame(0, seed_bytes)),
            (seeds, _frame(1, seed_bytes)),
            (~self.outer & (self.phase == Phase.RESEED), _frame(0, _BYTES + 1)),
            (Const(1), _frame(0, _BYTES)),
        ]
        for i, (chosen, words) in enumerate(frames):
            with m.If(chosen) if i == 0 else m.Elif(chosen):
                padded = words + [0] * (2 * BLOCK_WORDS - len(words))
                m.d.comb += frame.eq(Array(Const(w, _WORD_BITS) for w in padded)[at])
                m.d.comb += blocks.eq(len(words) // BLOCK_WORDS)
        return frame, blocks


_MADE = data.StructLayout({"valid": 1, "first": 1, "last": 1, "reads": 1, "seeds": 1})
"""What a word of an HMAC is made of: whether a stored word is a part of it, or the end of one and
the beginning of the next."""


_TURN = data.StructLayout(
    {
        "word": _WORD_BITS,
        "order": _WORD_BITS,
        "counted": _WORD_BITS,
        "more": _WORD_BITS,
        "compares": 1,
        "subtracts": 1,
        "writes": 1,
        "addr": range(_STORE_WORDS),
    }
)
"""What is done with a word, a clock after it was chosen: it is compared with that of the order, as
far as its bits are ``counted``, and stored: it, or what it exceeds the order by, and ``more``."""


class NonceGenerator(wiring.Component):
    """RFC 6979 without its hash unit, so that a station can share that unit.

    Members ``words`` and ``digest`` go to a ``Sha2(256)``; between ``request`` and the last word of
    ``result`` it must serve nobody else. ``idle``: the next request is looked at at once. All else
    is as for :class:`Rfc6979`. K, V, the inner digest, x and h1 are words in a store of distributed
    RAM; the request stays offered until it is taken.
    """

    def __init__(self, order: int) -> None:
        self._order = check_order(order)
        super().__init__(
            {
                "request": In(stream.Signature(Request)),
                "words": Out(stream.Signature(words_layout(_WORD_BITS))),
                "digest": In(stream.Signature(_BITS)),
                "result": Out(stream.Signature(Result)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.hmac = hmac = HmacWords(self._order)
        wiring.connect(m, hmac.words, wiring.flipped(self.words))
        m.submodules.store = store = Memory(shape=_WORD_BITS, depth=_STORE_WORDS, init=[])
        read, write = store.read_port(domain="comb"), store.write_port()
        self._phase, self._outer = Signal(Phase), Signal()
        self._step = Signal(range(_STORE_WORDS))
        self._digest_word = Signal(_WORD_BITS)
        self._turn = turn = Signal(_TURN)
        self._borrow, self._nonzero, difference = Signal(), Signal(), Signal(_WORD_BITS + 1)
        m.d.sync += turn.eq(0)
        m.d.comb += [
            hmac.phase.eq(self._phase),
            hmac.outer.eq(self._outer),
            read.addr.eq(hmac.addr),
            hmac.data.eq(read.data),
            self._digest_word.eq(self.digest.payload.word_select(self._step[:3], _WORD_BITS)),
            self.result.p.word.eq(self._digest_word),
            self.result.p.last.eq(self._step[:3] == _WORDS - 1),
            difference.eq(turn.word - turn.order - self._borrow),
            write.en.eq(turn.writes),
            write.addr.eq(turn.addr),
            write.data.eq(Mux(turn.subtracts, difference[:_WORD_BITS], turn.word) | turn.more),
        ]
        with m.If(turn.compares):
            m.d.sync += [
                self._borrow.eq(difference[-1]),
                self._nonzero.eq(self._nonzero | (turn.word & turn.counted).any()),
            ]

        with m.FSM(init="wipe") as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("idle"))
            with m.State("wipe"):
                m.d.sync += [turn.writes.eq(1), turn.addr.eq(self._step)]
                with self._last_step(m, _STORE_WORDS):
                    m.d.sync += self._phase.eq(Phase.SEED_0)
                    m.next = "idle"
            with m.State("idle"), m.If(self.request.valid):
                m.next = "compare"
            self._load(m)
            with m.State("feed"):
                m.d.comb += hmac.enable.eq(1)
                with m.If(self.words.valid & self.words.ready & self.words.p.last):
                    m.next = "digest"
            self._store_digest(m)
            with m.State("result"):
                m.d.comb += self.result.valid.eq(1)
                with m.If(self.result.ready), self._last_step(m, _WORDS):
                    m.d.comb += self.digest.ready.eq(1)
                    m.next = "wipe"
        return m

    @contextmanager
    def _last_step(self, m: Module, steps: int) -> Iterator[None]:
        """Count a step; what is done in the last one of them."""
        m.d.sync += self._step.eq(self._step + 1)
        with m.If(self._step == steps - 1):
            m.d.sync += self._step.eq(0)
            yield

    def _load(self, m: Module) -> None:
        """States that store x and h1: as two numbers one behind the other, words of both at once.

        Both and the order are first brought to where they stand in the seed.
        """
        size = 8 * _octets(self._order)
        at = 2 * (_BITS - size)
        h1 = self.request.p.h1 >> _BITS - self._order.bit_length() << at
        x = self.request.p.x << at + size
        turn, step, subtracts = self._turn, self._step[:4], Signal()

        def part(number: Value) -> Value:
            return Cat(number, Const(0, 2 * _BITS))[: 2 * _BITS].word_select(step, _WORD_BITS)

        compare = [
            turn.word.eq(part(h1)),
            turn.order.eq(part(Const(self._order << at, 2 * _BITS))),
            turn.compares.eq(1),
        ]
        with m.State("compare"):
            m.d.sync += [
                *compare,
                turn.writes.eq(0),
                subtracts.eq(0),
            ]
            with self._last_step(m, _SEED_WORDS):
                m.next = "compared"
        with m.State("compared"):
            m.next = "reaches"
        with m.State("reaches"):
            m.d.sync += [subtracts.eq(~self._borrow), self._borrow.eq(0)]
            m.next = "seed"
        with m.State("seed"):
            m.d.sync += [
                *compare,
                turn.subtracts.eq(subtracts),
                turn.more.eq(part(x)),
                turn.writes.eq(1),
                turn.addr.eq(Place.SEED.value + (_SEED_WORDS - 1 - step)),
            ]
            with self._last_step(m, _SEED_WORDS):
                m.next = "value"
        with m.State("value"):
            m.d.sync += [
                turn.writes.eq(1),
                turn.addr.eq(Place.VALUE.value + step[:3]),
                turn.word.eq(_INITIAL_WORD),
            ]
            with self._last_step(m, _WORDS):
                m.d.comb += self.request.ready.eq(1)
                m.d.sync += [self._borrow.eq(0), self._nonzero.eq(0), subtracts.eq(0)]
                m.next = "feed"

    def _store_digest(self, m: Module) -> None:
        """States that store a digest, compare it with the order, and go on."""
        shift = _BITS - self._order.bit_length()
        word, phase, outer, turn = self._step[:3], self._phase, self._outer, self._turn
        order, counted = Const(self._order << shift, _BITS), Const((1 << _BITS) - (1 << shift))
        place = Signal(range(_STORE_WORDS))
        is_key = Cat(phase == each for each in _KEY_PHASES).any()
        m.d.comb += place.eq(Mux(is_key, Place.KEY.value, Place.VALUE.value))
        with m.State("digest"), m.If(self.digest.valid):
            m.d.sync += [
                turn.word.eq(self._digest_word),
                turn.order.eq(order.word_select(word, _WORD_BITS)),
                turn.counted.eq(counted.word_select(word, _WORD_BITS)),
                turn.compares.eq(1),
                turn.writes.eq(1),
                turn.addr.eq(Mux(outer, place, Place.SCRATCH.value) + (_WORDS - 1 - word)),
            ]
            with self._last_step(m, _WORDS):
                m.next = "compared digest"
        with m.State("compared digest"):
            m.next = "decide"
        with m.State("decide"):
            m.d.sync += [self._borrow.eq(0), self._nonzero.eq(0), outer.eq(~outer)]
            m.next = "feed"
            with m.If(outer & (phase == Phase.CANDIDATE) & self._borrow & self._nonzero):
                m.next = "result"
            with m.Else():
                m.d.comb += self.digest.ready.eq(1)
                with m.If(outer), m.Switch(phase):
                    for now, following in _NEXT.items():
                        with m.Case(now):
                            m.d.sync += phase.eq(following)


class Rfc6979(wiring.Component):
    """Nonces k = RFC6979(order, SHA-256)(x, h1).

    Parameters
    ----------
    order
        Order q of the group, 2..2**256-1. Its bit length is the RFC's qlen: h1 enters as
        bits2octets(h1), its qlen leftmost bits less q where they reach q; candidates are the qlen
        leftmost bits of V.

    Members
    -------
    request : In(stream of {x: 256, h1: 256})
        ``x`` in 1..order-1; ``h1`` any digest, as the integer of its big-endian bytes.
    result : Out(stream of {word: 32, last})
        V in eight words, see :data:`Result`; the k in it is in 1..order-1.

    Timing
    ------
    :func:`blocks` and :func:`latency` of the order; HMAC keys are hashed every time. Each candidate
    out of range (0 or >= order) costs another HMAC with K, two with V and a comparison; for the
    order of secp256k1 that happens with probability below 2**-127.

    Security
    --------
    ``x``, ``h1``, ``k`` and everything between are secret. Time depends on the number of candidates
    only: each is compared with the order in a fixed number of clocks. When the last word is taken,
    K, V, x, h1 and the inner digest are zeroised, a word a clock, and so they are after a reset;
    the next request is taken then. The hash unit wipes itself.

    Source: RFC 6979, sections 2.3 and 3.2; RFC 2104.
    """

    def __init__(self, order: int) -> None:
        self._order = check_order(order)
        super().__init__(
            {"request": In(stream.Signature(Request)), "result": Out(stream.Signature(Result))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.generator = generator = NonceGenerator(self._order)
        m.submodules.sha = sha = Sha2(_BITS)
        wiring.connect(m, generator.words, sha.words)
        wiring.connect(m, sha.digest, generator.digest)
        wiring.connect(m, wiring.flipped(self.request), generator.request)
        wiring.connect(m, generator.result, wiring.flipped(self.result))
        return m
