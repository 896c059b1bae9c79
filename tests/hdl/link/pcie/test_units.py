# amaranth: UnusedElaboratable=no
"""Parts of the PCIe link alone: order, arbitration, gears, constructor errors."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, connect
from amaranth.sim import Simulator

from intaglio.hdl.link.pcie.arbiter import Arbiter
from intaglio.hdl.link.pcie.completer import Completer
from intaglio.hdl.link.pcie.crossing import Crossing, core_domain
from intaglio.hdl.link.pcie.filter import MAX_TLP_DWS, TlpFilter
from intaglio.hdl.link.pcie.gears import Narrow, Widen
from intaglio.hdl.link.pcie.interrupt import Interrupts
from intaglio.hdl.link.pcie.landing import Landing
from intaglio.hdl.link.pcie.reader import Reader
from intaglio.hdl.link.pcie.reset import Resetter

Packet = list[int]


async def _send(ctx: Any, port: Any, packets: list[Packet], rng: random.Random) -> None:
    for packet in packets:
        for place, word in enumerate(packet):
            while rng.random() < 0.3:
                await ctx.tick()
            ctx.set(port.payload, {"data": word, "last": place == len(packet) - 1})
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
            ctx.set(port.valid, 0)


async def _take(ctx: Any, port: Any, count: int, rng: random.Random) -> list[Packet]:
    packets: list[Packet] = [[]]
    while len(packets) <= count:
        ctx.set(port.ready, rng.random() < 0.7)
        _, _, valid, ready, word = await ctx.tick().sample(port.valid, port.ready, port.payload)
        if valid and ready:
            packets[-1].append(int(word.data))
            if word.last:
                packets.append([])
    return packets[:-1]


def _packets(rng: random.Random, count: int, mark: int = 0) -> list[Packet]:
    return [
        [mark << 28 | rng.getrandbits(28) for _ in range(rng.randrange(1, 9))] for _ in range(count)
    ]


def _simulate(dut: Any, *benches: Callable[[Any], Any]) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


class _Gears(Component):
    def __init__(self) -> None:
        self.narrow, self.widen = Narrow(), Widen()
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.widen, m.submodules.narrow = self.widen, self.narrow
        connect(m, self.widen.o, self.narrow.i)
        return m


@pytest.mark.parametrize("seed", range(3))
def test_gears_there_and_back(seed: int) -> None:
    rng, dut = random.Random(seed), _Gears()
    packets = _packets(rng, 30)
    got: list[Packet] = []

    async def send(ctx: Any) -> None:
        await _send(ctx, dut.widen.i, packets, random.Random(seed + 10))

    async def take(ctx: Any) -> None:
        got.extend(await _take(ctx, dut.narrow.o, len(packets), random.Random(seed + 20)))

    _simulate(dut, send, take)
    assert got == packets


def test_arbiter_mixes_no_packets() -> None:
    dut = Arbiter(3)
    sent = {n: _packets(random.Random(n), 20, mark=n) for n in range(3)}
    got: list[Packet] = []

    def sender(n: int) -> Callable[[Any], Any]:
        async def send(ctx: Any) -> None:
            await _send(ctx, getattr(dut, f"i_{n}"), sent[n], random.Random(n + 5))

        return send

    async def take(ctx: Any) -> None:
        got.extend(await _take(ctx, dut.o, 60, random.Random(9)))

    _simulate(dut, *(sender(n) for n in range(3)), take)
    for n in range(3):
        assert [packet for packet in got if packet[0] >> 28 == n] == sent[n]


def test_filter_passes_whole_tlps_only() -> None:
    rng, dut = random.Random(3), TlpFilter()
    lines, good = [], []
    for _ in range(80):
        has_data, is_long, digest = (rng.randrange(2) for _ in range(3))
        length = rng.choice((1, 2, 31, 128, 129))
        first = has_data << 30 | is_long << 29 | digest << 15 | length
        right = 3 + is_long + digest + has_data * length
        size = right if rng.random() < 0.6 else rng.randrange(1, right + 4)
        line = [first, *(rng.getrandbits(32) for _ in range(size - 1))]
        lines.append(line)
        if size == right and not (has_data and length > 128):
            good.append(line)
    got: list[Packet] = []
    malformed = 0

    async def send(ctx: Any) -> None:
        await _send(ctx, dut.i, lines, random.Random(4))

    async def take(ctx: Any) -> None:
        got.extend(await _take(ctx, dut.o, len(good), random.Random(5)))

    async def count(ctx: Any) -> None:
        nonlocal malformed
        async for _, _, bad in ctx.tick().sample(dut.malformed):
            malformed += bad

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(send)
    simulator.add_testbench(take)
    simulator.add_testbench(count, background=True)
    simulator.run()
    assert got == good
    assert malformed == len(lines) - len(good)


class _Crossed(Component):
    """A core on its own clock that gives back what it gets, inverted."""

    def __init__(self) -> None:
        self.crossing = Crossing()
        self.clock, self.reset = Signal(), Signal()
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.crossing = crossing = self.crossing
        core_domain(m, clock=self.clock, reset=self.reset)
        taken, given, stored = crossing.core_requests, crossing.core_replies, Signal(8)
        full, last = Signal(), Signal()
        m.d.comb += [
            taken.ready.eq(~full),
            given.valid.eq(full),
            given.payload.data.eq(~stored),
            given.payload.last.eq(last),
            crossing.core_busy.eq(full),
        ]
        with m.If(taken.valid & ~full):
            m.d.core += [full.eq(1), stored.eq(taken.payload.data), last.eq(taken.payload.last)]
        with m.If(full & given.ready):
            m.d.core += full.eq(0)
        return m


@pytest.mark.parametrize("period", [0.7e-8, 3.3e-8])
def test_crossing(period: float) -> None:
    """Packets come through whole in order, busy until they did, and a reset forgets them."""
    dut, rng = _Crossed(), random.Random(6)
    port = dut.crossing
    packets = [[rng.getrandbits(8) for _ in range(rng.randrange(1, 20))] for _ in range(10)]
    wanted = [[~byte & 0xFF for byte in packet] for packet in packets]
    rounds: list[list[Packet]] = []

    async def send(ctx: Any) -> None:
        for _ in range(2):
            await ctx.tick().until(~port.busy)
            await _send(ctx, port.requests, packets, random.Random(7))
            await ctx.tick().until(~port.busy)
            await _send(ctx, port.requests, [[1, 2, 3]], random.Random(8))
            assert ctx.get(port.busy)
            ctx.set(port.reset, 1)
            ctx.set(dut.reset, 1)
            await ctx.tick()
            ctx.set(port.reset, 0)
            ctx.set(dut.reset, 0)

    async def take(ctx: Any) -> None:
        for _ in range(2):
            rounds.append(await _take(ctx, port.replies, len(packets), random.Random(9)))
            ctx.set(port.replies.ready, 0)
            await ctx.tick().until(port.reset)

    async def run(ctx: Any) -> None:
        while True:
            ctx.set(dut.clock, 1 - ctx.get(dut.clock))
            await ctx.delay(period / 2)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(send)
    simulator.add_testbench(take)
    simulator.add_testbench(run, background=True)
    simulator.run()
    assert rounds == [wanted, wanted]


def test_a_reset_waits_and_may_be_held() -> None:
    dut = Resetter()
    seen = []

    async def bench(ctx: Any) -> None:
        async def clock(**pins: int) -> None:
            for name, value in pins.items():
                ctx.set(getattr(dut, name), value)
            seen.append("".join(s for s in "hcbr" if ctx.get(getattr(dut, _OUTPUTS[s]))))
            await ctx.tick()

        await clock(clean=0)  # memories are being zeroised after power-up
        await clock(clean=1)
        await clock()
        await clock(wish=1)
        await clock(wish=0, quiet=0)
        await clock(quiet=1, hold=1)
        await clock(hold=0)
        await clock(clean=0)
        await clock()
        await clock(clean=1)
        await clock()

    _simulate(dut, bench)
    assert seen == ["", "", "r", "br", "h", "h", "h", "hc", "", "", "r"]


_OUTPUTS = {"h": "halt", "c": "clear", "b": "begins", "r": "ready"}


def test_interrupts_are_told_once_and_not_too_often() -> None:
    dut = Interrupts()
    requests: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(dut.allowed, 1)
        ctx.set(dut.moderation_next, 50)
        ctx.set(dut.moderation_written, 1)
        ctx.set(dut.interrupt_next, 1)
        ctx.set(dut.interrupt_written, 1)
        await ctx.tick()
        ctx.set(dut.moderation_written, 0)
        ctx.set(dut.interrupt_written, 0)
        for now in range(400):
            if now in (10, 20, 30, 200):
                ctx.set(dut.completions, ctx.get(dut.completions) + 1)
            requested = ctx.get(dut.request)
            if requested:
                requests.append(now)
            ctx.set(dut.ack, requested)
            await ctx.tick()
            ctx.set(dut.ack, 0)

    _simulate(dut, bench)
    assert len(requests) == 3
    assert requests[0] < 15
    assert requests[1] - requests[0] >= 50
    assert 200 < requests[2] < 205


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Arbiter(0), "sources=0"),
        (lambda: Completer(3), "depth=3"),
        (lambda: Crossing(3), "depth=3"),
        (lambda: TlpFilter(MAX_TLP_DWS - 1), f"depth={MAX_TLP_DWS - 1}"),
        (lambda: Landing(slots=3), "slots=3"),
        (lambda: Landing(slots=8, words=1151), "words=1151"),
        (lambda: _reader(tags=33), "tags=33"),
        (lambda: _reader(tags=16, timeout_clocks=127), "timeout_clocks=127"),
    ],
)
def test_constructor_errors(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def _reader(*, tags: int, timeout_clocks: int = 4000) -> Reader:
    return Reader(slots=8, words=2048, first_word=128, tags=tags, timeout_clocks=timeout_clocks)
