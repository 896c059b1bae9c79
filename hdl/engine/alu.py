"""The engine's arithmetic: four words and a table entry in, one word out, after a fixed time."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..field.fold import FOLDS, INPUT_BOUND
from ..field.folded import product
from ..field.folding import FIRST, SECOND, multiples
from ..field.karatsuba import FLAT, Karatsuba
from ..field.pipeline import Pipeline, Word
from ..field.serial import Held, Serial, Stream
from ..limbram import lanes_of, steps
from .comb import Comb
from .isa import FIELDS, LIMB_BITS, LIMBS, WORD_BITS, A, Addend, B, Curve, bias
from .isa import Out as Output

Operation = data.StructLayout({f.name: f.bits for f in FIELDS})
"""An instruction word, laid out as the ISA table says."""


def operands_layout(lanes: int) -> data.StructLayout:
    """``lanes`` limbs of each word read for an instruction: the four ports and a field of a table
    entry; whether that is to be negated, and the job's neg flag."""
    words = ("p0", "p1", "p2", "p3", "field")
    return data.StructLayout({**dict.fromkeys(words, lanes * LIMB_BITS), "negative": 1, "neg": 1})


Control = data.StructLayout({"secp256k1": 1, "fold": 1, "high": 1, "canonical": 1})
"""What a sum's reduction is told."""


def factor_terms(
    m: Module, op: data.View, words: dict[str, Value], negative: Value
) -> tuple[Signal, Signal, Signal]:
    """The second factor as ``x + y``, or ``x - y`` where the third is set.

    ``words`` are operands, or digits of them, by name; ``p2`` is doubled already.
    """
    width = max(len(word) for word in words.values())
    x, y, subtract = Signal(width), Signal(width), Signal()
    p0, p1, p2, p3, field = (words[n] for n in ("p0", "p1", "p2", "p3", "field"))
    forms = {
        B.P2: (p2, 0, 0),
        B.ADD: (p2, p3, 0),
        B.SUB: (p2, p3, 1),
        B.SUM01: (p0, p1, 0),
    }
    with m.Switch(op.b):
        for form, (left, right, minus) in forms.items():
            with m.Case(form):
                m.d.comb += [x.eq(left), y.eq(right), subtract.eq(minus)]
        with m.Default():
            m.d.comb += [y.eq(field), subtract.eq(negative)]
    return x, y, subtract


