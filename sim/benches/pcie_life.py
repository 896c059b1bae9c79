"""Bench of the PCIe link: resets, interrupts, back-pressure, bus mastering.

Environment: ``STALL``.
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.pcie.core.tlp import Tlp

from intaglio.sim import bfm
from intaglio.sim.benches.pcie_bad import answered, begin
from intaglio.sim.benches.pcie_link import READS, WRITES
from intaglio.wire_ring import Control, Interrupt, State

STALL = float(os.environ.get("STALL", "0"))


@cocotb.test()
async def nothing_is_overwritten(dut: Any) -> None:
    """Completions stop when their ring is full, and go on when the host has taken some."""
    host = await begin(dut, submission_log2=4, completion_log2=1)
    sent = [host.put(random.randbytes(20)) for _ in range(12)]
    await host.ring()
    for _ in range(2):
        await bfm.within(50_000, host.take(tell=False), "a completion")
    await host.settled(4000)
    assert await host.read("completions") == 2
    assert await host.read("status") & State.FULL
    await host.write("completion_taken", 2)
    for one in sent[2:]:
        await answered(host, one)
    assert not await host.read("status") & State.FULL


@cocotb.test()
async def waits_for_the_core(dut: Any) -> None:
    """A core that takes nothing holds up descriptors, and loses none."""
    host = await begin(dut)
    dut.hold.value = 1
    sent = [host.put(random.randbytes(n)) for n in (3000, 3000, 3000, 20, 500) * 3]
    await host.ring()
    await host.settled(6000)
    assert await host.read("completions") == 0
    assert await host.read("descriptors_taken") < len(sent)
    await host.write("control", 0)  # what was fetched is finished
    dut.hold.value = 0
    finished = 0
    while await host.read("status") & State.RUNNING:
        await host.write("completion_taken", await host.read("completions"))
    finished = await host.read("descriptors_taken")
    assert await host.read("completions") == finished < len(sent)
    for one in sent[:finished]:
        await answered(host, one)
    await host.write("control", Control.ENABLE)
    for one in sent[finished:]:
        await answered(host, one)


@cocotb.test()
async def bus_master_off(dut: Any) -> None:
    """Without the bit in configuration space the device neither reads nor writes memory."""
    host = await begin(dut)
    await host.found.set_master(False)
    await host.settled()
    assert not await host.read("status") & State.BUS_MASTER
    before = len([tlp for tlp in host.endpoint.sent if tlp.fmt_type in (*READS, *WRITES)])
    sent = [host.put(random.randbytes(100)) for _ in range(3)]
    await host.ring()
    await host.settled(3000)
    after = [tlp for tlp in host.endpoint.sent if tlp.fmt_type in (*READS, *WRITES)]
    assert len(after) == before
    await host.found.set_master(True)
    for one in sent:
        await answered(host, one)


@cocotb.test()
@cocotb.parametrize(function_level=[False, True])
async def reset_in_flight(dut: Any, function_level: bool) -> None:
    """A reset waits for reads under way, forgets the rest, and zeroises the device's memory."""
    host = await begin(dut)
    late: list[Tlp] = []

    def withhold(tlp: Tlp) -> list[Tlp]:
        late.append(tlp)
        return []

    sent = [host.put(random.randbytes(500), slot=10) for _ in range(4)]
    dut.hold.value = 1
    await host.ring()
    await host.settled(2000)
    host.endpoint.tamper = withhold
    more = [host.put(random.randbytes(2000)) for _ in range(4)]
    await host.ring()
    await host.settled(500)
    assert late
    if function_level:
        await RisingEdge(dut.clk)
        dut.function__reset.value = 1
        await ClockCycles(dut.clk, 5)
        dut.function__reset.value = 0
    else:
        await host.write("control", Control.RESET)
    await host.write("doorbell", 1)
    assert not await host.read("status") & State.READY
    assert await host.read("bad_doorbells") == 1
    for tlp in late:
        host.endpoint.give(tlp)
    host.endpoint.tamper = None
    dut.hold.value = 0
    await bfm.within(20_000, host.until(State.READY), "the reset")
    names = ("doorbell", "descriptors_taken", "completions", "submission_base", "interrupt")
    assert not any((await host.counts(*names)).values())
    assert not any(_landing(dut))
    assert len(sent) + len(more) == 8
    await bfm.within(50_000, host.up(), "bring-up")
    again = [host.put(random.randbytes(n)) for n in (4096, 16)]
    await host.ring()
    for one in again:
        await answered(host, one)


def _landing(dut: Any) -> list[int]:
    memory = dut.link.landing.memory
    return [int(memory[n].value) for n in range(len(memory))]


@cocotb.test()
async def nothing_is_left(dut: Any) -> None:
    """Once all is answered, the memories that bodies went through hold zeros."""
    host = await begin(dut)
    sent = [host.put(random.randbytes(n)) for n in (32, 4096, 700, 5)]
    await host.ring()
    for one in sent:
        await answered(host, one)
    await host.settled(2000)
    assert not any(_landing(dut))
    assert not int(dut.busy.value)


@cocotb.test()
async def interrupts(dut: Any) -> None:
    """Masked none comes, unmasked one for all that waits, and no two closer than allowed."""
    host = await begin(dut)
    endpoint = host.endpoint

    async def sign(count: int, *, tell: bool) -> None:
        sent = [host.put(b"beat") for _ in range(count)]
        await host.ring()
        for _ in sent:
            await bfm.within(50_000, host.take(tell=tell), "a completion")
        await host.settled(300)

    await sign(2, tell=False)
    assert endpoint.interrupts == 0, "none before it is enabled"
    await host.write("interrupt", Interrupt.ENABLE | Interrupt.MASK)
    await sign(2, tell=False)
    assert endpoint.interrupts == 0
    await host.write("interrupt", Interrupt.ENABLE)
    await host.settled(300)
    assert endpoint.interrupts == 1, "those that waited are announced, once"
    await host.settled(2000)
    assert endpoint.interrupts == await host.read("interrupts") == 1
    await host.write("completion_taken", host.taken)

    await host.write("interrupt", Interrupt.ENABLE | Interrupt.MASK)
    await sign(2, tell=True)
    await host.write("interrupt", Interrupt.ENABLE)
    await host.settled(1000)
    assert endpoint.interrupts == 1, "what was taken needs no announcement"

    await host.write("moderation", 20_000)
    await sign(1, tell=False)
    assert endpoint.interrupts == 2
    await sign(4, tell=False)
    assert endpoint.interrupts == 2, "too soon for another"
    await ClockCycles(dut.clk, 20_000)
    assert endpoint.interrupts == 3, "but it comes"
    assert host.found.msi_vectors[0].event.is_set()
