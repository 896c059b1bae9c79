"""Bench of the ALU's Reducer: a total every clock, every output form.

Environment: ``VECTORS`` random totals beside the edges.
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl.engine.alu import Reducer
from intaglio.hdl.engine.isa import WORD_BITS, Curve, Out
from intaglio.hdl.field.fold import FOLDS, INPUT_BOUND
from intaglio.params import ED25519, SECP256K1
from intaglio.sim import bfm
from intaglio.sim.benches.field_edges import totals, words

ORDERS = {Curve.ED25519: ED25519.order, Curve.SECP256K1: SECP256K1.order}


def expected(total: int, out: Out, curve: Curve, canonical: bool) -> int:
    """The word the instruction set asks for."""
    word = {
        Out.FOLD: lambda: FOLDS[curve](total),
        Out.HIGH: lambda: total >> WORD_BITS,
    }.get(out, lambda: total % (1 << WORD_BITS))()
    modulus = FOLDS[curve].prime if out == Out.FOLD else ORDERS[curve]
    return word - modulus if canonical and word >= modulus else word


def vectors() -> list[tuple[int, Out, Curve, bool]]:
    """Totals below the fold's bound, and for the other forms with any other half."""
    chosen: list[tuple[int, Out, Curve, bool]] = []
    sums = [*totals(), *(random.randrange(INPUT_BOUND) for _ in range(int(os.environ["VECTORS"])))]
    for curve in Curve:
        chosen += [
            (total, Out.FOLD, curve, canonical) for total in sums for canonical in (False, True)
        ]
        for word in words():
            other = random.choice([0, (1 << WORD_BITS) - 1, random.getrandbits(WORD_BITS)])
            low, high = word | other << WORD_BITS, other | word << WORD_BITS
            for canonical in (False, True) if word < 2 * ORDERS[curve] else (False,):
                chosen += [(low, out, curve, canonical) for out in (Out.LOW, Out.LOW_KEEP)]
                chosen.append((high, Out.HIGH, curve, canonical))
    random.shuffle(chosen)
    return chosen


@cocotb.test()
async def words_are_exact(dut: Any) -> None:
    await bfm.start(dut)
    chosen = vectors()
    for clock in range(len(chosen) + Reducer.latency):
        if clock < len(chosen):
            total, out, curve, canonical = chosen[clock]
            dut.total.value, dut.out.value = total, int(out)
            dut.curve.value, dut.canonical.value = int(curve), int(canonical)
        await ReadOnly()
        if clock >= Reducer.latency:
            vector = chosen[clock - Reducer.latency]
            assert int(dut.result.value) == expected(*vector), vector
        await RisingEdge(dut.clk)
    bfm.record("words", len(chosen))
