"""The engine's arithmetic: four words and a table entry in, one word out, after a fixed time."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..field.fold import FOLDS
from ..field.mac import MultiplyAccumulate
from .comb import Comb
from .isa import FIELDS, WORD_BITS, A, Addend, B, Curve, bias
from .isa import Out as Output

TABLE_BITS = 256

Operation = data.StructLayout({f.name: f.bits for f in FIELDS})
"""An instruction word, laid out as the ISA table says."""

Operands = data.StructLayout(
    {
        "p0": WORD_BITS,
        "p1": WORD_BITS,
        "p2": WORD_BITS,
        "p3": WORD_BITS,
        "f0": TABLE_BITS,
        "f1": TABLE_BITS,
        "f2": TABLE_BITS,
        "negative": 1,
        "neg": 1,
    }
)
"""Words read for an instruction: the four ports, the table entry and its sign, the job's neg flag.
"""


def _by_curve(curve: Value, values: dict[Curve, int], width: int) -> Value:
    return Mux(curve, C(values[Curve.SECP256K1], width), C(values[Curve.ED25519], width))


def factor_terms(m: Module, op: data.View, words: data.View) -> tuple[Signal, Signal, Signal]:
    """The second factor as ``x + y``, or ``x - y`` where the third is set."""
    x, y, subtract = Signal(WORD_BITS), Signal(WORD_BITS), Signal()
    forms = {
        B.P2: (words.p2 << op.shift2, 0, 0),
        B.ADD: (words.p2 << op.shift2, words.p3, 0),
        B.SUB: (words.p2 << op.shift2, words.p3, 1),
        B.SUM01: (words.p0, words.p1, 0),
        B.TABLE_0: (Mux(words.negative, words.f1, words.f0), 0, 0),
        B.TABLE_1: (Mux(words.negative, words.f0, words.f1), 0, 0),
        B.TABLE_2: (0, words.f2, words.negative),
        B.TABLE_X: (words.f0, 0, 0),
        B.TABLE_Y: (0, words.f1, words.negative),
        B.TABLE_XY: (words.f0, words.f1, words.negative),
    }
    with m.Switch(op.b):
        for form, (left, right, minus) in forms.items():
            with m.Case(form):
                m.d.comb += [x.eq(left), y.eq(right), subtract.eq(minus)]
    return x, y, subtract


class PreAdder(wiring.Component):
    """Factors and addend of an instruction, one clock: see :mod:`intaglio.hdl.engine.isa`.

    Members
    -------
    op : In(Operation), operands : In(Operands)
        The instruction and what was read for it. Field words are lazy (below 2^256 + 2^72).
    a, b, c : Out(WORD_BITS)
        Factors and addend, one clock later; under FOLD the factors are below 2^259.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "op": In(Operation),
                "operands": In(Operands),
                "a": Out(WORD_BITS),
                "b": Out(WORD_BITS),
                "c": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        op, words = self.op, self.operands
        biases = {curve: bias(fold.prime) for curve, fold in FOLDS.items()}
        offset = Mux(op.out == Output.FOLD, _by_curve(op.curve, biases, WORD_BITS), 0)

        def sum_(x: Value, y: Value, subtract: Value) -> Value:
            flipped = y ^ Cat(subtract.replicate(len(y)))
            return (x + flipped + subtract + Mux(subtract, offset, 0))[:WORD_BITS]

        # first factor
        left = Signal(WORD_BITS)
        m.d.comb += left.eq(words.p0 << op.shift0)
        with m.Switch(op.a):
            with m.Case(A.ADD, A.SUB):
                m.d.sync += self.a.eq(sum_(left, words.p1, op.a == A.SUB))
            with m.Case(A.SELECT):
                m.d.sync += self.a.eq(Mux(words.neg, words.p1, left))
            with m.Default():
                m.d.sync += self.a.eq(left)

        x, y, subtract = factor_terms(m, op, words)
        m.d.sync += self.b.eq(sum_(x, y, subtract))

        # addend
        with m.Switch(op.addend):
            with m.Case(Addend.PLUS_P3):
                m.d.sync += self.c.eq(words.p3)
            with m.Case(Addend.MINUS_P3):
                m.d.sync += self.c.eq((offset - words.p3)[:WORD_BITS])
            with m.Case(Addend.MINUS_P2_P3):
                m.d.sync += self.c.eq((offset - words.p2 - words.p3)[:WORD_BITS])
            with m.Default():
                m.d.sync += self.c.eq(0)
        return m


