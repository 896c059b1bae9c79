"""Bench of Rfc6979 (ORDER, decimal) against the model; records cycles by refused candidates."""

import json
import os
import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from intaglio.hdl.hash.rfc6979 import Place, Request, Result, blocks, latency
from intaglio.sim import bfm
from intaglio.sim.model.rfc6979 import nonce

ORDER = int(os.environ["ORDER"])
COUNT = int(os.environ["COUNT"])
WORDS = 8
"""Of a result."""
VECTORS = json.loads(os.environ.get("VECTORS", "[]"))
"""Published (x, h1, k) in hex."""

EDGES = [
    (x % ORDER or 1, h1)
    for x in (1, ORDER - 1)
    for h1 in (0, 1, ORDER - 1, ORDER, ORDER + 1, (1 << 256) - 1)
    if h1 < 1 << 256
]


def stored(generator: Any) -> list[int]:
    """Words of the generator's store."""
    return [int(generator.store[i].value) for i in range(len(generator.store))]


async def check(dut: Any, requests: list[tuple[int, int]], stall: float) -> list[tuple[int, int]]:
    """Compare each nonce; (refused candidates, cycles) of each."""
    source = bfm.Source(dut, "request", Request, stall=stall)
    sink = bfm.Sink(dut, "result", Result, stall=stall)
    sending = cocotb.start_soon(source.send_all({"x": x, "h1": h1} for x, h1 in requests))
    refusals = []
    for x, h1 in requests:
        k, refused = nonce(ORDER, x, h1)
        cycles = latency(ORDER) * (refused + 1) + 200
        words = [await bfm.within(cycles, sink.take(), "the nonce") for _ in range(WORDS)]
        assert [word["last"] for word in words] == [0] * (WORDS - 1) + [1]
        value = sum(word["word"] << 32 * i for i, word in enumerate(words))
        assert value >> (256 - ORDER.bit_length()) == k, (x, h1, refused)
        refusals.append(refused)
    await sending
    offered = [cycle + 1 for cycle in sink.offered[::WORDS]]
    return [
        (refused, end - start)
        for refused, start, end in zip(refusals, source.accepted, offered, strict=True)
    ]


def anything() -> tuple[int, int]:
    return random.randrange(1, ORDER), random.getrandbits(256)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def nonces(dut: Any) -> None:
    await bfm.start(dut)
    vectors = [(int(x, 16), int(h1, 16)) for x, h1, _ in VECTORS]
    assert [nonce(ORDER, *v)[0] for v in vectors] == [int(k, 16) for _, _, k in VECTORS]
    measured = await check(dut, [*vectors, *EDGES, *(anything() for _ in range(COUNT))], 0.5)
    by_refused: dict[int, set[int]] = {}
    for refused, cycles in measured:
        by_refused.setdefault(refused, set()).add(cycles)
    for refused, cycles in by_refused.items():
        assert len(cycles) == 1, f"{refused} refused candidates took {sorted(cycles)} cycles"
    assert by_refused[0] == {latency(ORDER)}
    bfm.record("cycles", {refused: cycles.pop() for refused, cycles in by_refused.items()})
    bfm.record("blocks", blocks(ORDER))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def wiped(dut: Any) -> None:
    await bfm.start(dut)
    source = bfm.Source(dut, "request", Request)
    sink = bfm.Sink(dut, "result", Result)
    x, h1 = anything()
    await source.send({"x": x, "h1": h1})
    await RisingEdge(dut.result__valid)
    held = stored(dut.generator)[: Place.SEED.value]
    assert all(held), f"this is not where the words are: {held}"
    for _ in range(WORDS):
        await sink.take()
    for _ in range(len(dut.generator.store) + 2):
        await RisingEdge(dut.clk)
    assert not any(stored(dut.generator))
    assert not any(int(getattr(dut.sha, f"chain_{i}").value) for i in range(8))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_flight(dut: Any) -> None:
    await bfm.start(dut)
    source = bfm.Source(dut, "request", Request)
    x, h1 = anything()
    await source.send({"x": x, "h1": h1})
    for _ in range(random.randrange(latency(ORDER))):
        await RisingEdge(dut.clk)
    await bfm.reset(dut)
    for _ in range(len(dut.generator.store)):
        assert not int(dut.request__ready.value)
        await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    assert not any(stored(dut.generator)), "the store survives a reset"
    await check(dut, [anything()], 0.0)
