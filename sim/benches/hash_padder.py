"""Bench of Padder (SHA_BITS = 256 or 512, MAX_BYTES) against FIPS 180-4's padding."""

import os
import random
from typing import Any

import cocotb

from intaglio.hdl.hash.padder import Padder
from intaglio.hdl.hash.sha2 import words_layout
from intaglio.hdl.stream import Chunk
from intaglio.sim import bfm
from intaglio.sim.bfm.messages import chunks, padded_words

BITS = int(os.environ["SHA_BITS"])
MAX_BYTES = int(os.environ["MAX_BYTES"])
LENGTHS = [0, 1, 4, 5, 55, 56, 63, 64, 111, 112, 119, 120, 127, 128, 4095, 4096, MAX_BYTES]


async def check(dut: Any, messages: list[bytes], stall: float) -> tuple[bfm.Source, bfm.Sink]:
    source = bfm.Source(dut, "chunks", Chunk, stall=stall)
    sink = bfm.Sink(dut, "words", words_layout(BITS // 8), stall=stall)
    sent = [chunk for message in messages for chunk in chunks(message, random)]
    task = cocotb.start_soon(source.send_all(sent))
    for message in messages:
        expected = padded_words(message, BITS)
        words = await bfm.within(50 * len(expected), sink.take_all(len(expected)), "the words")
        assert words == expected, len(message)
    await task
    return source, sink


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def pads(dut: Any) -> None:
    await bfm.start(dut)
    await check(dut, [random.randbytes(n) for n in LENGTHS], 0.0)
    assert not int(dut.held.value)
    await check(dut, [random.randbytes(n) for n in random.sample(range(300), 40)], 0.4)
    assert not int(dut.held.value)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def pads_every_length_of_two_blocks(dut: Any) -> None:
    await bfm.start(dut)
    await check(dut, [random.randbytes(n) for n in range(BITS // 2 + 1)], 0.0)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def one_word_a_clock(dut: Any) -> None:
    await bfm.start(dut)
    message = random.randbytes(BITS)
    source, sink = await check(dut, [message], 0.0)
    assert sink.taken == list(range(sink.taken[0], sink.taken[0] + len(sink.taken)))
    assert sink.taken[0] - source.accepted[0] == Padder.latency


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_flight(dut: Any) -> None:
    await bfm.start(dut)
    source = bfm.Source(dut, "chunks", Chunk)
    dut.words__ready.value = 1
    for chunk in chunks(random.randbytes(100), random)[: random.randrange(1, 12)]:
        await source.send(chunk)
    await bfm.reset(dut)
    await check(dut, [random.randbytes(10)], 0.2)
