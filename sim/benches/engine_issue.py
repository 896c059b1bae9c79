"""Bench of Issue against :class:`intaglio.sim.model.barrel.Barrel`, clock by clock.

Environment: ``SLOTS``, ``INTERVAL``, ``LATENCY`` (of the pipeline the bench plays), ``PROGRAMS``
(how many are started).
"""

from __future__ import annotations

import os
import random
from collections import deque
from itertools import count
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl.engine.issue import Issue, start_layout
from intaglio.hdl.engine.programs import Program
from intaglio.sim import bfm
from intaglio.sim.model.barrel import Barrel, Port

JOBS, KEYS = 8, 4
LENGTHS = {program: (1, 2, 3, 5, 9, 14, 20, 33)[program % 8] for program in Program}
READS = {
    program: tuple((program * index) % 5 in (0, 3) for index in range(1, length + 1))
    for program, length in LENGTHS.items()
}
"""Of each program's instructions, whether it reads a comb table."""
ENTRY_POINTS = {program: sum(list(LENGTHS.values())[:program]) for program in LENGTHS}
ROM_DEPTH = sum(LENGTHS.values())


def unit(slots: int, interval: int) -> Issue:
    """The unit under test."""
    sizes = {"slots": slots, "interval": interval, "jobs": JOBS, "keys": KEYS}
    begin = {program for program, reads in READS.items() if reads[0]}
    return Issue(ENTRY_POINTS, begin, rom_depth=ROM_DEPTH, **sizes)


class Gate(Port):
    """A port that is closed in some clocks, whatever its barrel does."""

    def __init__(self) -> None:
        super().__init__(clocks=1)
        self.closed: set[int] = set()
        clock = 0
        for _ in range(300):
            clock += random.choice([1, 2, 5, 30, 100])
            self.closed.update(range(clock, clock + random.choice([1, 3, 4, 20])))

    def clock_for(self, user: Barrel, clock: int) -> int:
        clock = max(clock, self.free_from)
        return next(each for each in count(clock) if each not in self.closed)


class Offers:
    """Programs to start, each from a random clock on; shared by device and model."""

    def __init__(self, count: int) -> None:
        self.offers: list[tuple[int, Program]] = []
        clock = 0
        for _ in range(count):
            clock += random.choice([0, 0, 1, 2, 7, 40, 150])
            self.offers.append((clock, random.choice(list(LENGTHS))))

    def predicted(
        self, slots: int, interval: int, latency: int, gate: Gate
    ) -> list[tuple[str, int, int]]:
        """Every issue, start and retirement, by the model."""
        barrel = Barrel(slots, interval, latency, gate)
        log: list[tuple[str, int, int]] = []
        barrel.log = lambda *entry: log.append(entry)
        for clock, program in self.offers:
            barrel.start(clock, READS[program])
        while (following := barrel.next_clock()) < float("inf"):
            barrel.step(int(following))
        return log


@cocotb.test()
async def clocks_equal_the_model(dut: Any) -> None:
    slots, interval, latency, programs = (
        int(os.environ[name]) for name in ("SLOTS", "INTERVAL", "LATENCY", "PROGRAMS")
    )
    offers, gate = Offers(programs), Gate()
    expected = sorted(offers.predicted(slots, interval, latency, gate))
    dut.start__valid.value = 0
    dut.retire_valid.value = dut.may_read.value = 0
    await bfm.start(dut)

    for _ in range(slots):
        await RisingEdge(dut.clk)
    free = deque(reversed(range(slots)))
    seen: list[tuple[str, int, int]] = []
    flight: list[tuple[int, int, bool, bool]] = []
    running: dict[int, tuple[int, int, Program, int]] = {}
    waiting, reading = list(offers.offers), set[bool]()
    for clock in range(max(entry[1] for entry in expected) + 2):
        retiring = flight.pop(0) if flight and flight[0][0] == clock else None
        dut.retire_valid.value = int(retiring is not None)
        dut.may_read.value = int(clock not in gate.closed)
        if retiring:
            dut.retire_slot.value, dut.retire_end.value = retiring[1], int(retiring[2])
            dut.retire_ahead.value = int(retiring[3])
            seen.append(("retire", clock, retiring[1]))
        offered = bool(waiting) and waiting[0][0] <= clock
        dut.start__valid.value = int(offered)
        if offered:
            owner = {"job": len(waiting) % JOBS, "key": len(waiting) % KEYS}
            fields = {**owner, "program": int(waiting[0][1])}
            dut.start__payload.value = bfm.pack(start_layout(JOBS, KEYS), fields)
        await ReadOnly()
        if offered and int(dut.start__ready.value):
            program = waiting.pop(0)[1]
            slot = free.popleft()
            running[slot] = (owner["job"], owner["key"], program, 0)
            seen.append(("start", clock, slot))
        if int(dut.valid.value):
            slot = int(dut.slot.value)
            job, key, program, done = running[slot]
            assert (int(dut.job.value), int(dut.key.value)) == (job, key)
            assert int(dut.counter.value) == ENTRY_POINTS[program] + done
            running[slot] = (job, key, program, done + 1)
            reads, ends = READS[program][done], done + 1 == LENGTHS[program]
            assert not reads or clock not in gate.closed
            ahead = not ends and READS[program][done + 1]
            flight.append((clock + latency - 2, slot, ends, ahead))
            reading.add(reads)
            seen.append(("issue", clock, slot))
        if retiring and retiring[2]:
            del running[retiring[1]]
            free.append(retiring[1])
        await RisingEdge(dut.clk)
    assert sorted(seen) == expected
    assert not waiting
    assert not running
    assert reading == {False, True}
    bfm.record("issued", sum(entry[0] == "issue" for entry in seen))
