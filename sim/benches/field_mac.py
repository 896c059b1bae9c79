"""Bench of MultiplyAccumulate: exact, in time, and empty when idle.

Environment: ``WIDTH``, ``INTERVAL``, ``VECTORS`` (0: every a, b and c).
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl.field.mac import MultiplyAccumulate
from intaglio.sim import bfm

WIDTH, INTERVAL = int(os.environ["WIDTH"]), int(os.environ["INTERVAL"])
VECTORS = int(os.environ["VECTORS"])
LATENCY = MultiplyAccumulate(WIDTH, INTERVAL).latency
INPUTS = ("clk", "rst", "start", "a", "b", "c")


def operand() -> int:
    """An operand with carries and zeros at limb borders, or any."""
    top = (1 << WIDTH) - 1
    limb = random.choice([1, 8, 16, 17, 32, 64])
    ones = ((1 << limb) - 1) << (limb * random.randrange(-(-WIDTH // limb)))
    power = 1 << random.randrange(WIDTH)
    edges = [0, 1, top, top - 1, ones & top, top ^ ones & top, power, power - 1]
    return random.choice([*edges, *(random.getrandbits(WIDTH) for _ in range(4))])


def vectors() -> Iterable[tuple[int, int, int]]:
    """Operands to multiply."""
    if not VECTORS:
        values = range(1 << WIDTH)
        return itertools.product(values, values, values)
    return ((operand(), operand(), operand()) for _ in range(VECTORS))


@cocotb.test()
async def products_are_exact(dut: Any) -> None:
    dut.start.value = 0
    await bfm.start(dut)
    expected: dict[int, int] = {}
    results = 0
    todo = iter(vectors())
    following = clock = 0
    finished = None
    while finished is None or clock <= finished + LATENCY:
        starting = clock >= following and finished is None
        dut.start.value = int(starting)
        # operands without a start are noise
        a, b, c = (random.getrandbits(WIDTH) for _ in range(3))
        if starting:
            vector = next(todo, None)
            if vector is None:
                finished = clock
                dut.start.value = 0
            else:
                a, b, c = vector
                expected[clock + LATENCY] = a * b + c
                following = clock + INTERVAL + random.choice([0, 0, 0, 1, 5])
        dut.a.value, dut.b.value, dut.c.value = a, b, c
        await ReadOnly()
        if clock in expected:
            assert int(dut.product.value) == expected.pop(clock)
            results += 1
        await RisingEdge(dut.clk)
        clock += 1
    assert not expected
    bfm.record("products", results)


@cocotb.test()
async def nothing_stays_behind(dut: Any) -> None:
    dut.start.value = 0
    await bfm.start(dut)
    top = (1 << WIDTH) - 1
    for _ in range(3):
        dut.a.value, dut.b.value, dut.c.value = top, top, top
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        for _ in range(INTERVAL + LATENCY):
            await RisingEdge(dut.clk)
        await ReadOnly()
        words = [signal for signal in dut if len(signal) >= WIDTH and signal._name not in INPUTS]
        assert sum(len(word) for word in words) > 7 * WIDTH
        left = {word._name: int(word.value) for word in words if int(word.value)}
        assert not left
        await RisingEdge(dut.clk)
