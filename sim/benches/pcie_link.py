"""Bench of :class:`intaglio.sim.benches.pcie_echo.EchoLink` behind an independent root complex.

Environment: ``STALL``.
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb

from intaglio import wire
from intaglio.sim import bfm
from intaglio.sim.benches import pcie_echo
from intaglio.sim.bfm import rings

STALL = float(os.environ.get("STALL", "0"))


@cocotb.test()
async def registers(dut: Any) -> None:
    """Identity, and registers read in every piece."""
    host = await rings.start(dut, stall=STALL)
    assert await bfm.within(20_000, host.bar.read(0, wire.IDENTITY.size)) == pcie_echo.IDENTITY


@cocotb.test()
async def signs(dut: Any) -> None:
    """Bodies of all lengths, inline and by reference, come through."""
    host = await rings.start(dut, stall=STALL)
    await bfm.within(100_000, host.up(), "bring-up")
    lengths = [0, 1, 4, 31, 32, 33, 64, 100, 127, 500, 4095, 4096]
    sent = [host.put(random.randbytes(n), slot=random.randrange(90)) for n in lengths]
    await host.ring()
    for one in sent:
        got = await bfm.within(100_000, host.take(), "a completion")
        assert got["reply"] == pcie_echo.answer(one.packet), (got, one)
