"""Bench of the Invert station: outbox words become inverses in the inbox, and are wiped."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from amaranth.lib import data
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl.engine.contexts import inbox_layout
from intaglio.hdl.engine.isa import LIMB_BITS, LIMBS
from intaglio.hdl.field.inverter import SLOTS
from intaglio.hdl.jobs import invert_layout
from intaglio.hdl.routes import Modulus
from intaglio.hdl.stations.words import outbox_read_layout
from intaglio.params import ED25519, SECP256K1
from intaglio.sim import bfm
from intaglio.sim.limbs import split
from intaglio.sim.model.divstep import invert

MODULI = (ED25519.p, SECP256K1.p, SECP256K1.order)
JOBS = 64
_INVERTED = data.StructLayout({"job": range(JOBS)})


class Contexts:
    """Outbox words of the jobs, noise when they are not asked for; and the inboxes."""

    def __init__(self, dut: Any, *, stall: float) -> None:
        self.dut, self.stall = dut, stall
        self.outbox: dict[tuple[int, int], int] = {}
        self.inbox: dict[tuple[int, int], list[int]] = {}

    async def run(self) -> None:
        dut, under_way = self.dut, []
        while True:
            taken = [random.random() >= self.stall for _ in range(2)]
            dut.outbox_taken.value, dut.inbox_taken.value = map(int, taken)
            await ReadOnly()
            ask = bfm.unpack(outbox_read_layout(JOBS), int(dut.outbox.value))
            put = bfm.unpack(inbox_layout(JOBS), int(dut.inbox.value))
            if ask["want"] and taken[0]:
                under_way.append(split(self.outbox[ask["job"], ask["index"]])[ask["limb"]])
            found = bool(under_way) and random.random() >= self.stall
            limb = under_way.pop(0) if found else random.getrandbits(LIMB_BITS)
            if put["enable"] and taken[1]:
                word = self.inbox.setdefault((put["job"], put["index"]), [])
                assert put["limb"] == len(word)
                word.append(put["data"])
            await RisingEdge(dut.clk)
            dut.outbox_limb.value, dut.outbox_found.value = limb, int(found)


async def is_zero(dut: Any) -> bool:
    for _ in range(SLOTS + LIMBS + 4):
        await RisingEdge(dut.clk)
    await ReadOnly()
    zero = not int(dut.x.value) and not int(dut.inverse.value)
    await RisingEdge(dut.clk)
    return zero


@cocotb.test()
async def inverts(dut: Any) -> None:
    await bfm.start(dut)
    contexts = Contexts(dut, stall=0.3)
    cocotb.start_soon(contexts.run())
    for stall in (0.0, 0.5):
        contexts.stall = stall
        source = bfm.Source(dut, "jobs_in", invert_layout(JOBS), stall=stall)
        sink = bfm.Sink(dut, "inverted", _INVERTED, stall=stall)
        contexts.inbox.clear()
        todo, expected = [], {}
        for job in random.sample(range(JOBS), JOBS):
            modulus = random.choice(list(Modulus))
            m = MODULI[modulus.value]
            x = random.choice([0, 1, m - 1, *(random.randrange(m) for _ in range(9))])
            from_word, to_word = (2, 3) if modulus == Modulus.ORDER else (3, 2)
            for index in (2, 3):
                contexts.outbox[job, index] = x if index == from_word else random.getrandbits(256)
            expected[job, to_word] = split(invert(x, m))
            todo.append({"job": job, "modulus": modulus.value})
        task = cocotb.start_soon(source.send_all(todo))
        told = await bfm.within(600 * JOBS + 10_000, sink.take_all(JOBS), "inverses")
        await task
        assert sorted(each["job"] for each in told) == list(range(JOBS))
        assert contexts.inbox == expected
        assert await is_zero(dut)
