"""Bench of the inverter: edge and random numbers, several at once, against its model."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from intaglio.hdl.field.inverter import CHUNKS, SLOTS, request_layout, result_layout
from intaglio.params import ED25519, SECP256K1
from intaglio.sim import bfm
from intaglio.sim.model.divstep import invert

MODULI = (ED25519.p, SECP256K1.p, SECP256K1.order)
JOBS = 64


def edges(m: int) -> list[int]:
    limbs = [(1 << i) - 1 for i in (16, 32, 64, 65, 128, 130, 195, 255)]
    numbers = [0, 1, 2, m - 1, m - 2, (m + 1) // 2, *limbs, *(m - limb for limb in limbs)]
    return [number % m for number in numbers]


async def is_zero(dut: Any) -> bool:
    """Whether no number is left, once the pipeline has drained."""
    for _ in range(SLOTS + CHUNKS + 4):
        await RisingEdge(dut.clk)
    stored = [getattr(dut, f"numbers{c}")[i] for c in range(CHUNKS) for i in range(SLOTS)]
    names = ("number", "sum", "held")
    registers = [getattr(dut, f"{name}{c}") for name in names for c in range(CHUNKS)]
    return not any(int(each.value) for each in (*stored, *registers))


@cocotb.test()
async def inverts(dut: Any) -> None:
    await bfm.start(dut)
    for stall in (0.0, 0.5):
        source = bfm.Source(dut, "request", request_layout(JOBS, 3), stall=stall)
        sink = bfm.Sink(dut, "result", result_layout(JOBS, 3), stall=stall)
        numbers = [(k, x) for k, m in enumerate(MODULI) for x in edges(m)]
        numbers += [(k, random.randrange(MODULI[k])) for k in (0, 1, 2) for _ in range(8)]
        random.shuffle(numbers)
        todo = [{"job": i % JOBS, "modulus": k, "x": x} for i, (k, x) in enumerate(numbers)]
        task = cocotb.start_soon(source.send_all(todo))
        results = await bfm.within(800 * len(todo) + 10_000, sink.take_all(len(todo)), "inverses")
        await task
        expected = {(r["job"], r["modulus"], invert(r["x"], MODULI[r["modulus"]])) for r in todo}
        assert {(r["job"], r["modulus"], r["inverse"]) for r in results} == expected
        assert await is_zero(dut)


@cocotb.test()
async def lone_inversions_take_the_same_time(dut: Any) -> None:
    await bfm.start(dut)
    source = bfm.Source(dut, "request", request_layout(JOBS, 3))
    sink = bfm.Sink(dut, "result", result_layout(JOBS, 3))
    clocks = set()
    for i in range(12):
        for _ in range(random.randrange(20)):
            await RisingEdge(dut.clk)
        x = random.choice([0, 1, MODULI[i % 3] - 1, random.randrange(MODULI[i % 3])])
        take = cocotb.start_soon(sink.take())
        await source.send({"job": 0, "modulus": i % 3, "x": x})
        await bfm.within(20_000, take, "an inverse")
        clocks.add(sink.offered[-1] - source.accepted[-1])
    assert len(clocks) == 1, clocks
    bfm.record("latency", clocks.pop())
