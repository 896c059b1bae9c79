"""Bench of the ALU against the instruction-accurate model: one instruction, its words, its result.

Environment: ``INTERVAL``, ``VECTORS``.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.handle import ArrayObject
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl.engine.alu import Alu, Operation, operands_layout
from intaglio.hdl.engine.comb import Comb
from intaglio.hdl.engine.isa import (
    FIELDS,
    LIMB_BITS,
    LIMBS,
    NEGATED,
    TABLE_FIELDS,
    WORD_BITS,
    A,
    Addend,
    B,
    Curve,
    Instruction,
    Out,
)
from intaglio.hdl.engine.programs import Image
from intaglio.hdl.field.fold import FOLDS
from intaglio.params import ED25519, SECP256K1
from intaglio.sim import bfm
from intaglio.sim.benches.core_state import walk
from intaglio.sim.benches.field_edges import words
from intaglio.sim.model.engine import Context, EngineModel

COMBS = {
    Curve.ED25519: Comb(ED25519.order, 4),
    Curve.SECP256K1: Comb(SECP256K1.order, 4),
}
INPUTS = ("op", "operands", "late_op", "late_high")
NOISE = {lanes: (1 << lanes * LIMB_BITS) // 3 for lanes in (1, 2)}
"""What is where H is, but for the clocks in which it is looked at."""

RING_CLOCKS = 32
"""Longest delay of a ring."""

RAW_WORDS = words()
LAZY_WORDS = {curve: words(fold.lazy_bound) for curve, fold in FOLDS.items()}
ENTRIES = {curve: words(fold.prime) for curve, fold in FOLDS.items()}


class Same(Sequence[tuple[int, int, int]]):
    """A comb table that has the same entry everywhere."""

    def __init__(self) -> None:
        self.entry = (0, 0, 0)

    def __getitem__(self, index: Any) -> Any:
        return self.entry

    def __len__(self) -> int:
        return 1


class OneEntry(EngineModel):
    """The model with a table of the bench's in the place of the curves'."""

    def __init__(self) -> None:
        super().__init__(Image(4))
        self.table = Same()
        self.tables = dict.fromkeys(Curve, self.table)  # type: ignore[arg-type]


@dataclass
class Vector:
    """An instruction, what it reads, and what must come of it."""

    op: int
    operands: dict[str, int]
    late_high: int
    high: int
    result: int


def edge(edges: list[int], bound: int) -> int:
    """An edge, three times of four, or any word below ``bound``."""
    return random.choice(edges) if random.random() < 0.75 else random.randrange(bound)


def instruction() -> Instruction:
    """Any instruction that an assembler may write."""
    out = random.choice([Out.FOLD, Out.FOLD, Out.LOW, Out.LOW_KEEP, Out.HIGH])
    fold = out == Out.FOLD
    addends = list(Addend) if fold else [Addend.NONE, Addend.PLUS_P3]
    return Instruction(
        p0=0,
        p1=1,
        p2=2,
        p3=3,
        a=random.choice(list(A)),
        b=random.choice(list(B) if fold else [B.P2, B.ADD, B.SUB, B.SUM01]),
        shift0=random.randrange(2),
        shift2=random.randrange(2),
        addend=random.choice(addends),
        add_high=0 if fold else random.randrange(2),
        out=out,
        canonical=random.randrange(2),
        curve=random.choice(list(Curve)),
    )


def vector(model: OneEntry, seen: Counter[tuple[str, int]]) -> Vector:
    """A random instruction whose words keep the ranges that the model checks."""
    while True:
        i = instruction()
        edges = LAZY_WORDS[i.curve] if i.out == Out.FOLD else RAW_WORDS
        bound = FOLDS[i.curve].lazy_bound if i.out == Out.FOLD else 1 << WORD_BITS
        p = [edge(edges, bound) for _ in range(4)]
        if i.out != Out.FOLD and random.random() < 0.5:
            p[random.choice([0, 2])] = 1
        prime = FOLDS[i.curve].prime
        model.table.entry = tuple(edge(ENTRIES[i.curve], prime) for _ in range(3))
        negative, neg = random.randrange(2), random.randrange(2)
        # digit 7 is -1, digit 8 is 1: both select entry 0
        high = edge(RAW_WORDS, 1 << WORD_BITS) if i.add_high else random.getrandbits(WORD_BITS)
        context = Context(digits=8 - negative, neg=bool(neg), high=high)
        context.registers[:4] = p
        try:
            result = model.step(i, context)
        except AssertionError:
            continue
        values = {f"p{n}": word for n, word in enumerate(p)} | {"negative": negative, "neg": neg}
        if i.reads_table:
            values["field"] = model.table.entry[TABLE_FIELDS[i.b][negative]]
            values["negative"] = int(negative and i.b in NEGATED)
        seen.update((name, int(getattr(i, name))) for name in ("a", "b", "addend", "out"))
        seen.update([("canonical", 2 * i.out + i.canonical), ("negative", 2 * i.b + negative)])
        kept = context.high if i.out == Out.LOW_KEEP else -1
        return Vector(i.encode(), values, high, kept, result)


async def feed(dut: Any, alu: Alu, vectors: list[Vector]) -> None:
    """Start vectors back to back or with gaps, and compare all that comes of them."""
    starts: dict[int, Vector] = {}
    following = 0
    bits, digits = alu.lanes * LIMB_BITS, LIMBS // alu.lanes

    def part(word: int, digit: int) -> int:
        return word >> digit * bits & (1 << bits) - 1

    def at(clock: int, clocks: int) -> tuple[Vector | None, int]:
        """The vector that is at a place for as many clocks, and for how many it has been."""
        found = ((starts.get(clock - i), i) for i in range(clocks))
        return next(((each, i) for each, i in found if each), (None, 0))

    for clock in range(10**9):
        if not vectors and clock > following + alu.latency + digits:
            break
        starting = bool(vectors) and clock >= following
        dut.start.value = int(starting)
        if starting:
            starts[clock] = vectors.pop()
            following = clock + alu.interval + random.choice([0, 0, 0, 0, 1, 3])
        current, digit = at(clock, alu.interval)
        dut.op.value, dut.operands.value = current.op if current else 0, 0
        if current and digit < digits:
            flags = ("negative", "neg")
            fields = {
                name: value if name in flags else part(value, digit)
                for name, value in current.operands.items()
            }
            dut.operands.value = bfm.pack(operands_layout(alu.lanes), fields)
        late, digit = at(clock - alu.late, alu.interval)
        dut.late_op.value = late.op if late else 0
        held = digit < digits
        dut.late_high.value = part(late.late_high, digit) if late and held else NOISE[alu.lanes]
        await ReadOnly()
        summed, digit = at(clock - alu.high_at, digits)
        if summed and summed.high >= 0:
            assert int(dut.high.value) == part(summed.high, digit)
        ended, digit = at(clock - alu.latency, digits)
        if ended:
            op = Instruction.decode(ended.op)
            assert int(dut.result.value) == part(ended.result, digit), op
            assert digit or int(dut.zero.value) == (ended.result == 0)
        starts.pop(clock - alu.latency - digits + 1, None)
        await RisingEdge(dut.clk)
    assert not starts


def made() -> Alu:
    """The unit under test."""
    return Alu(int(os.environ["INTERVAL"]), COMBS)


async def begin(dut: Any) -> None:
    """Reset, with nothing to do."""
    for name in ("start", "op", "operands", "late_op", "late_high"):
        getattr(dut, name).value = 0
    await bfm.start(dut)


@cocotb.test()
async def results_equal_the_model(dut: Any) -> None:
    assert Operation.size == sum(field.bits for field in FIELDS)
    model, seen = OneEntry(), Counter[tuple[str, int]]()
    vectors = [vector(model, seen) for _ in range(int(os.environ["VECTORS"]))]
    await begin(dut)
    await feed(dut, made(), vectors)
    bfm.record("seen", sorted(seen))


@cocotb.test()
async def nothing_stays_behind(dut: Any) -> None:
    alu, model, seen = made(), OneEntry(), Counter[tuple[str, int]]()
    await begin(dut)
    states = []
    for _ in range(2):
        await feed(dut, alu, [vector(model, seen) for _ in range(5)])
        for _ in range(2 * alu.interval + RING_CLOCKS):
            await RisingEdge(dut.clk)
        await ReadOnly()
        signals = ((path, one) for path, one in walk(dut) if not isinstance(one, ArrayObject))
        states.append(
            {
                path: int(one.value)
                for path, one in signals
                if len(one) >= 8 and one._name not in INPUTS
            }
        )
        await RisingEdge(dut.clk)
    assert len(states[0]) > 100
    # an idle unit has constants on its wires, and nothing that other words would have changed
    assert {path for path, value in states[0].items() if states[1][path] != value} == set()
