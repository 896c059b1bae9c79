"""Deterministic ECDSA nonces: RFC 6979 with HMAC-SHA256."""

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

Result = data.StructLayout({"k": _BITS})
"""Nonce ``k``, 1..order-1."""


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
    candidate is in range: the blocks, and ten digests stored."""
    return blocks(order) * block_clocks(_BITS) + 10 * _WORDS + 1


LOAD_CLOCKS = 1 + _WORDS + _SEED_WORDS
"""Clocks a request waits for being taken: h1 is reduced, x and h1 are stored."""

WIPE_CLOCKS = _STORE_WORDS
"""Clocks after a nonce was taken, or a reset, before the generator looks at a request."""


class HmacWords(wiring.Component):
    """Words of one of the two hashes of an HMAC: a block of key and pad, then the content.

    ``phase`` and ``outer`` (held while ``words`` is under way) say what: the inner hash of
    ``phase`` or, with ``outer``, the outer one over the inner digest. ``enable`` offers the words.
    ``addr`` and ``data`` read the generator's store, laid out as :class:`Place` says, in the same
    clock. Sources: RFC 2104; for the content RFC 6979, section 3.2.
    """

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
        block = Signal(2)
        index = Signal(range(BLOCK_WORDS))
        at = Signal(5)
        behind = Signal(4)
        carry = Signal(8)
        phase = self.phase
        m.d.comb += [at.eq(Cat(index, block == 2)), behind.eq(at - _WORDS)]

        seed_bytes = _BYTES + 1 + 2 * _octets(self._order)
        frame, blocks = Signal(_WORD_BITS), Signal(2, init=1)
        seeds = ~self.outer & ((phase == Phase.SEED_0) | (phase == Phase.SEED_1))
        frames = [
            (seeds & (phase == Phase.SEED_0), _frame(0, seed_bytes)),
            (seeds, _frame(1, seed_bytes)),
            (~self.outer & (phase == Phase.RESEED), _frame(0, _BYTES + 1)),
            (Const(1), _frame(0, _BYTES)),
        ]
        for i, (chosen, words) in enumerate(frames):
            with m.If(chosen) if i == 0 else m.Elif(chosen):
                padded = words + [0] * (2 * BLOCK_WORDS - len(words))
                m.d.comb += frame.eq(Array(Const(w, _WORD_BITS) for w in padded)[at])
                m.d.comb += blocks.eq(len(words) // BLOCK_WORDS)

        is_key, is_first = block == 0, at < _WORDS
        is_seed = seeds & ~is_first & (at < _WORDS + _SEED_WORDS)
        with m.If(is_key):
            m.d.comb += self.addr.eq(Place.KEY.value + index[:3])
        with m.Elif(self.outer):
            m.d.comb += self.addr.eq(Place.SCRATCH.value + index[:3])
        with m.Elif(is_first):
            m.d.comb += self.addr.eq(Place.VALUE.value + index[:3])
        with m.Else():
            m.d.comb += self.addr.eq(Place.SEED.value + behind)
        # one byte stands between V and the seed, so its words are a byte late
        shifted = Cat(Mux(is_seed, self.data[8:], 0), carry)
        pad = Mux(self.outer, _OUTER_PAD, _INNER_PAD)
        key_word = Mux(index < _WORDS, self.data, 0) ^ pad
        body = Mux(is_first, self.data, shifted) | frame
        m.d.comb += [
            self.words.valid.eq(self.enable),
            self.words.p.word.eq(Mux(is_key, key_word, body)),
            self.words.p.first.eq(is_key & (index == 0)),
            self.words.p.last.eq((block == blocks) & (index == BLOCK_WORDS - 1)),
        ]
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += [
                index.eq(index + 1),
                carry.eq(Mux(~is_key & is_seed, self.data[:8], 0)),
            ]
            with m.If(index == BLOCK_WORDS - 1):
                m.d.sync += block.eq(Mux(self.words.p.last, 0, block + 1))
        return m


class NonceGenerator(wiring.Component):
    """RFC 6979 without its hash unit, so that a station can share that unit.

    Members ``words`` and ``digest`` go to a ``Sha2(256)``; between ``request`` and ``result`` it
    must serve nobody else. ``idle``: the next request is looked at at once. All else is as for
    :class:`Rfc6979`. K, V, the inner digest, x and h1 are words in a store of distributed RAM.
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
        shift = _BITS - self._order.bit_length()
        reduced = Signal(_BITS)
        phase, outer = Signal(Phase), Signal()
        step = Signal(range(_STORE_WORDS))
        word, in_order = step[:3], Signal(_WORD_BITS)
        borrow, nonzero = Signal(), Signal()

        h1, digest = self.request.p.h1 >> shift, self.digest.payload
        candidate = digest >> shift
        compared = Signal(_WORD_BITS)
        difference = Signal(_WORD_BITS + 1)
        rotated = Cat(reduced[_WORD_BITS:], difference[:_WORD_BITS])
        size = 8 * _octets(self._order)
        seed = (Cat(reduced[:size], self.request.p.x[:size]) << 2 * (_BITS - size))[: 2 * _BITS]
        m.d.comb += [
            hmac.phase.eq(phase),
            hmac.outer.eq(outer),
            read.addr.eq(hmac.addr),
            hmac.data.eq(read.data),
            in_order.eq(Array(_words(Const(self._order, _BITS)))[word]),
            difference.eq(compared - in_order - borrow),
            self.result.p.k.eq(candidate),
        ]

        with m.FSM(init="wipe") as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("idle"))
            with m.State("wipe"):
                m.d.comb += [write.en.eq(1), write.addr.eq(step)]
                m.d.sync += step.eq(step + 1)
                with m.If(step == _STORE_WORDS - 1):
                    m.d.sync += [step.eq(0), phase.eq(Phase.SEED_0)]
                    m.next = "idle"
            with m.State("idle"), m.If(self.request.valid):
                m.d.sync += reduced.eq(h1)
                m.next = "reduce"
            with m.State("reduce"):
                m.d.comb += [
                    compared.eq(reduced[:_WORD_BITS]),
                    write.en.eq(1),
                    write.addr.eq(Place.VALUE.value + word),
                    write.data.eq(_INITIAL_WORD),
                ]
                m.d.sync += [reduced.eq(rotated), borrow.eq(difference[-1]), step.eq(step + 1)]
                with m.If(step == _WORDS - 1):
                    m.d.sync += [borrow.eq(0), step.eq(0)]
                    m.d.sync += reduced.eq(Mux(difference[-1], h1, rotated))
                    m.next = "seed"
            with m.State("seed"):
                m.d.comb += [
                    write.en.eq(1),
                    write.addr.eq(Place.SEED.value + step[:4]),
                    write.data.eq(Array(reversed(_words(seed)))[step[:4]]),
                ]
                m.d.sync += step.eq(step + 1)
                with m.If(step == _SEED_WORDS - 1):
                    m.d.comb += self.request.ready.eq(1)
                    m.d.sync += [step.eq(0), reduced.eq(0)]
                    m.next = "feed"
            with m.State("feed"):
                m.d.comb += hmac.enable.eq(1)
                with m.If(self.words.ready & self.words.p.last):
                    m.next = "digest"
            with m.State("digest"), m.If(self.digest.valid):
                place = Signal(range(_STORE_WORDS))
                is_key = Cat(phase == each for each in _KEY_PHASES).any()
                m.d.comb += [
                    compared.eq(Array(_words(candidate))[word]),
                    place.eq(Mux(is_key, Place.KEY.value, Place.VALUE.value)),
                    write.en.eq(1),
                    write.addr.eq(Mux(outer, place, Place.SCRATCH.value) + (_WORDS - 1 - word)),
                    write.data.eq(Array(_words(digest))[word]),
                ]
                m.d.sync += [
                    step.eq(step + 1),
                    borrow.eq(difference[-1]),
                    nonzero.eq(nonzero | compared.any()),
                ]
                with m.If(step == _WORDS - 1):
                    m.d.sync += [step.eq(0), borrow.eq(0), nonzero.eq(0), outer.eq(~outer)]
                    is_nonce = difference[-1] & (nonzero | compared.any())
                    with m.If(outer & (phase == Phase.CANDIDATE) & is_nonce):
                        m.next = "result"
                    with m.Else():
                        m.d.comb += self.digest.ready.eq(1)
                        m.next = "feed"
                        with m.If(outer), m.Switch(phase):
                            for now, following in _NEXT.items():
                                with m.Case(now):
                                    m.d.sync += phase.eq(following)
            with m.State("result"):
                m.d.comb += [
                    self.result.valid.eq(1),
                    self.digest.ready.eq(self.result.ready),
                ]
                with m.If(self.result.ready):
                    m.next = "wipe"
        return m


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
    result : Out(stream of {k: 256})
        ``k`` in 1..order-1.

    Timing
    ------
    :func:`blocks` and :func:`latency` of the order; HMAC keys are hashed every time. Each candidate
    out of range (0 or >= order) costs another HMAC with K, two with V and a comparison; for the
    order of secp256k1 that happens with probability below 2**-127.

    Security
    --------
    ``x``, ``h1``, ``k`` and everything between are secret. Time depends on the number of candidates
    only: each is compared with the order in a fixed number of clocks. When the result is taken, K,
    V, x, h1 and the inner digest are zeroised, a word a clock, and so they are after a reset; the
    next request is taken then. The hash unit wipes itself.

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
