"""Deterministic ECDSA nonces: RFC 6979 with HMAC-SHA256."""

from collections.abc import Sequence

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
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
_INITIAL_VALUE = int.from_bytes(b"\x01" * _BYTES, "big")

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
    Phase.RESEED: Phase.REMIX,
    Phase.REMIX: Phase.CANDIDATE,
}

_KEY_PHASES = (Phase.SEED_0, Phase.SEED_1, Phase.RESEED)
"""HMACs that give a new K; the others give a new V."""


def _words(value: Value) -> list[Value]:
    """Words of ``value``, least significant first."""
    return [value[i : i + _WORD_BITS] for i in range(0, len(value), _WORD_BITS)]


def _big_endian(value: Value, size_bytes: int) -> list[Value]:
    """The least significant ``size_bytes`` of ``value``, most significant first."""
    return [value[8 * i : 8 * i + 8] for i in reversed(range(size_bytes))]


def _padded(content: Sequence[Value]) -> list[Value]:
    """Words of ``content`` (bytes) padded as the part of a message behind one block of HMAC key."""
    zeros = -(len(content) + 1 + 8) % _BLOCK_BYTES
    length_bits = Const(8 * (_BLOCK_BYTES + len(content)), 64)
    whole = [*content, Const(_END_MARK, 8), *[Const(0, 8)] * zeros, *_big_endian(length_bits, 8)]
    return [Cat(reversed(whole[i : i + 4])) for i in range(0, len(whole), 4)]


