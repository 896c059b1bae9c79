"""Bench of :class:`intaglio.hdl.link.serial.SerialLink` through its pins, on a line that errs.

Environment: ``CLOCKS_PER_BIT``.
"""

from __future__ import annotations

import os
import random
import zlib
from typing import Any

import cocotb
from cobs import cobs
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge, Timer

from intaglio import wire
from intaglio.hdl.stream import Packet
from intaglio.sim import bfm

CLOCKS_PER_BIT = int(os.environ.get("CLOCKS_PER_BIT", "4"))
BIT_NS = CLOCKS_PER_BIT * bfm.CLOCK_NS
WORD = Packet(8)


def frame(payload: bytes) -> bytes:
    crc = zlib.crc32(payload).to_bytes(wire.CRC_BYTES, "little")
    return cobs.encode(payload + crc) + b"\0"


def unframe(line: bytes) -> tuple[list[bytes], int]:
    """Payloads of the good frames in ``line``, and how many others there are."""
    packets, bad = [], 0
    for part in filter(None, line.split(b"\0")[:-1]):
        try:
            whole = cobs.decode(part)
        except cobs.DecodeError:
            bad += 1
            continue
        payload, crc = whole[: -wire.CRC_BYTES], whole[-wire.CRC_BYTES :]
        right = zlib.crc32(payload).to_bytes(wire.CRC_BYTES, "little") == crc
        if right and wire.REQUEST.size <= len(payload) <= wire.MAX_REQUEST_BYTES:
            packets.append(payload)
        elif whole:
            bad += 1
    return packets, bad


class Link:
    """The unit, its far end, and counts of its pulses."""

    def __init__(self, dut: Any, stall: float) -> None:
        self.dut = dut
        self.requests = bfm.Sink(dut, "requests", WORD, stall=stall)
        self.replies = bfm.Source(dut, "replies", WORD, stall=stall)
        self.counts = {"good": 0, "bad": 0}
        self.received = bytearray()
        dut.rx.value = 1

    async def start(self) -> None:
        await bfm.start(self.dut)
        for name in self.counts:
            cocotb.start_soon(self._count(name))
        cocotb.start_soon(self._receive())

    async def _count(self, name: str) -> None:
        while True:
            await RisingEdge(getattr(self.dut, name))
            self.counts[name] += 1
            await RisingEdge(self.dut.clk)
            await ReadOnly()
            assert not int(getattr(self.dut, name).value), f"{name} is longer than a clock"

    async def _receive(self) -> None:
        while True:
            await FallingEdge(self.dut.tx)
            await Timer(BIT_NS // 2, "ns")
            byte = 0
            for bit in range(8):
                await Timer(BIT_NS, "ns")
                byte |= int(self.dut.tx.value) << bit
            await Timer(BIT_NS, "ns")
            assert int(self.dut.tx.value) == 1
            self.received.append(byte)

    async def send(self, line: bytes, lost: frozenset[int] = frozenset()) -> None:
        """Bytes onto the line; those at the places ``lost`` with a low stop bit."""
        for place, byte in enumerate(line):
            bits = [0, *(byte >> i & 1 for i in range(8)), int(place not in lost)]
            for level in [*bits, 1] if place in lost else bits:
                self.dut.rx.value = level
                await Timer(BIT_NS, "ns")

    async def take(self) -> bytes:
        packet = bytearray()
        while True:
            word = await self.requests.take()
            packet.append(word["data"])
            if word["last"]:
                return bytes(packet)

    async def reply(self, packet: bytes) -> None:
        for place, byte in enumerate(packet):
            await self.replies.send({"data": byte, "last": int(place == len(packet) - 1)})

    async def quiet(self) -> None:
        await ReadOnly()
        while int(self.dut.busy.value):
            await FallingEdge(self.dut.busy)
            await ReadOnly()
        await RisingEdge(self.dut.clk)


def damaged(line: bytes) -> bytes:
    """``line`` with a bit turned, or a byte gone, doubled or made a delimiter; or cut."""
    place = random.randrange(len(line))
    head, byte, tail = line[:place], line[place : place + 1], line[place + 1 :]
    turned = bytes([byte[0] ^ 1 << random.randrange(8)])
    return random.choice(
        [head + turned + tail, head + tail, head + byte + byte + tail, head + b"\0" + tail, head]
    )


@cocotb.test()
async def both_ways(dut: Any) -> None:
    """Longest and shortest requests in, replies out at the same time, nothing lost."""
    link = Link(dut, 0.2)
    await link.start()
    lengths = (wire.REQUEST.size, wire.MAX_REQUEST_BYTES, 44, 300)
    requests = [random.randbytes(n) for n in lengths]
    replies = [random.randbytes(wire.MAX_REPLY_BYTES) for _ in range(20)]
    sending = cocotb.start_soon(link.send(b"".join(map(frame, requests))))

    async def answer() -> None:
        for reply in replies:
            await link.reply(reply)

    answering = cocotb.start_soon(answer())
    for request in requests:
        assert await bfm.within(400_000, link.take(), "a request") == request
    await sending
    await answering
    await bfm.within(200_000, link.quiet(), "the link's work")
    assert bytes(link.received) == b"".join(map(frame, replies))
    assert link.counts == {"good": len(requests), "bad": 0}


@cocotb.test()
async def bad_line(dut: Any) -> None:
    """What comes out of a line that errs is what a frame decoder in Python finds on it."""
    link = Link(dut, 0.1)
    await link.start()
    line = b""
    for _ in range(60):
        whole = frame(random.randbytes(random.randrange(wire.REQUEST.size, 40)))
        line += damaged(whole) if random.random() < 0.5 else whole
    line += b"\0" + frame(b"the last request")
    packets, bad = unframe(line)
    assert bad > 10
    sending = cocotb.start_soon(link.send(line))
    for packet in packets:
        assert await bfm.within(200_000, link.take(), "a request") == packet
    await sending
    await bfm.within(50_000, link.quiet(), "the link's work")
    assert link.counts == {"good": len(packets), "bad": bad}


@cocotb.test()
async def lost_stop_bits(dut: Any) -> None:
    """A byte with a low stop bit spoils its frame and no other."""
    link = Link(dut, 0.0)
    await link.start()
    for place in (0, 5, 15):
        await link.send(frame(b"a request like any other"), frozenset({place}))
        await link.send(frame(b"the one behind it"))
        assert await bfm.within(20_000, link.take(), "a request") == b"the one behind it"
    await bfm.within(20_000, link.quiet(), "the link's work")
    assert link.counts == {"good": 3, "bad": 3}


@cocotb.test()
async def reset_in_flight(dut: Any) -> None:
    """After a reset inside a frame the next whole frame comes out."""
    link = Link(dut, 0.0)
    await link.start()
    await link.send(frame(b"cut by the reset")[:9])
    await bfm.reset(dut)
    await link.send(b"\0" + frame(b"after the reset"))
    assert await bfm.within(20_000, link.take(), "a request") == b"after the reset"
