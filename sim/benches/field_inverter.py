"""Bench of the inverter: edge and random numbers, several at once, against its model."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl.engine.isa import LIMB_BITS, LIMBS
from intaglio.hdl.field.inverter import SLOTS, done_layout, request_layout
from intaglio.params import ED25519, SECP256K1
from intaglio.sim import bfm
from intaglio.sim.limbs import join, split
from intaglio.sim.model.divstep import invert

MODULI = (ED25519.p, SECP256K1.p, SECP256K1.order)
JOBS = 64


def edges(m: int) -> list[int]:
    ones = [(1 << i) - 1 for i in (16, 32, 64, 65, 128, 130, 195, 255)]
    numbers = [0, 1, 2, m - 1, m - 2, (m + 1) // 2, *ones, *(m - number for number in ones)]
    return [number % m for number in numbers]


async def is_zero(dut: Any) -> bool:
    """Whether no number is left, once the pipeline has drained."""
    for _ in range(SLOTS + LIMBS + 4):
        await RisingEdge(dut.clk)
    await ReadOnly()
    stored = [getattr(dut, f"numbers{c}")[i] for c in range(LIMBS) for i in range(SLOTS)]
    names = [f"number{{}}_{name}" for name in "fgde"]
    names += ["addend{}_g", "addend{}_e", "multiple{}", "sum{}", "held{}"]
    names += ["carry_g{}", "carry_e{}", "carry_m{}"]
    registers = [getattr(dut, name.format(c)) for name in names for c in range(LIMBS)]
    ring = [getattr(dut, f"info{i}") for i in range(SLOTS)]
    zero = not any(int(each.value) for each in (*stored, *registers, *ring, dut.inverse))
    await RisingEdge(dut.clk)
    return zero


class Requester:
    """Gives numbers to the inverter; ``x`` is noise when it is of no use."""

    def __init__(self, dut: Any, *, stall: float = 0.0) -> None:
        self.dut = dut
        self.source = bfm.Source(dut, "request", request_layout(JOBS, 3), stall=stall)
        self.noise()

    def noise(self) -> None:
        self.dut.x.value = random.getrandbits(LIMB_BITS)

    async def send(self, item: dict[str, int]) -> None:
        """Returns after the last limb of ``x``."""
        await self.source.send({name: item[name] for name in ("job", "modulus")})
        for limb in split(item["x"]):
            self.dut.x.value = limb
            await RisingEdge(self.dut.clk)
        self.noise()

    async def send_all(self, items: list[dict[str, int]]) -> None:
        for item in items:
            await self.send(item)


class Taker:
    """Takes inverses, each when it is offered or with probability ``stall`` later."""

    def __init__(self, dut: Any, *, stall: float = 0.0) -> None:
        self.dut, self.stall = dut, stall
        self.complete: list[int] = []
        """Cycle of each last limb."""
        dut.take.value = 0

    async def take(self) -> dict[str, int]:
        dut = self.dut
        while True:
            taking = random.random() >= self.stall
            dut.take.value = int(taking)
            await ReadOnly()
            done = bfm.unpack(done_layout(JOBS, 3), int(dut.done.value))
            assert not int(dut.inverse.value), "a limb that nobody took"
            await RisingEdge(dut.clk)
            if taking and done["valid"]:
                break
        dut.take.value = 0
        limbs = []
        for _ in range(LIMBS):
            await RisingEdge(dut.clk)
            await ReadOnly()
            limbs.append(int(dut.inverse.value))
        self.complete.append(bfm.cycle())
        await RisingEdge(dut.clk)
        return {"job": done["job"], "modulus": done["modulus"], "inverse": join(limbs)}

    async def take_all(self, count: int) -> list[dict[str, int]]:
        return [await self.take() for _ in range(count)]


@cocotb.test()
async def inverts(dut: Any) -> None:
    await bfm.start(dut)
    for stall in (0.0, 0.5, 0.99):
        requester, taker = Requester(dut, stall=min(stall, 0.9)), Taker(dut, stall=stall)
        numbers = [(k, x) for k, m in enumerate(MODULI) for x in edges(m)]
        numbers += [(k, random.randrange(MODULI[k])) for k in (0, 1, 2) for _ in range(8)]
        random.shuffle(numbers)
        todo = [{"job": i % JOBS, "modulus": k, "x": x} for i, (k, x) in enumerate(numbers)]
        task = cocotb.start_soon(requester.send_all(todo))
        clocks = 600 if stall == 0 else 1900
        results = await bfm.within(
            clocks * len(todo) + 10_000, taker.take_all(len(todo)), "inverses"
        )
        await task
        expected = {(r["job"], r["modulus"], invert(r["x"], MODULI[r["modulus"]])) for r in todo}
        assert {(r["job"], r["modulus"], r["inverse"]) for r in results} == expected
        assert await is_zero(dut)


@cocotb.test()
async def lone_inversions_take_the_same_time(dut: Any) -> None:
    await bfm.start(dut)
    requester, taker = Requester(dut), Taker(dut)
    clocks = set()
    for i in range(2 * SLOTS):
        while bfm.cycle() % SLOTS != i % SLOTS:
            await RisingEdge(dut.clk)
        x = random.choice([0, 1, MODULI[i % 3] - 1, random.randrange(MODULI[i % 3])])
        take = cocotb.start_soon(taker.take())
        await requester.send({"job": 0, "modulus": i % 3, "x": x})
        await bfm.within(20_000, take, "an inverse")
        clocks.add(taker.complete[-1] - requester.source.accepted[-1])
    assert len(clocks) == 1, clocks
    bfm.record("latency", clocks.pop())


@cocotb.test()
async def a_reset_leaves_nothing(dut: Any) -> None:
    """Nor is what is loaded at once, before the numbers are wiped, disturbed by them."""
    await bfm.start(dut)
    requester, taker = Requester(dut), Taker(dut)
    for at_once in (False, True, True, True):
        for i in range(SLOTS):
            await requester.send({"job": i, "modulus": 1, "x": random.getrandbits(255)})
        for _ in range(random.randrange(1000)):
            await RisingEdge(dut.clk)
        if not at_once:
            assert not await is_zero(dut)
        await bfm.reset(dut)
        if not at_once:
            assert await is_zero(dut)
        x = random.randrange(MODULI[2])
        await requester.send({"job": 1, "modulus": 2, "x": x})
        result = await bfm.within(20_000, taker.take(), "an inverse")
        assert result == {"job": 1, "modulus": 2, "inverse": invert(x, MODULI[2])}
        assert await is_zero(dut)