def _select(choices: Sequence[tuple[Value, list[Value]]], index: Value) -> tuple[Value, Value]:
    """Of the first chosen list: its word number ``index``, and its length in blocks."""
    word: Value = Const(0, _WORD_BITS)
    blocks: Value = Const(0, 2)
    for chosen, words in reversed(choices):
        word = Mux(chosen, Array(words)[index], word)
        blocks = Mux(chosen, Const(len(words) // BLOCK_WORDS, 2), blocks)
    return word, blocks


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
    candidate is in range: the blocks, a clock to hand over each of ten digests, reduction,
    comparison."""
    return blocks(order) * block_clocks(_BITS) + 10 + 2 * _WORDS + 1


class HmacWords(wiring.Component):
    """Words of one of the two hashes of an HMAC: a block of key and pad, then the content.

    Members ``key`` .. ``outer`` (held while ``words`` is under way) say what: the inner hash of
    ``phase`` or, with ``outer``, the outer one over the inner digest in ``scratch``. ``secret`` and
    ``reduced`` are x and h1 mod order. ``enable`` offers the words. Sources: RFC 2104; for the
    content RFC 6979, section 3.2.
    """

    def __init__(self, order: int) -> None:
        self._order = check_order(order)
        registers = ("key", "value", "secret", "reduced", "scratch")
        super().__init__(
            {
                **{name: In(_BITS) for name in registers},
                "phase": In(Phase),
                "outer": In(1),
                "enable": In(1),
                "words": Out(stream.Signature(words_layout(_WORD_BITS))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        block = Signal(2)
        index = Signal(range(BLOCK_WORDS))
        phase = self.phase

        size = _octets(self._order)
        v = _big_endian(self.value, _BYTES)
        seed = [*_big_endian(self.secret, size), *_big_endian(self.reduced, size)]
        body, last_block = _select(
            [
                (self.outer, _padded(_big_endian(self.scratch, _BYTES))),
                (phase == Phase.SEED_0, _padded([*v, Const(0, 8), *seed])),
                (phase == Phase.SEED_1, _padded([*v, Const(1, 8), *seed])),
                (phase == Phase.RESEED, _padded([*v, Const(0, 8)])),
                (Const(1), _padded(v)),
            ],
            Cat(index, block[1]),
        )
        pad = Mux(self.outer, _OUTER_PAD, _INNER_PAD)
        key_word = Mux(index < _WORDS, Array(reversed(_words(self.key)))[index[:3]], 0)
        m.d.comb += [
            self.words.valid.eq(self.enable),
            self.words.p.word.eq(Mux(block == 0, key_word ^ pad, body)),
            self.words.p.first.eq((block == 0) & (index == 0)),
            self.words.p.last.eq((block == last_block) & (index == BLOCK_WORDS - 1)),
        ]
        with m.If(self.words.valid & self.words.ready):
            m.d.sync += index.eq(index + 1)
            with m.If(index == BLOCK_WORDS - 1):
                m.d.sync += block.eq(Mux(self.words.p.last, 0, block + 1))
        return m


class NonceGenerator(wiring.Component):
    """RFC 6979 without its hash unit, so that a station can share that unit.

    Members ``words`` and ``digest`` go to a ``Sha2(256)``; between ``request`` and ``result`` it
    must serve nobody else. All else is as for :class:`Rfc6979`.
    """

    def __init__(self, order: int) -> None:
        self._order = check_order(order)
        super().__init__(
            {
                "request": In(stream.Signature(Request)),
                "words": Out(stream.Signature(words_layout(_WORD_BITS))),
                "digest": In(stream.Signature(_BITS)),
                "result": Out(stream.Signature(Result)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.hmac = hmac = HmacWords(self._order)
        wiring.connect(m, hmac.words, wiring.flipped(self.words))
        shift = _BITS - self._order.bit_length()
        key = Signal(_BITS)
        value = Signal(_BITS)
        secret = Signal(_BITS)
        reduced = Signal(_BITS)
        scratch = Signal(_BITS)
        phase = Signal(Phase)
        outer = Signal()
        step = Signal(range(_WORDS))
        borrow = Signal()
        nonzero = Signal()

        low = scratch[:_WORD_BITS]
        difference = Signal(_WORD_BITS + 1)
        rotated = Cat(scratch[_WORD_BITS:], difference[:_WORD_BITS])
        last_step = step == _WORDS - 1
        digest = self.digest.payload
        m.d.comb += [
            hmac.key.eq(key),
            hmac.value.eq(value),
            hmac.secret.eq(secret),
            hmac.reduced.eq(reduced),
            hmac.scratch.eq(scratch),
            hmac.phase.eq(phase),
            hmac.outer.eq(outer),
            difference.eq(low - Array(_words(Const(self._order, _BITS)))[step] - borrow),
            self.result.p.k.eq(scratch),
        ]

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.request.ready.eq(1)
                with m.If(self.request.valid):
                    m.d.sync += [
                        secret.eq(self.request.p.x),
                        reduced.eq(self.request.p.h1 >> shift),
                        scratch.eq(self.request.p.h1 >> shift),
                        value.eq(_INITIAL_VALUE),
                    ]
                    m.next = "reduce"
            with m.State("reduce"):
                m.d.sync += [scratch.eq(rotated), borrow.eq(difference[-1]), step.eq(step + 1)]
                with m.If(last_step):
                    m.d.sync += [borrow.eq(0), reduced.eq(Mux(difference[-1], reduced, rotated))]
                    m.next = "feed"
            with m.State("feed"):
                m.d.comb += hmac.enable.eq(1)
                with m.If(self.words.ready & self.words.p.last):
                    m.next = "digest"
            with m.State("digest"):
                m.d.comb += self.digest.ready.eq(1)
                with m.If(self.digest.valid):
                    m.d.sync += [scratch.eq(digest), outer.eq(~outer)]
                    m.next = "feed"
                with m.If(self.digest.valid & outer):
                    with m.Switch(phase):
                        with m.Case(*_KEY_PHASES):
                            m.d.sync += key.eq(digest)
                        with m.Default():
                            m.d.sync += value.eq(digest)
                    with m.Switch(phase):
                        for now, following in _NEXT.items():
                            with m.Case(now):
                                m.d.sync += phase.eq(following)
                        with m.Default():
                            m.d.sync += scratch.eq(digest >> shift)
                            m.next = "compare"
            with m.State("compare"):
                m.d.sync += [
                    scratch.eq(scratch.rotate_right(_WORD_BITS)),
                    borrow.eq(difference[-1]),
                    nonzero.eq(nonzero | low.any()),
                    step.eq(step + 1),
                ]
                with m.If(last_step):
                    m.d.sync += [borrow.eq(0), nonzero.eq(0), phase.eq(Phase.RESEED)]
                    m.next = "feed"
                    with m.If(difference[-1] & (nonzero | low.any())):
                        m.next = "result"
            with m.State("result"):
                m.d.comb += self.result.valid.eq(1)
                with m.If(self.result.ready):
                    m.d.sync += [r.eq(0) for r in (key, value, secret, reduced, scratch)]
                    m.d.sync += phase.eq(Phase.SEED_0)
                    m.next = "idle"
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
    V, x, h1 and scratch are zero; the hash unit wipes itself.

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
