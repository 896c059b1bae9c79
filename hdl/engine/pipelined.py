"""The engine's arithmetic at one instruction a clock: same instructions, fully pipelined."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..field.fold import FOLDS, INPUT_BOUND
from ..field.folding import FIRST, SECOND, multiples
from ..field.karatsuba import DEEP, multiply
from ..field.pipeline import Pipeline, Word
from .alu import Operation, factor_terms, operands_layout
from .comb import Comb
from .isa import LIMBS, WORD_BITS, A, Addend, Curve, bias
from .isa import Out as Output

WORD_BOUND = 1 << WORD_BITS


class PipelinedAlu(wiring.Component):
    """As :class:`~intaglio.hdl.engine.alu.Alu`, with an interval of 1.

    Members
    -------
    op : In(Operation), operands : In(operands_layout(LIMBS))
        An instruction and its words, every clock; zeros when idle.
    late_op : In(Operation), late_high : In(WORD_BITS)
        The same instruction again, and H of its slot, :attr:`late` clocks later.
    high : Out(WORD_BITS)
        Upper half of the sum, :attr:`high_at` clocks after the operands.
    result : Out(WORD_BITS), zero : Out(1)
        ``latency`` clocks after the operands.

    Timing: constant. Security: every operand may be secret; idle stages carry zeros.
    """

    interval, lanes = 1, LIMBS

    def __init__(self, combs: dict[Curve, Comb]) -> None:
        self.orders = {curve: comb.order for curve, comb in combs.items()}
        super().__init__(
            {
                "start": In(1),
                "op": In(Operation),
                "operands": In(operands_layout(self.lanes)),
                "late_op": In(Operation),
                "late_high": In(WORD_BITS),
                "high": Out(WORD_BITS),
                "result": Out(WORD_BITS),
                "zero": Out(1),
            }
        )
        self._built = self._build()

    @property
    def late(self) -> int:
        """Clocks from the operands to when ``late_op`` and ``late_high`` are sampled."""
        return self._late

    @property
    def high_at(self) -> int:
        """Clocks from the operands to ``high``."""
        return self._high_at

    @property
    def latency(self) -> int:
        """Clocks from the operands to ``result``."""
        return self._latency

    def elaborate(self, platform: object) -> Module:
        return self._built

    def _build(self) -> Module:
        m = Module()
        self._pipe = pipe = Pipeline(m)
        a, b, c = self._pre_add(m)
        product = multiply(pipe, a, b, DEEP)

        # the high half comes with H; its chunks enter when the product's are born
        born = min(bit[0].time for bit in product.bits[WORD_BITS:] if bit)
        self._late = born - 1
        kept = Signal(WORD_BITS, reset_less=True)
        m.d.sync += kept.eq(Mux(self.late_op.add_high, self.late_high, 0))
        extra = c.low(WORD_BITS).join(pipe.input(kept, time=born), WORD_BITS)
        total = pipe.add(product, extra, bound=1 << 2 * WORD_BITS)
        low, high = total.low(WORD_BITS), total.high(WORD_BITS)
        self._high_at = high.time
        m.d.comb += self.high.eq(pipe.value(high, high.time))

        raw = pipe.select(*self._control(m, self.op.out == Output.HIGH, "is_high"), high, low)
        word = pipe.select(
            *self._control(m, self.op.out == Output.FOLD, "is_fold"), self._fold(m, total), raw
        )
        self._canonical(m, word.below(WORD_BOUND))
        return m

    def _control(self, m: Module, value: Value, name: str) -> tuple[Signal, int]:
        """A control bit, registered: born in clock 1."""
        signal = Signal(name=name, reset_less=True)
        m.d.sync += signal.eq(value)
        return signal, 1

    def _pre_add(self, m: Module) -> tuple[Word, Word, Word]:
        """Both factors and the addend, from registered choices."""
        op, words, pipe = self.op, self.operands, self._pipe
        is_fold = op.out == Output.FOLD
        biases = {curve: bias(fold.prime) for curve, fold in FOLDS.items()}
        chosen = Mux(
            op.curve, C(biases[Curve.SECP256K1], WORD_BITS), C(biases[Curve.ED25519], WORD_BITS)
        )
        offset = Signal(WORD_BITS, reset_less=True)
        wraps = Signal(reset_less=True)
        m.d.sync += [offset.eq(Mux(is_fold, chosen, 0)), wraps.eq(~is_fold)]
        minuend = pipe.input(offset, time=1).join(pipe.input(wraps, time=1), WORD_BITS)

        def registered(value: Value, name: str) -> Word:
            signal = Signal(WORD_BITS, name=name, reset_less=True)
            m.d.sync += signal.eq(value)
            return pipe.input(signal, time=1)

        def combine(left: Value, right: Value, minus: Value, name: str) -> Word:
            x, y = registered(left, f"{name}_left"), registered(right, f"{name}_right")
            negated = pipe.subtract(minuend, y, bound=2 * WORD_BOUND)
            y = pipe.select(*self._control(m, minus, f"{name}_minus"), negated, y)
            return pipe.add(x, y).low(WORD_BITS)

        shifted = (words.p0 << op.shift0)[:WORD_BITS]
        left = Mux((op.a == A.SELECT) & words.neg, words.p1, shifted)
        right = Mux((op.a == A.ADD) | (op.a == A.SUB), words.p1, 0)
        a = combine(left, right, op.a == A.SUB, "a")
        names = ("p0", "p1", "p3", "f0", "f1", "f2")
        read = {name: words[name] for name in names}
        read["p2"] = (words.p2 << op.shift2)[:WORD_BITS]
        b = combine(*factor_terms(m, op, read, words.negative), "b")
        minus = (op.addend == Addend.MINUS_P3) | (op.addend == Addend.MINUS_P2_P3)
        p3 = registered(Mux(op.addend == Addend.NONE, 0, words.p3), "c_p3")
        p2 = registered(Mux(op.addend == Addend.MINUS_P2_P3, words.p2, 0), "c_p2")
        plus = pipe.add(p2, p3).low(WORD_BITS)
        negated = pipe.subtract(minuend, plus, bound=2 * WORD_BOUND).low(WORD_BITS)
        c = pipe.select(*self._control(m, minus, "c_minus"), negated, plus)
        return a, b, c

    def _fold(self, m: Module, total: Word) -> Word:
        """Lazy word of the sum: see :mod:`intaglio.hdl.field.fold`."""
        pipe = self._pipe
        curve = self._control(m, self.op.curve == Curve.SECP256K1, "is_secp256k1")
        total = total.below(INPUT_BOUND)
        bound = max(fold.middle_bound for fold in FOLDS.values())
        above = pipe.total(multiples(pipe, curve, total.high(256), FIRST))
        middle = pipe.add(total.low(256), above).below(bound)

        above = pipe.select(*curve, middle.high(256), middle.high(255))
        top = pipe.select(*curve, middle.high(255).low(1), Word((), 1))
        low = middle.low(255).join(top, 255)
        above = pipe.total(multiples(pipe, curve, above, SECOND))
        return pipe.add(low, above).below(WORD_BOUND)

    def _canonical(self, m: Module, word: Word) -> None:
        """Subtract the modulus where asked and possible; align, and look whether it is zero."""
        pipe = self._pipe
        first = min(bit[0].time for bit in word.bits if bit)
        negated = {
            (is_fold, curve): WORD_BOUND - (fold.prime if is_fold else self.orders[curve])
            for curve, fold in FOLDS.items()
            for is_fold in (0, 1)
        }
        choice = Signal(2, reset_less=True)
        m.d.sync += choice.eq(Cat(self.op.curve, self.op.out == Output.FOLD))
        complement = Signal(WORD_BITS)
        with m.Switch(pipe.at(choice, 1, first)):
            for (is_fold, curve), value in negated.items():
                with m.Case(is_fold << 1 | curve):
                    m.d.comb += complement.eq(value)
        difference = pipe.add(word, pipe.input(complement, time=first), bound=2 * WORD_BOUND)
        wants = self._control(m, self.op.canonical, "wants_canonical")
        time = difference.time
        subtracts = Signal(reset_less=True)
        reaches = pipe.value(difference.high(WORD_BITS), time)
        m.d.sync += subtracts.eq(reaches & pipe.at(*wants, time))
        result = pipe.select(subtracts, time + 1, difference.low(WORD_BITS), word)

        groups = [
            pipe.value(Word(result.bits[i : i + 32], 1 << 32), result.time)
            for i in range(0, WORD_BITS, 32)
        ]
        nonzero = Signal(len(groups), reset_less=True)
        m.d.sync += nonzero.eq(Cat(group.any() for group in groups))
        zero = Signal(reset_less=True)
        m.d.sync += zero.eq(~nonzero.any())
        self._latency = result.time + 2
        m.d.comb += [self.zero.eq(zero), self.result.eq(pipe.value(result, self._latency))]
