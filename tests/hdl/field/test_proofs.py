# amaranth: UnusedElaboratable=no
"""What holds for every operand, by SMT: sums over several clocks, and the multiples that folds add.

Operands of clock 0 are followed by others in the next clocks, so that a bit taken in the wrong one
is noticed.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import z3
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from intaglio.hdl.engine.isa import LIMB_BITS
from intaglio.hdl.field.folding import FIRST, SECOND, Factor, multiples
from intaglio.hdl.field.pipeline import Pipeline, Word
from intaglio.sim.prove import Circuit, Refuted, prove

CHUNK_BITS = LIMB_BITS + 7
"""As the engine's arithmetic has it."""
NEVER = 1 << 30
"""Clocks of a delay that is made of a memory: none is."""


class Unit(wiring.Component):
    """``out``, ``clocks`` after ``x``, ``y`` and ``chosen``, is what ``build`` makes of them."""

    def __init__(
        self,
        bits: int,
        width: int,
        build: Callable[[Pipeline, Unit], Word],
        chunk: int = CHUNK_BITS,
    ) -> None:
        super().__init__({"x": In(bits), "y": In(bits), "chosen": In(1), "out": Out(width)})
        self._built = m = Module()
        pipe = Pipeline(m, chunk=chunk, ram_from=NEVER)
        word = build(pipe, self)
        self.clocks = word.time
        m.d.comb += self.out.eq(pipe.value(word, word.time))

    def elaborate(self, platform: object) -> Module:
        return self._built


def unrolled(unit: Unit, bits: int) -> tuple[z3.BitVecRef, ...]:
    """``x``, ``y`` and ``chosen`` of clock 0, and ``out`` that much later, all ``bits`` wide."""
    circuit = Circuit(unit)
    ports = [circuit.port(name, 0) for name in ("x", "y", "chosen")]
    ports.append(circuit.port("out", unit.clocks))
    return tuple(z3.ZeroExt(bits - port.size(), port) for port in ports)


@pytest.mark.parametrize("bits", [CHUNK_BITS - 1, CHUNK_BITS, CHUNK_BITS + 1, 130, 260])
def test_sums(bits: int) -> None:
    unit = Unit(bits, bits + 1, lambda pipe, u: pipe.add(pipe.input(u.x), pipe.input(u.y)))
    assert unit.clocks == -(-(bits + 1) // CHUNK_BITS)
    x, y, _, out = unrolled(unit, bits + 1)
    prove(out == x + y)
    with pytest.raises(Refuted):
        prove(out == x + y + (x & y & 1))


@pytest.mark.parametrize("bits", [CHUNK_BITS, CHUNK_BITS + 1, 130, 260])
def test_differences(bits: int) -> None:
    def build(pipe: Pipeline, unit: Unit) -> Word:
        return pipe.subtract(pipe.input(unit.x), pipe.input(unit.y), bound=1 << bits)

    x, y, _, out = unrolled(Unit(bits, bits, build), bits)
    prove(out == x - y)


def test_sums_of_halves_that_come_in_other_clocks() -> None:
    """(x + y) + (x - y) 2^h, whose parts are born in four clocks."""
    half, bits = 60, 150

    def build(pipe: Pipeline, unit: Unit) -> Word:
        x, y = pipe.input(unit.x), pipe.input(unit.y)
        low, high = pipe.add(x, y), pipe.subtract(x, y, bound=1 << bits)
        return pipe.add(low, high.shift(half)).low(bits)

    x, y, _, out = unrolled(Unit(bits, bits, build), bits)
    prove(out == x + y + ((x - y) << half))


@pytest.mark.parametrize("chunk", [9, 16, 64])
@pytest.mark.parametrize("factor", [FIRST, SECOND])
def test_multiples_that_folds_add(factor: Factor, chunk: int) -> None:
    """38 or 2^32 + 977 times a word, whichever prime it is, by shifts and sums in chunks."""
    bits, width = 10, 44

    def build(pipe: Pipeline, unit: Unit) -> Word:
        word = pipe.input(unit.x)
        return pipe.total(multiples(pipe, (unit.chosen, 0), word, factor, fused=True))

    x, _, secp256k1, out = unrolled(Unit(bits, width, build, chunk), width)
    for index, chosen in enumerate((1, 0)):
        powers = [1 << i for i in range(width) if factor.of(index) >> i & 1]
        product = sum((x * power for power in powers), start=z3.BitVecVal(0, width))
        prove(z3.Implies(secp256k1 == chosen, out == product))


def test_formulas_are_what_simulates() -> None:
    """The operators, on numbers."""
    unit = Unit(130, 131, lambda pipe, u: pipe.add(pipe.input(u.x), pipe.input(u.y)))
    *_, out = unrolled(unit, 131)
    x, y = (z3.BitVec(f"{name}@0", 130) for name in "xy")
    for _ in range(20):
        one, other = random.getrandbits(130), random.getrandbits(130)
        given = [(x, z3.BitVecVal(one, 130)), (y, z3.BitVecVal(other, 130))]
        assert z3.simplify(z3.substitute(out, *given)).as_long() == one + other
