"""Bench of an engine whose barrels share ports of the comb tables: only when, not what.

Barrels run programs at random; every issue and every program's end must come in the clock the model
says. Environment: ``SLOTS``, ``BARRELS``, ``INTERVAL``, ``PROGRAMS`` (of each barrel).
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl.engine.engine import Engine
from intaglio.hdl.engine.issue import start_layout
from intaglio.hdl.engine.programs import Image, Program
from intaglio.sim import bfm
from intaglio.sim.model import cycles
from intaglio.sim.model.barrel import Barrel

WINDOW, JOBS, KEYS = 4, 16, 4
"""Jobs of each barrel."""
COMBS = (Program.ED25519_COMB, Program.ECDSA_COMB)
SHORT = [program for program in Program if "SCALAR" in program.name]


def unit(barrels: int, slots: int, interval: int) -> Engine:
    """The unit under test."""
    sizes = {"barrels": barrels, "interval": interval, "slots": slots}
    return Engine(Image(WINDOW), **sizes, jobs=barrels * JOBS, keys=KEYS)


class Offers:
    """Programs of one barrel, each from a random clock on; shared by device and model."""

    def __init__(self, programs: int) -> None:
        self.waiting: list[tuple[int, Program]] = []
        clock = 0
        for _ in range(programs):
            clock += random.choice([0, 0, 3, 50, 400])
            self.waiting.append((clock, random.choice([*COMBS, random.choice(SHORT)])))


def predicted(
    barrels: list[Barrel], offers: list[Offers]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Clock of every issue, and barrel and clock of every program's end, by the model."""
    issues: list[int] = []
    ends: list[tuple[int, int]] = []
    reads, now = cycles.patterns(WINDOW), 0
    for n, (barrel, mine) in enumerate(zip(barrels, offers, strict=True)):
        barrel.log = lambda kind, clock, _: issues.append(clock) if kind == "issue" else None
        for clock, program in mine.waiting:
            done = barrel.start(clock, reads[program])
            done.then(lambda n=n: ends.append((n, now)))  # type: ignore[misc]
    while (following := min(barrel.next_clock() for barrel in barrels)) < float("inf"):
        now = int(following)
        next(barrel for barrel in barrels if barrel.next_clock() == now).step(now)
    return sorted(issues), sorted(ends)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def clocks_equal_the_model(dut: Any) -> None:
    count, slots, interval, programs = (
        int(os.environ[name]) for name in ("BARRELS", "SLOTS", "INTERVAL", "PROGRAMS")
    )
    latency = unit(count, slots, interval).barrels[0].latency
    shared = cycles.ports(count, interval)
    models = [Barrel(slots, interval, latency, port) for port in shared]
    offers = [Offers(programs) for _ in range(count)]
    issues, ends = predicted(models, offers)
    unshared = [Barrel(slots, interval, latency) for _ in shared]
    assert predicted(unshared, offers)[0] != issues, "no barrel waited for another"

    layout = start_layout(count * JOBS, KEYS)
    for name in ("wipe__valid", "inbox", "digest", "outbox"):
        getattr(dut, name).value = 0
    starts = [getattr(dut, f"start_{n}__valid") for n in range(count)]
    for start in starts:
        start.value = 0
    await bfm.start(dut)
    for _ in range(slots):
        await RisingEdge(dut.clk)
    seen_issues: list[int] = []
    seen_ends: list[tuple[int, int]] = []
    for clock in range(max(clock for _, clock in ends) + 2):
        for n, (start, mine) in enumerate(zip(starts, offers, strict=True)):
            offered = bool(mine.waiting) and mine.waiting[0][0] <= clock
            start.value = int(offered)
            if offered:
                fields = {
                    "job": n * JOBS + len(mine.waiting) % JOBS,
                    "program": int(mine.waiting[0][1]),
                }
                getattr(dut, f"start_{n}__payload").value = bfm.pack(layout, fields)
        await ReadOnly()
        seen_issues += [clock] * int(dut.issued.value)
        for n, (start, mine) in enumerate(zip(starts, offers, strict=True)):
            if int(start.value) and int(getattr(dut, f"start_{n}__ready").value):
                mine.waiting.pop(0)
            if int(getattr(dut, f"done_{n}").value) & 1:
                seen_ends.append((n, clock))
        await RisingEdge(dut.clk)
    assert seen_issues == issues
    assert sorted(seen_ends) == ends
    assert len(ends) == programs * count
    bfm.record("issued", len(issues))
