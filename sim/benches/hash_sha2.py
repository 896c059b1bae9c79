"""Bench of Sha2 (SHA_BITS = 256 or 512) against hashlib."""

import hashlib
import os
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from intaglio.hdl.hash.sha2 import Sha2, words_layout
from intaglio.sim import bfm
from intaglio.sim.bfm.messages import padded_words

BITS = int(os.environ["SHA_BITS"])
LAYOUT = words_layout(BITS // 8)
DIGEST: Callable[[bytes], Any] = {256: hashlib.sha256, 512: hashlib.sha512}[BITS]
SECRETS = [
    *(f"schedule_{i}" for i in range(16)),
    *(f"chain_{i}" for i in range(8)),
    *(f"state_{name}" for name in "abcdefgh"),
    "partial",
    "key_word",
    "sum_h",
    "sum_dh",
]


async def check(dut: Any, messages: list[bytes], stall: float) -> tuple[bfm.Source, bfm.Sink]:
    source = bfm.Source(dut, "words", LAYOUT, stall=stall)
    sink = bfm.Sink(dut, "digest", stall=stall)
    words = [word for message in messages for word in padded_words(message, BITS)]
    task = cocotb.start_soon(source.send_all(words))
    digests = await bfm.within(100 * len(words), sink.take_all(len(messages)), "the digests")
    await task
    for message, digest in zip(messages, digests, strict=True):
        assert digest.to_bytes(BITS // 8, "big") == DIGEST(message).digest(), len(message)
    return source, sink


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def digests(dut: Any) -> None:
    await bfm.start(dut)
    lengths = [0, 1, 3, 55, 56, 63, 64, 111, 112, 119, 120, 127, 128, 300]
    for stall in (0.0, 0.5):
        messages = [random.randbytes(n) for n in lengths] + [b"\xff" * 128, bytes(128), b"abc"]
        random.shuffle(messages)
        await check(dut, messages, stall)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def cycles(dut: Any) -> None:
    await bfm.start(dut)
    unit = Sha2(BITS)
    source, sink = await check(dut, [bytes(5 * BITS // 4), bytes(1)], 0.0)
    *blocks, gap = (later - sooner for sooner, later in pairwise(source.accepted[::16]))
    assert blocks == [unit.interval] * len(blocks)
    assert gap == unit.interval + 2
    assert sink.taken[-1] - source.accepted[-1] == unit.latency
    bfm.record("interval", unit.interval)
    bfm.record("latency", unit.latency)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def wiped(dut: Any) -> None:
    await bfm.start(dut)
    source = bfm.Source(dut, "words", LAYOUT)
    sink = bfm.Sink(dut, "digest")
    cocotb.start_soon(source.send_all(padded_words(random.randbytes(200), BITS)))
    await RisingEdge(dut.digest__valid)
    for name in SECRETS:
        assert int(getattr(dut, name).value), f"{name} is not where this test looks"
    await sink.take()
    await RisingEdge(dut.clk)
    await bfm.settled()
    for name in SECRETS:
        assert not int(getattr(dut, name).value), f"{name} still holds data"


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_flight(dut: Any) -> None:
    await bfm.start(dut)
    source = bfm.Source(dut, "words", LAYOUT)
    for word in padded_words(b"interrupted" * 20, BITS)[: random.randrange(1, 40)]:
        await source.send(word)
    await bfm.reset(dut)
    await check(dut, [b"after the reset"], 0.2)