class Alu(wiring.Component):
    """Arithmetic of an instruction every ``interval`` clocks, words passing limb by limb.

    Parameters
    ----------
    interval : int
        2, 4, 8 or 16. At 2 a word passes by two limbs a clock, else by one. The multiplier takes a
        pair of limbs a clock, see :mod:`intaglio.hdl.field.folded`.
    combs : dict[Curve, Comb]
        Combs, for their orders.
    how : Karatsuba
        How its products are built.

    Members
    -------
    start : In(1), op : In(Operation), operands : In(operands_layout(lanes))
        An instruction, at least ``interval`` clocks after the one before; ``op`` stays for
        ``interval`` clocks. Its words' limbs come in this clock and the next ones, the least
        significant first, :attr:`lanes` of each a clock; between words there are zeros. Field words
        are lazy.
    late_op : In(Operation), late_high : In(lanes * LIMB_BITS)
        The same instruction again, for ``interval`` clocks from :attr:`late` clocks after
        ``start``; and H of its slot, limb by limb.
    high : Out(lanes * LIMB_BITS)
        Limbs of the upper half of the sum, from ``high_at`` clocks after ``start`` on.
    result : Out(lanes * LIMB_BITS), zero : Out(1)
        Limbs of the word, from ``latency`` clocks after ``start`` on; in the first of these clocks,
        whether it is zero.

    Ranges: of words as in :mod:`intaglio.hdl.engine.isa`, of sums as in
    :mod:`intaglio.hdl.field.fold`. Timing: constant. Security: every operand may be secret; all
    registers and rings are zero ``latency + 2 interval`` clocks after the last start.
    """

    def __init__(self, interval: int, combs: dict[Curve, Comb], how: Karatsuba = FLAT) -> None:
        if interval not in (2, 4, 8, 16):
            raise ValueError(f"interval must be 2, 4, 8 or 16, not {interval}")
        self.interval, self.lanes = interval, lanes_of(interval)
        bits = self.lanes * LIMB_BITS
        self.orders = {curve: comb.order for curve, comb in combs.items()}
        super().__init__(
            {
                "start": In(1),
                "op": In(Operation),
                "operands": In(operands_layout(self.lanes)),
                "late_op": In(Operation),
                "late_high": In(bits),
                "high": Out(bits),
                "result": Out(bits),
                "zero": Out(1),
            }
        )
        self._built = self._build(how)

    @property
    def late(self) -> int:
        """Clocks from ``start`` to the first with ``late_op`` and ``late_high``."""
        return self._late

    @property
    def high_at(self) -> int:
        """Clocks from ``start`` to the first limbs of ``high``."""
        return self._high_at

    @property
    def latency(self) -> int:
        """Clocks from ``start`` to the first limbs of ``result``."""
        return self._latency

    def elaborate(self, platform: object) -> Module:
        return self._built

    def _build(self, how: Karatsuba) -> Module:
        m = Module()
        digits, bits = LIMBS // self.lanes, self.lanes * LIMB_BITS
        self._pipe = pipe = Pipeline(m, chunk=LIMB_BITS + 7, ram_from=4)
        self._serial = serial = Serial(
            pipe, self.start, interval=self.interval, digits=digits, bits=bits
        )
        a, b, c = self._pre_add(m)
        (low, *carries), high_parts = product(serial, a, b, how)
        over = None
        if carries:
            low, over = serial.add(low, *carries)
        high, _ = serial.add(*high_parts, carry=over)
        low, over = serial.add(low, c)

        self._late = high.time - 1
        adds = self.late_op.add_high & serial.any_of(self._late + i for i in range(digits))
        kept = serial.registered(self.late_high & adds.replicate(bits), self._late, "late")
        over = pipe.at(over, low.time + digits - 1, high.time)
        high, _ = serial.add(high, kept, carry=over)
        self._high_at = high.time
        m.d.comb += self.high.eq(high.signal)

        control = Signal(Control)
        m.d.comb += [
            control.secp256k1.eq(self.late_op.curve == Curve.SECP256K1),
            control.fold.eq(self.late_op.out == Output.FOLD),
            control.high.eq(self.late_op.out == Output.HIGH),
            control.canonical.eq(self.late_op.canonical),
        ]
        self._raw_control = control.as_value()
        self._canonical(m, self._fold(m, low, high))
        return m

    def _control(self, time: int) -> data.View:
        """What the word whose first digit is in clock ``time`` is told."""
        return Control(self._pipe.at(self._raw_control, self._late, time))

    def _curve(self, m: Module, time: int, name: str) -> tuple[Signal, int]:
        """Whether it is secp256k1's, and the clock."""
        signal = Signal(name=name)
        m.d.comb += signal.eq(self._control(time).secp256k1)
        return signal, time

    def _pre_add(self, m: Module) -> tuple[Stream, Stream, Stream]:
        """Both factors and the addend, from registered limbs."""
        serial, bits, op, operands = self._serial, self._serial.bits, self.op, self.operands
        going, place = steps(m, self.start, self.lanes)
        names = ("p0", "p1", "p2", "p3", "field")
        words: dict[str, Value] = {name: operands[name] for name in names}
        doubled0 = self._doubled(m, words["p0"], op.shift0, place)
        doubled2 = self._doubled(m, words["p2"], op.shift2, place)
        offsets = {curve: bias(fold.prime) for curve, fold in FOLDS.items()}

        def registered(value: Value, name: str) -> Stream:
            register = Signal(len(value), name=name)
            with m.If(going):
                m.d.sync += register.eq(value)
            with m.Else():
                m.d.sync += register.eq(0)
            return Stream(register, 1)

        def offset(minus: Value, name: str) -> Stream:
            digit = Signal(bits, name=f"{name}_offset_digit")
            for curve, value in offsets.items():
                with m.If((op.out == Output.FOLD) & minus & (op.curve == curve)):
                    m.d.comb += digit.eq(C(value, WORD_BITS).word_select(place, bits))
            return registered(digit, f"{name}_offset")

        def combine(left: Value, right: Value, minus: Value, name: str) -> Stream:
            x, y = registered(left, f"{name}_left"), registered(right, f"{name}_right")
            total, _ = serial.add(x, y, minus=registered(minus, f"{name}_minus").signal)
            return serial.add(total, offset(minus, name))[0]

        left = Mux((op.a == A.SELECT) & operands.neg, words["p1"], doubled0)
        right = Mux((op.a == A.ADD) | (op.a == A.SUB), words["p1"], 0)
        a = combine(left, right, op.a == A.SUB, "a")
        b = combine(*factor_terms(m, op, words | {"p2": doubled2}, operands.negative), "b")
        minus = op.addend == Addend.MINUS_P3
        p3 = registered(Mux(op.addend == Addend.NONE, 0, words["p3"]), "c_p3")
        negate = registered(minus, "c_minus")
        c, _ = serial.add(offset(minus, "c"), p3, minus=negate.signal)
        return a, b, c

    def _doubled(self, m: Module, digit: Value, control: Value, place: Value) -> Value:
        """The digit of the doubled word where the control is 1."""
        top = Signal()
        m.d.sync += top.eq(digit[-1])
        return Mux(control, Cat(top & (place != 0), digit[:-1]), digit)

    def _fold(self, m: Module, low: Stream, high: Stream) -> Stream:
        """The sum's lazy residue, or the word asked for."""
        pipe, serial, bits, time = self._pipe, self._serial, self._serial.bits, high.time
        split = 256 % bits  # in the last digit of the low word, for every number of digits
        control = self._control(time)
        top = Held(serial, low.signal[split:], low.time + serial.digits - 1)
        before = Signal(bits - split)
        m.d.sync += before.eq(high.signal[split:])
        above = Mux(serial.first(time), top.at(time), before)
        rest = Mux(serial.last(time), high.signal[split:], 0)
        upper = Cat(above, high.signal[:split], rest)[: bits + INPUT_BOUND.bit_length() - 1 - 516]
        folded = serial.registered(Mux(control.fold, upper, 0), time, "upper")
        lower = Mux(control.high, high.signal, serial.at(low, time))
        inside = ~(serial.last(time) & control.fold)
        lower = Cat(lower[:split], lower[split:] & inside.replicate(bits - split))
        kept = serial.registered(lower, time, "lower")

        curve = self._curve(m, folded.time, "first_curve")
        terms = multiples(pipe, curve, serial.word(folded), FIRST, fused=True)
        accumulator, middle = serial.accumulate(pipe.total([serial.word(kept), *terms]))

        # of the middle sum, what is left above 2^256 or 2^255
        time = middle.time + serial.digits - 1
        control = self._control(middle.time)
        ending = Signal()
        m.d.sync += ending.eq(serial.last(middle.time - 1) & self._control(middle.time - 1).fold)
        splits = Mux(control.secp256k1, accumulator[split:], accumulator[split - 1 :])
        bound = max(fold.middle_bound >> fold.split2 for fold in FOLDS.values()) + 1
        over = Signal((bound - 1).bit_length(), name="over")
        m.d.sync += over.eq(Mux(ending, splits, 0))
        word = pipe.input(over, time=time + 1, bound=bound)
        curve = self._curve(m, middle.time + 1, "second_curve")
        multiple = pipe.total(multiples(pipe, (curve[0], word.time), word, SECOND, fused=True))
        masks = Cat(
            C(-1, split - 1), ~ending | control.secp256k1, (~ending).replicate(bits - split)
        )
        middle = serial.stream(middle.signal & masks, middle.time, "middle")
        return serial.add(middle, self._as_stream(m, multiple))[0]

    def _as_stream(self, m: Module, word: Word) -> Stream:
        """A word that is zero but for one clock, as a stream."""
        serial, time = self._serial, word.time
        digits = [word.high(start).low(serial.bits) for start in range(0, len(word), serial.bits)]
        parts = [self._pipe.value(digit, time + j) for j, digit in enumerate(digits)]
        return serial.stream(reduce(or_, parts), time, "multiple")

    def _canonical(self, m: Module, word: Stream) -> None:
        """Subtract the modulus where asked and possible, and look whether it is zero."""
        serial, time = self._serial, word.time
        control = self._control(time - 1)
        complement = Signal(serial.bits)
        with m.Switch(Cat(control.fold, control.secp256k1)):
            for curve, fold in FOLDS.items():
                for is_fold, modulus in enumerate((self.orders[curve], fold.prime)):
                    value = C((1 << WORD_BITS) - modulus, WORD_BITS)
                    digits = [
                        (time - 1 + j, value.word_select(j, serial.bits))
                        for j in range(serial.digits)
                    ]
                    with m.Case(is_fold | (curve == Curve.SECP256K1) << 1):
                        m.d.sync += complement.eq(serial.pick(digits))
        difference, reaches = serial.add(word, Stream(complement, time))
        delayed = Signal(serial.bits, name="word")
        m.d.sync += delayed.eq(word.signal)
        word = Stream(delayed, difference.time)

        end = difference.time + serial.digits
        self._latency = end + 1
        chosen, kept, subtracts = Signal(), Signal(), Signal()
        m.d.sync += kept.eq(subtracts)
        m.d.comb += subtracts.eq(Mux(serial.first(end), chosen, kept))
        m.d.sync += chosen.eq(reaches & self._control(end - 1).canonical)
        nonzero = []
        for stream in (word, difference):
            seen = Signal()
            before = seen & ~serial.first(stream.time)
            m.d.sync += seen.eq(before | stream.signal.any())
            nonzero.append(seen)
        words = [serial.at(stream, end) for stream in (word, difference)]
        m.d.sync += [
            self.result.eq(Mux(subtracts, words[1], words[0])),
            self.zero.eq(~Mux(subtracts, nonzero[1], nonzero[0])),
        ]
