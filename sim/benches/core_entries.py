"""Bench of the whole core: comb tables whose entries are wrong but valid.

Each entry of a window is another of it, at random, for every job and for both computations of the
release check ``double``. (A window turned by one entry would move both points by the same step as
often as not: the limit of ``double`` that the README of ``hdl/`` names.)

Environment: ``PROFILE``. Records ``outcomes``, how jobs ended.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from intaglio.hdl.engine.isa import LIMBS
from intaglio.hdl.engine.programs import Image
from intaglio.hdl.engine.table import first_windows, limb_rows, table_words
from intaglio.sim import bfm
from intaglio.sim.benches.core_faults import batch, signer, sleep
from intaglio.sim.benches.core_host import PROFILE
from intaglio.sim.benches.core_state import LANES
from intaglio.wire import Op

ROWS = LIMBS // LANES
"""Rows of a table's memory that an entry takes."""


def shuffle_entries(dut: Any) -> None:
    """Exchange the entries within each window of each curve at random."""
    image = Image(PROFILE.window)
    for curve, comb in image.combs.items():
        table = dut.engine.combs0.rom.words
        starts = [start for (whose, _), start in first_windows(image).items() if whose == curve]
        for window in range(comb.windows):
            order = random.sample(range(comb.entries), comb.entries)
            for start in starts:
                first = (start + window) * comb.entries
                rows = range(first * ROWS, (first + comb.entries) * ROWS)
                parts = [int(table[row].value) for row in rows]
                for entry, other in enumerate(order):
                    for step in range(ROWS):
                        table[(first + entry) * ROWS + step].value = parts[other * ROWS + step]


def restore_entries(dut: Any) -> None:
    """The tables as the sources say."""
    for row, part in enumerate(limb_rows(table_words(Image(PROFILE.window)), LANES)):
        dut.engine.combs0.rom.words[row].value = part


@cocotb.test()
async def valid_entries(dut: Any) -> None:
    """All jobs with the windows shuffled, then with the windows as they were."""
    pair, keys, generations = await signer(dut)
    nothing = partial(sleep, dut)
    results: dict[str, Counter[str]] = {}
    for name, change in (("shuffled", shuffle_entries), ("as it was", restore_entries)):
        change(dut)
        await ClockCycles(dut.clk, 1)
        for op in (Op.SIGN_MESSAGE, Op.SIGN_DIGEST)[: 2 if name == "shuffled" else 1]:
            random.seed(f"{name} {op}")
            results.setdefault(name, Counter())
            results[name] += await batch(pair, keys, generations, nothing, op)
    bfm.record("outcomes", results)
