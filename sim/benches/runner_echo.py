"""Bench of a registered stream stage: shows that benches run, record, fail and time out."""

from __future__ import annotations

import os
import random

import cocotb

from intaglio.sim import bfm

WORDS = 200


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def echoes(dut: object) -> None:
    source = bfm.Source(dut, "i", stall=0.3)
    sink = bfm.Sink(dut, "o", stall=0.3)
    await bfm.start(dut)
    sent = [random.getrandbits(8) for _ in range(WORDS)]
    task = cocotb.start_soon(source.send_all(sent))
    received = await bfm.within(20 * WORDS, sink.take_all(WORDS), "the echo")
    await task
    wrong = int(os.environ.get("WRONG", "0"))
    assert received == [word ^ wrong for word in sent]
    bfm.record("first", received[0])


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def times_out(dut: object) -> None:
    sink = bfm.Sink(dut, "o")
    await bfm.start(dut)
    try:
        await bfm.within(50, sink.take(), "an item nobody sent")
    except AssertionError as error:
        assert "50 cycles" in str(error)  # noqa: PT017 - cocotb, not pytest, runs this
    else:
        raise AssertionError("the time-out did not come")
