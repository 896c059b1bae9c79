"""Instruction-accurate model of the engine: the golden model of every program.

Runs the very instruction words of the program ROM on plain integers and checks the numeric ranges
that the hardware relies on. A word it computes is bit for bit the word the gateware computes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from intaglio.hdl.engine.isa import (
    INBOX_WORDS,
    KEY_WORDS,
    NEGATED,
    OUTBOX_WORDS,
    REGISTERS,
    TABLE_FIELDS,
    WORD_BITS,
    A,
    Addend,
    B,
    Check,
    Dest,
    Instruction,
    Out,
    Port0,
    Port2,
    Port3,
    bias,
)
from intaglio.hdl.engine.programs import Image, Program
from intaglio.hdl.field.fold import FOLDS, OPERAND_BOUND

from . import divstep

MASK = (1 << WORD_BITS) - 1


@dataclass
class Context:
    """State of one job: what the engine reads and writes for it."""

    inbox: list[int] = field(default_factory=lambda: [0] * INBOX_WORDS)
    outbox: list[int] = field(default_factory=lambda: [0] * OUTBOX_WORDS)
    key: list[int] = field(default_factory=lambda: [0] * KEY_WORDS)
    registers: list[int] = field(default_factory=lambda: [0] * REGISTERS)
    digits: int = 0
    high: int = 0
    fault: bool = False
    odd: bool = False
    neg: bool = False
    over: bool = False

    @property
    def recid(self) -> int:
        """Recovery id of an ECDSA signature."""
        return (self.odd ^ self.neg) | self.over << 1


class EngineModel:
    """Executes programs of an :class:`Image`; counts the instructions it issued."""

    def __init__(self, image: Image):
        self.image = image
        self.tables = image.tables
        self.combs = image.combs
        self.issued = 0

    def run(self, program: Program, context: Context) -> None:
        """Run one program to its end."""
        for instruction in self.image.programs[program]:
            self.step(instruction, context)

    def invert(self, context: Context, modulus: int, source: int, target: int) -> None:
        """What the inverter does: inbox word ``target`` is the inverse of outbox ``source``."""
        context.inbox[target] = divstep.invert(context.outbox[source], modulus)

    def step(self, i: Instruction, c: Context) -> int:
        """Run one instruction; its result."""
        self.issued += 1
        constants = self.image.constants
        p0 = {
            Port0.REGISTER: lambda: c.registers[i.p0],
            Port0.INBOX: lambda: c.inbox[i.p0],
            Port0.CONSTANT: lambda: constants[i.p0],
            Port0.OUTBOX: lambda: c.outbox[i.p0],
        }[i.port0]()
        p1 = c.registers[i.p1]
        p2 = {
            Port2.REGISTER: lambda: c.registers[i.p2],
            Port2.KEY: lambda: c.key[i.p2],
            Port2.CONSTANT: lambda: constants[i.p2],
            Port2.DIGITS: lambda: c.digits,
        }[i.port2]()
        p3 = constants[i.p3] if i.port3 == Port3.CONSTANT else c.registers[i.p3]
        a = self._factor_a(i, c, p0, p1)
        b = self._factor_b(i, c, p0, p1, p2, p3)
        assert max(a, b) < (OPERAND_BOUND if i.out == Out.FOLD else 1 << WORD_BITS)
        result = self._reduce(i, c, a * b + self._addend(i, c, p2, p3))
        self._retire(i, c, result)
        return result

    def _difference(self, i: Instruction, x: int, y: int) -> int:
        if i.out == Out.FOLD:
            return x - y + bias(FOLDS[i.curve].prime)
        return (x - y) & MASK

    def _factor_a(self, i: Instruction, c: Context, p0: int, p1: int) -> int:
        p0 <<= i.shift0
        return {
            A.P0: lambda: p0,
            A.ADD: lambda: p0 + p1,
            A.SUB: lambda: self._difference(i, p0, p1),
            A.SELECT: lambda: p1 if c.neg else p0,
        }[i.a]()

    def _factor_b(self, i: Instruction, c: Context, p0: int, p1: int, p2: int, p3: int) -> int:
        comb = self.combs[i.curve]
        negative, index = comb.select(c.digits, i.window)
        entry = i.window * comb.entries + index
        if i.reads_table:
            field = self.tables[i.curve][entry][TABLE_FIELDS[i.b][negative]]
            return self._difference(i, 0, field) if negative and i.b in NEGATED else field
        return {
            B.P2: lambda: p2 << i.shift2,
            B.ADD: lambda: (p2 << i.shift2) + p3,
            B.SUB: lambda: self._difference(i, p2 << i.shift2, p3),
            B.SUM01: lambda: p0 + p1,
        }[i.b]()

    def _addend(self, i: Instruction, c: Context, p2: int, p3: int) -> int:
        if i.addend == Addend.MINUS_P3:
            assert i.out == Out.FOLD
        value = {
            Addend.NONE: lambda: 0,
            Addend.PLUS_P3: lambda: p3,
            Addend.MINUS_P3: lambda: self._difference(i, 0, p3),
        }[i.addend]()
        assert value >= 0
        return value + (c.high << WORD_BITS if i.add_high else 0)

    def _reduce(self, i: Instruction, c: Context, total: int) -> int:
        fold = FOLDS[i.curve]
        assert 0 <= total < 1 << 2 * WORD_BITS
        if i.out == Out.FOLD:
            result = fold(total)
        elif i.out == Out.HIGH:
            result = total >> WORD_BITS
        else:
            result = total & MASK
        if i.out == Out.LOW_KEEP:
            c.high = total >> WORD_BITS
        if i.canonical:
            modulus = fold.prime if i.out == Out.FOLD else self.combs[i.curve].order
            assert result < 2 * modulus
            result = result - modulus if result >= modulus else result
        return result

    def _retire(self, i: Instruction, c: Context, result: int) -> None:
        if i.write:
            c.registers[i.rd] = result
        if i.dest == Dest.OUTBOX:
            c.outbox[i.index] = result
        elif i.dest == Dest.KEY:
            c.key[i.index] = result
        elif i.dest == Dest.DIGITS:
            c.digits = result
        if i.check == Check.ZERO:
            c.fault |= result != 0
        elif i.check == Check.NONZERO:
            c.fault |= result == 0
        elif i.check == Check.PARITY:
            c.odd = bool(result & 1)
        elif i.check == Check.NEGATE:
            c.neg = bool(result & 1)
        elif i.check == Check.OVERFLOW:
            c.over = result != 0
