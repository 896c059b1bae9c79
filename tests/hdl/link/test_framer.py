# amaranth: UnusedElaboratable=no
"""Frames: only whole ones come out, whatever the line does, and nothing stays in the store."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable
from typing import Any

import pytest
from amaranth.hdl import Fragment
from amaranth.lib import memory
from amaranth.sim import Simulator
from cobs import cobs

from intaglio.hdl.link.framer import Deframer, Framer
from intaglio.hdl.link.store import PacketStore


def _frame(payload: bytes, crc_xor: int = 0) -> bytes:
    crc = zlib.crc32(payload) ^ crc_xor
    return cobs.encode(payload + crc.to_bytes(4, "little")) + b"\0"


def _ring(dut: Deframer) -> tuple[Any, memory.MemoryData]:
    """The elaborated deframer and the contents of its store, for the simulator."""
    found: list[memory.MemoryData] = []
    original = PacketStore.elaborate

    def elaborate(self: PacketStore, platform: Any) -> Any:
        module = original(self, platform)
        found.append(module.submodules.ring_0.data)
        return module

    PacketStore.elaborate = elaborate  # type: ignore[method-assign]
    try:
        fragment = Fragment.get(dut, None)
    finally:
        PacketStore.elaborate = original  # type: ignore[method-assign]
    return fragment, found[0]


class _Run:
    """Feeds ``line`` into a deframer, a byte every ``gap`` clocks, and collects what comes out.

    An item of ``line`` that is None is a byte lost by the UART. ``hold`` clocks pass before the
    first read.
    """

    def __init__(
        self,
        line: Iterable[int | None],
        *,
        gap: int = 2,
        hold: int = 0,
        seed: int = 1,
        **sizes: int,
    ) -> None:
        self.dut = Deframer(**{"min_bytes": 2, "max_bytes": 40, "depth": 90, **sizes})
        self.packets: list[bytes] = []
        self.good = self.bad = 0
        self.rng = random.Random(seed)
        fragment, self.ring = _ring(self.dut)
        self.finished = False

        async def source(ctx: Any) -> None:
            for byte in line:
                ctx.set(self.dut.damaged, byte is None)
                ctx.set(self.dut.i.valid, byte is not None)
                ctx.set(self.dut.i.payload, byte or 0)
                self.count(ctx)
                await ctx.tick()
                ctx.set(self.dut.i.valid, 0)
                ctx.set(self.dut.damaged, 0)
                for _ in range(gap - 1):
                    self.count(ctx)
                    await ctx.tick()
            for _ in range(self.dut.latency):
                self.count(ctx)
                await ctx.tick()
            await ctx.tick().until(~self.dut.busy)
            self.residue = [ctx.get(self.ring[i]).as_bits() for i in range(self.dut.depth)]
            self.finished = True

        async def sink(ctx: Any) -> None:
            for _ in range(hold):
                await ctx.tick()
            packet = bytearray()
            while True:
                ctx.set(self.dut.o.ready, self.rng.random() < 0.7)
                _, _, valid, ready, word = await ctx.tick().sample(
                    self.dut.o.valid, self.dut.o.ready, self.dut.o.payload
                )
                if valid and ready:
                    packet.append(word.data)
                    if word.last:
                        self.packets.append(bytes(packet))
                        packet.clear()

        sim = Simulator(fragment)
        sim.add_clock(1e-8)
        sim.add_testbench(source)
        sim.add_testbench(sink, background=True)
        sim.run()
        assert self.finished
        assert not any(self.residue)

    def count(self, ctx: Any) -> None:
        self.good += ctx.get(self.dut.good)
        self.bad += ctx.get(self.dut.bad)


def test_good_frames() -> None:
    rng = random.Random(2)
    packets = [rng.randbytes(n) for n in (2, 3, 39, 40, 17)] + [bytes(8), b"\xff" * 30]
    run = _Run(b"\0\0" + b"".join(map(_frame, packets)) + b"\0\0")
    assert run.packets == packets
    assert (run.good, run.bad) == (len(packets), 0)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(_frame(b"abcdef", crc_xor=1 << 31), id="crc"),
        pytest.param(_frame(b"a"), id="too short"),
        pytest.param(_frame(b""), id="empty with a right crc"),
        pytest.param(_frame(b"x" * 41), id="one byte too long"),
        pytest.param(_frame(b"x" * 200), id="longer than the store"),
        pytest.param(_frame(b"abcdef")[:-3] + b"\0", id="cut"),
        pytest.param(b"\x05\0", id="code byte only"),
        pytest.param([*_frame(b"abcdef")[:3], None, *_frame(b"abcdef")[4:]], id="lost byte"),
        pytest.param([*_frame(b"abcdef")[:3], None, *_frame(b"abcdef")[3:]], id="extra damage"),
        pytest.param([None, 0], id="noise between frames"),
    ],
)
def test_broken_frame_never_comes_out(broken: Iterable[int | None]) -> None:
    run = _Run([*_frame(b"before"), *broken, *_frame(b"after")])
    assert run.packets == [b"before", b"after"]
    assert (run.good, run.bad) == (2, 1)


def test_every_flipped_bit_is_caught() -> None:
    frame = _frame(b"\x00\x01\x00payload")
    line: list[int] = []
    for bit in range(8 * len(frame)):
        broken = bytearray(frame)
        broken[bit // 8] ^= 1 << bit % 8
        line += broken
    run = _Run([*line, 0, *_frame(b"after")])
    assert run.packets == [b"after"]


def test_overflow_drops_whole_frames() -> None:
    packets = [bytes([i]) * 40 for i in range(5)]
    run = _Run(b"".join(map(_frame, packets)) + bytes(300), hold=900)
    assert run.packets == packets[:2]
    assert (run.good, run.bad) == (2, 3)


@pytest.mark.parametrize("seed", range(4))
def test_random_line(seed: int) -> None:
    rng = random.Random(seed)
    want: list[bytes] = []
    line = bytearray()
    bad = 0
    for _ in range(60):
        payload = bytes(rng.choice((0, 1, 77)) for _ in range(rng.randrange(2, 41)))
        if rng.random() < 0.3:
            bad += 1
            line += _frame(payload, crc_xor=rng.randrange(1, 1 << 32))
        else:
            want.append(payload)
            line += _frame(payload)
    run = _Run(line, gap=3, seed=seed)
    assert run.packets == want
    assert (run.good, run.bad) == (len(want), bad)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"min_bytes": 0}, "min_bytes=0"),
        ({"min_bytes": 9, "max_bytes": 8}, "min_bytes=9"),
        ({"max_bytes": 40, "depth": 79}, "depth=79"),
    ],
)
def test_constructor_errors(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Deframer(**{"min_bytes": 2, "max_bytes": 40, "depth": 90, **sizes})
    with pytest.raises(ValueError, match="depth=1"):
        PacketStore(1)


def test_framer_equals_host_frames() -> None:
    dut = Framer()
    rng = random.Random(4)
    packets = [rng.randbytes(n) for n in (1, 12, 88, 92, 254, 400)] + [bytes(5), b"\xff"]
    want = b"".join(map(_frame, packets))
    got = bytearray()

    async def source(ctx: Any) -> None:
        for packet in packets:
            for i, byte in enumerate(packet):
                while rng.random() < 0.2:
                    await ctx.tick()
                ctx.set(dut.i.payload, {"data": byte, "last": i == len(packet) - 1})
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)

    async def sink(ctx: Any) -> None:
        for _ in want:
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(dut.o.ready, 1)
            byte, busy = await ctx.tick().sample(dut.o.payload, dut.busy).until(dut.o.valid)
            ctx.set(dut.o.ready, 0)
            assert busy
            got.append(byte)
        await ctx.tick()
        assert not ctx.get(dut.busy)

    sim = Simulator(dut)
    sim.add_clock(1e-8)
    sim.add_testbench(source)
    sim.add_testbench(sink)
    sim.run()
    assert bytes(got) == want
