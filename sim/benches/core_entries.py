"""Bench of the whole core: a window of the comb tables whose entries are wrong but valid.

Each entry of one window is another of it, for every job and for both computations of the release
check ``double``. Environment: ``PROFILE``. Records ``outcomes``, how jobs ended.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from intaglio.hdl.engine.isa import Curve
from intaglio.hdl.engine.programs import Image
from intaglio.sim import bfm
from intaglio.sim.benches.core_faults import batch, signer, sleep
from intaglio.sim.benches.core_host import PROFILE
from intaglio.wire import Op


def turn_entries(dut: Any, by: int) -> None:
    """Exchange the entries of a window of each curve; ``by`` -1 undoes what 1 did."""
    image = Image(PROFILE.window)
    for curve, comb in image.combs.items():
        base = len(image.tables[Curve.ED25519]) if curve == Curve.SECP256K1 else 0
        first = base + comb.windows // 2 * comb.entries
        for field in range(3 if curve == Curve.ED25519 else 2):
            table = getattr(dut.barrel.table, f"table{field}")
            words = [int(table[first + entry].value) for entry in range(comb.entries)]
            for entry, word in enumerate(words):
                table[first + (entry + by) % comb.entries].value = word


@cocotb.test()
async def valid_entries(dut: Any) -> None:
    """All jobs with the window turned, then with the window as it was."""
    pair, keys, generations = await signer(dut)
    nothing = partial(sleep, dut)
    results: dict[str, Counter[str]] = {}
    for name, by in (("turned", 1), ("as it was", -1)):
        turn_entries(dut, by)
        await ClockCycles(dut.clk, 1)
        for op in (Op.SIGN_MESSAGE, Op.SIGN_DIGEST) if by == 1 else (Op.SIGN_MESSAGE,):
            random.seed(f"{name} {op}")
            results.setdefault(name, Counter())
            results[name] += await batch(pair, keys, generations, nothing, op)
    bfm.record("outcomes", results)
