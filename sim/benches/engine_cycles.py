"""Bench of the whole barrel against :class:`intaglio.sim.model.barrel.Barrel`: only when, not what.

Programs are started and contexts wiped at random; every issue, every program's end and every wipe
must come in the clock the model says. Environment: ``BARREL_*`` as for :mod:`.engine_barrel`,
``BARREL_INTERVAL``, ``BARREL_LATENCY``.
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl.engine.issue import start_layout
from intaglio.hdl.engine.programs import Program
from intaglio.sim import bfm
from intaglio.sim.benches.engine_barrel import JOBS, KEYS, SLOTS, WINDOW
from intaglio.sim.model import cycles
from intaglio.sim.model.barrel import Barrel

SHORT = [program for program in Program if "SCALAR" in program.name]
PROGRAMS = [*random.choices(SHORT, k=30), Program.ED25519_COMB, *random.choices(SHORT, k=10)]
WIPED_JOB = JOBS - 1
"""No program runs on it."""


def schedule(gaps: list[int], count: int) -> list[int]:
    """``count`` random clocks in order."""
    clock, clocks = 0, []
    for _ in range(count):
        clock += random.choice(gaps)
        clocks.append(clock)
    return clocks


@cocotb.test()
async def clocks_equal_the_model(dut: Any) -> None:
    reads = cycles.patterns(WINDOW)
    barrel = Barrel(SLOTS, int(os.environ["BARREL_INTERVAL"]), int(os.environ["BARREL_LATENCY"]))
    expected: dict[str, list[int]] = {"issue": [], "start": [], "end": [], "wipe": []}
    barrel.log = lambda kind, clock, _: expected.setdefault(kind, []).append(clock)
    now = 0
    starts = schedule([0, 1, 5, 60, 300, 900], len(PROGRAMS))
    wipes = schedule([0, 13, 40, 500, 1100], 40)
    for clock, program in zip(starts, PROGRAMS, strict=True):
        barrel.start(clock, reads[program]).then(lambda: expected["end"].append(now))
    for clock in wipes:
        barrel.wipe(clock).then(lambda: expected["wipe"].append(now))
    while (following := barrel.next_clock()) < float("inf"):
        now = int(following)
        barrel.step(now)
    del expected["retire"]

    for name in ("start__valid", "wipe__valid", "inbox", "outbox"):
        getattr(dut, name).value = 0
    await bfm.start(dut)
    seen: dict[str, list[int]] = {name: [] for name in expected}
    for clock in range(now + 20):
        started, wiped = len(seen["start"]), len(seen["wipe"])
        starting = started < len(starts) and starts[started] <= clock
        wiping = wiped < len(wipes) and wipes[wiped] <= clock
        dut.start__valid.value, dut.wipe__valid.value = int(starting), int(wiping)
        if starting:
            fields = {"job": started % WIPED_JOB, "program": int(PROGRAMS[started])}
            dut.start__payload.value = bfm.pack(start_layout(JOBS, KEYS), fields)
        dut.wipe__payload.value = WIPED_JOB
        await ReadOnly()
        happened = {
            "issue": int(dut.issued.value),
            "start": starting and int(dut.start__ready.value),
            "end": int(dut.done.value) & 1,
            "wipe": wiping and int(dut.wipe__ready.value),
        }
        for kind, yes in happened.items():
            if yes:
                seen[kind].append(clock)
        await RisingEdge(dut.clk)
    assert seen == expected
    bfm.record("issued", len(seen["issue"]))
