"""Bench of :class:`intaglio.hdl.pool.MessagePool` against a dictionary of byte strings.

Environment: ``PAGES``, ``READERS``, ``STALL``.
"""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import Lock, RisingEdge

from intaglio import wire
from intaglio.hdl import pool
from intaglio.hdl.stream import CHUNK_BYTES, Chunk
from intaglio.sim import bfm

PAGES = int(os.environ.get("PAGES", "40"))
READERS = int(os.environ.get("READERS", "2"))
STALL = float(os.environ.get("STALL", "0"))
LENGTHS = (1, 7, 8, 9, 127, 128, 129, 255, 256, 257, 1024, 4095, 4096)
RESET_CYCLES = 1 + PAGES * (pool.PAGE_WORDS + 4)

HEAD, MESSAGE = pool.Head(PAGES), pool.Message(PAGES)


def chunks(message: bytes, empty_tail: bool) -> list[dict[str, int]]:
    """Chunks of ``message``; with ``empty_tail`` a whole number of them ends in an empty one."""
    items = []
    for at in range(0, len(message), CHUNK_BYTES):
        part = message[at : at + CHUNK_BYTES]
        items.append({"data": int.from_bytes(part.ljust(8, b"\xee"), "big"), "count": len(part)})
    if empty_tail and len(message) % CHUNK_BYTES == 0:
        items.append({"data": random.getrandbits(64), "count": 0})
    items[-1]["last"] = 1
    return items


class Pool:
    """The unit's streams and what must be in it."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.source = bfm.Source(dut, "write", Chunk, stall=STALL)
        self.written = bfm.Sink(dut, "written", HEAD, stall=STALL)
        self.release_source = bfm.Source(dut, "release", MESSAGE, stall=STALL)
        self.asks = [bfm.Source(dut, f"read_{n}", MESSAGE, stall=STALL) for n in range(READERS)]
        self.chunks = [bfm.Sink(dut, f"data_{n}", Chunk, stall=STALL) for n in range(READERS)]

    def free_pages(self) -> int:
        return int(self.dut.free_pages.value)

    def residue(self) -> list[int]:
        """Addresses of words that are not zero."""
        memory = self.dut.words.words
        return [n for n in range(PAGES * pool.PAGE_WORDS) if int(memory[n].value)]

    async def ready(self) -> None:
        """Wait until nothing is being zeroised."""
        while not int(self.dut.idle.value):
            await RisingEdge(self.dut.clk)

    async def write(self, message: bytes) -> int:
        """Write a message; its first page."""
        head = cocotb.start_soon(self.written.take())
        await self.source.send_all(chunks(message, random.random() < 0.5))
        return int((await head)["page"])

    async def read(self, reader: int, page: int, length: int) -> bytes:
        """Read a message through ``reader``."""
        await self.asks[reader].send({"page": page, "length": length})
        message = b""
        while True:
            chunk = await self.chunks[reader].take()
            message += chunk["data"].to_bytes(8, "big")[: chunk["count"]]
            assert chunk["count"] == CHUNK_BYTES or chunk["last"]
            if chunk["last"]:
                return message

    async def release(self, page: int, length: int) -> None:
        await self.release_source.send({"page": page, "length": length})


@cocotb.test()
async def boundaries(dut: Any) -> None:
    """Every length once: written, read twice by two readers at once, released, nothing left."""
    unit = Pool(dut)
    await bfm.start(dut)
    await bfm.within(RESET_CYCLES + 4, unit.ready(), "the reset")
    assert unit.free_pages() == PAGES
    for length in LENGTHS:
        message = random.randbytes(length)
        page = await bfm.within(20000, unit.write(message), "writing")
        assert unit.free_pages() == PAGES - wire.pages(length)
        reads = [cocotb.start_soon(unit.read(n, page, length)) for n in range(READERS)]
        for read in reads:
            assert await bfm.within(40000, read, "reading") == message
        assert await bfm.within(40000, unit.read(0, page, length), "reading again") == message
        await unit.release(page, length)
        await bfm.within(2000, unit.ready(), "zeroising")
        assert unit.free_pages() == PAGES
        assert not unit.residue()


@cocotb.test()
async def interleavings(dut: Any) -> None:
    """A writer, all readers and releases at the same time, the pool mostly full."""
    unit = Pool(dut)
    await bfm.start(dut)
    await bfm.within(RESET_CYCLES + 4, unit.ready(), "the reset")
    waiting: list[tuple[int, bytes]] = []
    count = 60
    full = 0

    async def fill() -> None:
        nonlocal full
        for _ in range(count):
            message = random.randbytes(random.choice((3, 100, 128, 700, 1500)))
            while unit.free_pages() < wire.pages(len(message)):
                full += 1
                await RisingEdge(dut.clk)
            waiting.append((await unit.write(message), message))

    async def drain(reader: int) -> None:
        nonlocal done
        while done < count:
            if not waiting:
                await RisingEdge(dut.clk)
                continue
            page, message = waiting.pop(random.randrange(len(waiting)))
            done += 1
            for _ in range(2):
                assert await unit.read(reader, page, len(message)) == message
            async with lock:
                await unit.release(page, len(message))

    done = 0
    lock = Lock()
    tasks = [cocotb.start_soon(fill()), *(cocotb.start_soon(drain(n)) for n in range(READERS))]
    for task in tasks:
        await bfm.within(400_000, task, "the interleaving")
    await bfm.within(2000, unit.ready(), "zeroising")
    assert full
    assert unit.free_pages() == PAGES
    assert not unit.residue()


@cocotb.test()
async def reset_in_flight(dut: Any) -> None:
    """A reset in the middle of everything zeroises and frees every page."""
    unit = Pool(dut)
    await bfm.start(dut)
    await bfm.within(RESET_CYCLES + 4, unit.ready(), "the reset")
    page = await unit.write(random.randbytes(1000))
    tasks = [
        cocotb.start_soon(unit.read(0, page, 1000)),
        cocotb.start_soon(unit.source.send_all(chunks(random.randbytes(800), False))),
    ]
    for _ in range(60):
        await RisingEdge(dut.clk)
    assert unit.residue()
    for task in tasks:
        task.cancel()
    unit = Pool(dut)
    await bfm.reset(dut)
    assert not int(dut.idle.value)
    await bfm.within(RESET_CYCLES + 4, unit.ready(), "the reset")
    assert unit.free_pages() == PAGES
    assert not unit.residue()
    message = random.randbytes(300)
    assert await unit.read(0, await unit.write(message), 300) == message


@cocotb.test()
async def timing(dut: Any) -> None:
    """Clocks a chunk takes to read, and to write, with nothing else going on."""
    unit = Pool(dut)
    for port in (unit.source, unit.written, unit.asks[0], unit.chunks[0]):
        port.stall = 0.0
    await bfm.start(dut)
    await unit.ready()
    bfm.record("reset_cycles", bfm.cycle())
    page = await unit.write(bytes(1024))
    await unit.read(0, page, 1024)
    taken = unit.chunks[0].taken
    bfm.record("read_interval", (taken[-1] - taken[0]) / (len(taken) - 1))
    accepted = unit.source.accepted
    bfm.record("write_cycles", accepted[127] - accepted[0])
