"""A netlist of :class:`intaglio.sim.cells.probe.Probe` on a board answers as its model does."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from intaglio.sim import bfm
from intaglio.sim.benches.netlist_pins import Line
from intaglio.sim.cells.probe import ProbeModel

BYTES = 300
BREAK_MS = 21
"""Longer than what a board takes for a break."""


@cocotb.test(timeout_time=200, timeout_unit="ms")
async def answers(dut: Any) -> None:
    """Bytes, then a break, which resets registers but not memories, then bytes again."""
    line, model = Line(dut), ProbeModel()
    await line.start()
    seen = []
    for turn in range(BYTES):
        byte = random.randrange(64)
        await line.send(bytes([byte]))
        seen.append(await line.receive(1))
        expected = model.answer(byte)
        assert seen[-1] == expected, f"byte {turn}: {seen[-1]:#x} is not {expected:#x}"
    await line.hold_low(BREAK_MS)
    model.count = 0
    await line.send(b"\x2a")
    assert await line.receive(1) == model.answer(0x2A), "after a break"
    assert len(set(seen)) > BYTES // 4
    bfm.record("answers", len(seen))
