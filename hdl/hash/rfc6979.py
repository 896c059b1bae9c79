"""Deterministic ECDSA nonces: RFC 6979 with HMAC-SHA256."""

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .hmac import (
    BITS,
    BLOCK_BYTES,
    BYTES,
    SEED_WORDS,
    STORE_WORDS,
    WORD_BITS,
    WORDS,
    HmacWords,
    Phase,
    Place,
    check_order,
    octets,
)
from .sha2 import Sha2, block_clocks, words_layout

_INITIAL_WORD = 0x01010101

Request = data.StructLayout({"x": BITS, "h1": BITS})
"""Secret key ``x``, 1..order-1, and digest ``h1``, 0..2**256-1; both integers."""

Result = data.StructLayout({"word": WORD_BITS, "last": 1})
"""V, which begins with the nonce ``k``, in eight words, the least significant first: k is V without
as many of its last bits as the order has fewer than 256."""


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


def blocks(order: int) -> int:
    """SHA-256 blocks of a nonce whose first candidate is in range: 22 for a 256-bit order."""
    seed = BYTES + 1 + 2 * octets(order)
    inner = [seed, BYTES, seed, BYTES, BYTES]
    return sum(1 + -(-(size + 9) // BLOCK_BYTES) for size in inner) + 2 * len(inner)


def latency(order: int) -> int:
    """Clocks from the edge that takes a request to the first that may take its nonce, if the first
    candidate is in range: the blocks, and ten times a digest stored and words under way."""
    return blocks(order) * block_clocks(BITS) + 10 * (WORDS + 2 + HmacWords.latency) + 1


LOAD_CLOCKS = 1 + 2 * SEED_WORDS + 2 + WORDS
"""Clocks a request waits for being taken: h1 is compared with the order, x and h1 are stored."""

WIPE_CLOCKS = STORE_WORDS
"""Clocks after a nonce was taken, or a reset, before the generator looks at a request."""


_TURN = data.StructLayout(
    {
        "word": WORD_BITS,
        "order": WORD_BITS,
        "counted": WORD_BITS,
        "more": WORD_BITS,
        "compares": 1,
        "subtracts": 1,
        "writes": 1,
        "addr": range(STORE_WORDS),
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
                "words": Out(stream.Signature(words_layout(WORD_BITS))),
                "digest": In(stream.Signature(BITS)),
                "result": Out(stream.Signature(Result)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.hmac = hmac = HmacWords(self._order)
        wiring.connect(m, hmac.words, wiring.flipped(self.words))
        m.submodules.store = store = Memory(shape=WORD_BITS, depth=STORE_WORDS, init=[])
        read, write = store.read_port(domain="comb"), store.write_port()
        self._phase, self._outer = Signal(Phase), Signal()
        self._step, self._is_last = Signal(range(STORE_WORDS)), Signal()
        self._digest_word = Signal(WORD_BITS)
        self._turn = turn = Signal(_TURN)
        self._borrow, self._nonzero, difference = Signal(), Signal(), Signal(WORD_BITS + 1)
        m.d.sync += turn.eq(0)
        m.d.comb += [
            hmac.phase.eq(self._phase),
            hmac.outer.eq(self._outer),
            read.addr.eq(hmac.addr),
            hmac.data.eq(read.data),
            self._digest_word.eq(self.digest.payload.word_select(self._step[:3], WORD_BITS)),
            self.result.p.word.eq(self._digest_word),
            self.result.p.last.eq(self._is_last),
            difference.eq(turn.word - turn.order - self._borrow),
            write.en.eq(turn.writes),
            write.addr.eq(turn.addr),
            write.data.eq(Mux(turn.subtracts, difference[:WORD_BITS], turn.word) | turn.more),
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
                with self._last_step(m, STORE_WORDS):
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
                with m.If(self.result.ready), self._last_step(m, WORDS):
                    m.d.comb += self.digest.ready.eq(1)
                    m.next = "wipe"
        return m

    @contextmanager
    def _last_step(self, m: Module, steps: int) -> Iterator[None]:
        """Count a step; what is done in the last one of them."""
        m.d.sync += [self._step.eq(self._step + 1), self._is_last.eq(self._step == steps - 2)]
        with m.If(self._is_last):
            m.d.sync += [self._step.eq(0), self._is_last.eq(0)]
            yield

    def _load(self, m: Module) -> None:
        """States that store x and h1: as two numbers one behind the other, words of both at once.

        Both and the order are first brought to where they stand in the seed.
        """
        size = 8 * octets(self._order)
        at = 2 * (BITS - size)
        h1 = self.request.p.h1 >> BITS - self._order.bit_length() << at
        x = self.request.p.x << at + size
        turn, step, subtracts = self._turn, self._step[:4], Signal()

        def part(number: Value) -> Value:
            return Cat(number, Const(0, 2 * BITS))[: 2 * BITS].word_select(step, WORD_BITS)

        compare = [
            turn.word.eq(part(h1)),
            turn.order.eq(part(Const(self._order << at, 2 * BITS))),
            turn.compares.eq(1),
        ]
        with m.State("compare"):
            m.d.sync += [
                *compare,
                turn.writes.eq(0),
                subtracts.eq(0),
            ]
            with self._last_step(m, SEED_WORDS):
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
                turn.addr.eq(Place.SEED.value + (SEED_WORDS - 1 - step)),
            ]
            with self._last_step(m, SEED_WORDS):
                m.next = "value"
        with m.State("value"):
            m.d.sync += [
                turn.writes.eq(1),
                turn.addr.eq(Place.VALUE.value + step[:3]),
                turn.word.eq(_INITIAL_WORD),
            ]
            with self._last_step(m, WORDS):
                m.d.comb += self.request.ready.eq(1)
                m.d.sync += [self._borrow.eq(0), self._nonzero.eq(0), subtracts.eq(0)]
                m.next = "feed"

    def _store_digest(self, m: Module) -> None:
        """States that store a digest, compare it with the order, and go on."""
        shift = BITS - self._order.bit_length()
        word, phase, outer, turn = self._step[:3], self._phase, self._outer, self._turn
        order, counted = Const(self._order << shift, BITS), Const((1 << BITS) - (1 << shift))
        place = Signal(range(STORE_WORDS))
        is_key = Cat(phase == each for each in _KEY_PHASES).any()
        m.d.comb += place.eq(Mux(is_key, Place.KEY.value, Place.VALUE.value))
        with m.State("digest"), m.If(self.digest.valid):
            m.d.sync += [
                turn.word.eq(self._digest_word),
                turn.order.eq(order.word_select(word, WORD_BITS)),
                turn.counted.eq(counted.word_select(word, WORD_BITS)),
                turn.compares.eq(1),
                turn.writes.eq(1),
                turn.addr.eq(Mux(outer, place, Place.SCRATCH.value) + (WORDS - 1 - word)),
            ]
            with self._last_step(m, WORDS):
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
        m.submodules.sha = sha = Sha2(BITS)
        wiring.connect(m, generator.words, sha.words)
        wiring.connect(m, sha.digest, generator.digest)
        wiring.connect(m, wiring.flipped(self.request), generator.request)
        wiring.connect(m, generator.result, wiring.flipped(self.result))
        return m