class Reducer(wiring.Component):
    """Word of a 520-bit sum: fold, low or high part, then at most one subtraction of the modulus.

    Members
    -------
    total : In(2 * WORD_BITS)
        Below 2^518 under FOLD.
    out, curve, canonical : In
        As in the instruction.
    result : Out(WORD_BITS)
        ``latency`` clocks later. FOLD: lazy, or canonical. ``canonical`` needs a value below 2m.
    """

    latency = 4

    def __init__(self, orders: dict[Curve, int]) -> None:
        self.orders = orders
        super().__init__(
            {
                "total": In(2 * WORD_BITS),
                "out": In(2),
                "curve": In(1),
                "canonical": In(1),
                "result": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        control = [Cat(self.out, self.curve, self.canonical)]
        for i in range(self.latency):
            stage = Signal(4, name=f"control{i}")
            m.d.sync += stage.eq(control[-1])
            control.append(stage)

        def is_fold(stage: int) -> Value:
            return control[stage][:2] == Output.FOLD

        def curve(stage: int) -> Value:
            return control[stage][2]

        def folded(value: Value, curve: Value, splits: dict[Curve, tuple[int, int]]) -> Value:
            sums = {
                c: value[:split] + value[split:] * C(factor)
                for c, (split, factor) in splits.items()
            }
            return Mux(curve, sums[Curve.SECP256K1], sums[Curve.ED25519])

        bound = max(fold.middle_bound for fold in FOLDS.values())
        middle = Signal((bound - 1).bit_length())
        raw = Mux(control[0][:2] == Output.HIGH, self.total[WORD_BITS:], self.total[:WORD_BITS])
        first = {c: (fold.split1, fold.factor1) for c, fold in FOLDS.items()}
        second = {c: (fold.split2, fold.factor2) for c, fold in FOLDS.items()}
        m.d.sync += middle.eq(Mux(is_fold(0), folded(self.total, curve(0), first), raw))

        word = Signal(WORD_BITS)
        m.d.sync += word.eq(Mux(is_fold(1), folded(middle, curve(1), second), middle))

        primes = {c: fold.prime for c, fold in FOLDS.items()}
        modulus = Mux(
            is_fold(2),
            _by_curve(curve(2), primes, WORD_BITS),
            _by_curve(curve(2), self.orders, WORD_BITS),
        )
        difference = Signal(WORD_BITS + 1)
        kept = Signal(WORD_BITS)
        m.d.sync += [difference.eq(word - modulus), kept.eq(word)]

        below = difference[WORD_BITS]
        m.d.sync += self.result.eq(Mux(control[3][3] & ~below, difference, kept))
        return m


class Alu(wiring.Component):
    """Arithmetic of one instruction at a time, one every ``interval`` clocks.

    Members
    -------
    start : In(1), op : In(Operation), operands : In(Operands)
        An instruction and its words; at least ``interval`` clocks apart.
    late_op : In(Operation), late_high : In(WORD_BITS)
        The same instruction again, and H of its slot, :attr:`late` clocks after ``start``.
    high : Out(WORD_BITS)
        Upper half of the sum, ``high_at`` clocks after ``start``.
    result : Out(WORD_BITS), zero : Out(1)
        The word, and whether it is zero, ``latency`` clocks after ``start``.

    Timing: constant. Security: every operand may be secret; registers return to zero when idle.
    """

    def __init__(self, interval: int, combs: dict[Curve, Comb]) -> None:
        self.interval = interval
        self.orders = {curve: comb.order for curve, comb in combs.items()}
        self._mac = MultiplyAccumulate(WORD_BITS, interval)
        super().__init__(
            {
                "start": In(1),
                "op": In(Operation),
                "operands": In(Operands),
                "late_op": In(Operation),
                "late_high": In(WORD_BITS),
                "high": Out(WORD_BITS),
                "result": Out(WORD_BITS),
                "zero": Out(1),
            }
        )

    @property
    def late(self) -> int:
        """Clocks from ``start`` to when ``late_op`` and ``late_high`` are sampled."""
        return 1 + self._mac.latency

    @property
    def high_at(self) -> int:
        """Clocks from ``start`` to ``high``."""
        return self.late + 1

    @property
    def latency(self) -> int:
        """Clocks from ``start`` to ``result``."""
        return self.high_at + Reducer.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pre_adder = pre_adder = PreAdder()
        m.submodules.mac = mac = self._mac
        m.submodules.reducer = reducer = Reducer(self.orders)

        # an idle clock feeds zeros, so that no operand outlives its instruction
        mac_start = Signal()
        m.d.sync += mac_start.eq(self.start)
        with m.If(self.start):
            m.d.comb += [pre_adder.op.eq(self.op), pre_adder.operands.eq(self.operands)]
        m.d.comb += [
            mac.start.eq(mac_start),
            mac.a.eq(pre_adder.a),
            mac.b.eq(pre_adder.b),
            mac.c.eq(pre_adder.c),
        ]

        late = self.late_op
        total = Signal(2 * WORD_BITS)
        control = Signal(Operation)
        high_part = mac.product[WORD_BITS:] + Mux(late.add_high, self.late_high, 0)
        m.d.sync += [
            total.eq(Cat(mac.product[:WORD_BITS], high_part)),
            control.eq(late),
        ]
        m.d.comb += [
            reducer.total.eq(total),
            reducer.out.eq(control.out),
            reducer.curve.eq(control.curve),
            reducer.canonical.eq(control.canonical),
            self.result.eq(reducer.result),
            self.zero.eq(reducer.result == 0),
        ]
        m.d.comb += self.high.eq(total[WORD_BITS:])
        return m
