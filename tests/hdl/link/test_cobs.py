"""COBS against the library the host uses, and CRC-32 against zlib."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest
from amaranth.sim import Simulator
from cobs import cobs

from intaglio.hdl.link.cobs import CobsDecoder, CobsEncoder
from intaglio.hdl.link.crc32 import crc32


def _packets() -> list[bytes]:
    rng = random.Random(7)
    edges = [253, 254, 255, 256, 507, 508, 509, 510]
    ones = [b"\x01" * n for n in (1, 2, *edges)]
    mixed = [bytes(rng.choice((0, 1, 255)) for _ in range(n)) for n in (1, 2, 3, 20, 300, 600)]
    tails = [b"\x07" * n + b"\0" for n in (1, 253, 254, 255)]
    return [*ones, *mixed, *tails, b"\0", b"\0\0", b"\0" * 260, rng.randbytes(700)]


def _run(dut: Any, *benches: Any) -> None:
    sim = Simulator(dut)
    sim.add_clock(1e-8)
    for bench in benches:
        sim.add_testbench(bench)
    sim.run_until(1e-3)
    raise AssertionError("timed out")


class _Done(Exception):
    pass


def test_encoder_equals_library() -> None:
    dut = CobsEncoder()
    packets = _packets()
    rng = random.Random(3)
    want = b"".join(cobs.encode(packet) + b"\0" for packet in packets)

    async def source(ctx: Any) -> None:
        for packet in packets:
            for i, byte in enumerate(packet):
                while rng.random() < 0.1:
                    await ctx.tick()
                ctx.set(dut.i.payload, {"data": byte, "last": i == len(packet) - 1})
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)

    async def sink(ctx: Any) -> None:
        for byte in want:
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(dut.o.ready, 1)
            (got,) = await ctx.tick().sample(dut.o.payload).until(dut.o.valid)
            ctx.set(dut.o.ready, 0)
            assert got == byte
        await ctx.tick()
        assert not ctx.get(dut.busy)
        raise _Done

    with pytest.raises(_Done):
        _run(dut, source, sink)


def _decode(line: bytes) -> list[tuple[bytes, int]]:
    dut = CobsDecoder()
    frames: list[tuple[bytes, int]] = []

    async def bench(ctx: Any) -> None:
        frame = bytearray()
        for byte in line:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            if ctx.get(dut.o.valid):
                item = ctx.get(dut.o.payload)
                if item.end:
                    frames.append((bytes(frame), item.error))
                    frame.clear()
                else:
                    frame.append(item.data)
            await ctx.tick()
        raise _Done

    with pytest.raises(_Done):
        _run(dut, bench)
    return frames


def test_decoder_equals_library() -> None:
    packets = _packets()
    line = b"".join(cobs.encode(packet) + b"\0" for packet in packets)
    assert _decode(line) == [(packet, 0) for packet in packets]


def test_decoder_reports_cut_blocks() -> None:
    assert _decode(b"\x05ab\0" + b"\0" + b"\x03ab\0" + b"\xff\0" + b"\x02c\0") == [
        (b"ab", 1),
        (b"", 0),
        (b"ab", 0),
        (b"", 1),
        (b"c", 0),
    ]


def test_crc_equals_zlib() -> None:
    dut = crc32()
    rng = random.Random(5)

    async def bench(ctx: Any) -> None:
        for n in (0, 1, 4, 100):
            ctx.set(dut.valid, 0)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.valid, 1)
            data = rng.randbytes(n)
            for byte in data:
                ctx.set(dut.data, byte)
                await ctx.tick()
            assert ctx.get(dut.crc) == zlib.crc32(data)
            for byte in zlib.crc32(data).to_bytes(4, "little"):
                assert not ctx.get(dut.match_detected)
                ctx.set(dut.data, byte)
                await ctx.tick()
            assert ctx.get(dut.match_detected)
        raise _Done

    with pytest.raises(_Done):
        _run(dut, bench)
