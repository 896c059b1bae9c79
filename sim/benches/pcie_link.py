"""Bench of :class:`intaglio.sim.benches.pcie_echo.EchoLink`: descriptors, bodies, completions.

Environment: ``STALL``, the chance of idle clocks at the pins; ``HIGH``, 1 for addresses above
4 GiB.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.pcie.core.tlp import Tlp, TlpType

from intaglio import wire, wire_ring
from intaglio.sim import bfm
from intaglio.sim.benches.pcie_echo import answer
from intaglio.sim.bfm import pcie, rings
from intaglio.sim.bfm.rings import RingHost, Sent

STALL = float(os.environ.get("STALL", "0"))
HIGH = os.environ.get("HIGH", "0") == "1"

READS = (TlpType.MEM_READ, TlpType.MEM_READ_64)
WRITES = (TlpType.MEM_WRITE, TlpType.MEM_WRITE_64)


async def begin(dut: Any, **options: Any) -> RingHost:
    dut.hold.value = 0
    host = await rings.start(dut, stall=STALL, high=HIGH, **options)
    await bfm.within(200_000, host.up(), "bring-up")
    return host


async def collect(host: RingHost, sent: Iterable[Sent]) -> None:
    """Each of ``sent`` is answered, in order and rightly."""
    for number, one in enumerate(sent):
        got = await bfm.within(200_000, host.take(), f"completion {number}")
        assert got["reply"] == answer(one.packet), (number, got, one)


def read_once(host: RingHost, sent: list[Sent], first: int = 0) -> None:
    """The reads of the device cover each descriptor and each body once, and nothing else.

    No request crosses 4 KiB or what Max_Read_Request_Size allows; addresses have as many DWs as
    they should.
    """
    most = 128 << int(host.endpoint.pcie_cap.max_read_request_size)
    wanted: Counter[int] = Counter()
    size = wire_ring.DESCRIPTOR.size
    for number, one in enumerate(sent, first):
        place = host.SUBMISSION + number % (1 << host.logs[0]) * size
        wanted.update(range(host.base + place, host.base + place + size, 4))
        if one.at:
            length = len(one.packet) - wire.REQUEST.size
            wanted.update(range(host.base + one.at, host.base + one.at + length, 4))
    seen: Counter[int] = Counter()
    for tlp in host.endpoint.sent:
        if tlp.fmt_type not in READS:
            continue
        size = 4 * tlp.length
        assert size <= most
        assert tlp.address % most + size <= most, "crosses a boundary"
        assert tlp.first_be == 0xF
        assert tlp.last_be == (0xF if tlp.length > 1 else 0)
        assert (tlp.fmt_type is TlpType.MEM_READ_64) == (tlp.address >= 1 << 32)
        seen.update(range(tlp.address, tlp.address + size, 4))
    assert seen == wanted


def written_once(host: RingHost, count: int) -> None:
    """Completions went out in order, each in one write of a whole entry."""
    writes = [tlp for tlp in host.endpoint.sent if tlp.fmt_type in WRITES]
    entries = [
        host.base + host.COMPLETION + n % (1 << host.logs[1]) * wire_ring.COMPLETION.size
        for n in range(count)
    ]
    assert [tlp.address for tlp in writes] == entries
    for tlp in writes:
        assert 4 * tlp.length == wire_ring.COMPLETION.size
        assert (tlp.first_be, tlp.last_be) == (0xF, 0xF)


@cocotb.test()
async def bodies_of_all_lengths(dut: Any) -> None:
    """Inline and by reference, on either side of every limit; read once, written once."""
    host = await begin(dut)
    lengths = [0, 1, 3, 4, 31, 32, 33, 63, 64, 65, 127, 128, 500, 4093, 4095, 4096]
    sent = [host.put(random.randbytes(n), slot=random.randrange(90)) for n in lengths]
    await host.ring()
    await collect(host, sent)
    read_once(host, sent)
    written_once(host, len(sent))
    counts = await host.counts("descriptors_taken", "completions", "dma_errors", "tlps_malformed")
    assert list(counts.values()) == [len(sent), len(sent), 0, 0]


@cocotb.test()
@cocotb.parametrize(
    (
        ("read_request", "payload", "boundary_128"),
        [(0, 0, False), (1, 2, True), (3, 1, False), (5, 2, True)],
    )
)
async def every_geometry(dut: Any, read_request: int, payload: int, boundary_128: bool) -> None:
    """Read requests of 128 to 4096 bytes; completions split wherever they may be."""
    host = await begin(
        dut, max_read_request=read_request, max_payload=payload, boundary_128=boundary_128
    )
    host.root.split_on_all_rcb = True
    host.place(bytes(64 * random.randrange(1, 64)))
    sent = [host.put(random.randbytes(n)) for n in (4096, 130, 1000, 64)]
    await host.ring()
    await collect(host, sent)
    read_once(host, sent)


class Shuffler:
    """Completions in pieces, those of different requests in any order, some time later."""

    def __init__(self, host: RingHost, keep: int) -> None:
        self.host, self.keep, self.waiting = host, keep, []

    def __call__(self, tlp: Tlp) -> list[Tlp]:
        self.waiting += pcie.split(tlp, random.choice((64, 128)))
        return [self.pop() for _ in range(max(0, len(self.waiting) - self.keep))]

    def pop(self) -> Tlp:
        """One of those that are the first of their request."""
        firsts = {one.tag: one for one in reversed(self.waiting)}
        chosen = random.choice(list(firsts.values()))
        self.waiting.remove(chosen)
        return chosen

    async def trickle(self) -> None:
        """Let one go now and then, so that all arrive in the end."""
        while True:
            await ClockCycles(self.host.dut.clk, 40)
            if self.waiting:
                self.host.endpoint.give(self.pop())


@cocotb.test()
async def any_order(dut: Any) -> None:
    """Completions of requests in flight overtake each other, whole or in part."""
    host = await begin(dut, max_read_request=1)
    shuffler = Shuffler(host, keep=9)
    host.endpoint.tamper = shuffler
    trickling = cocotb.start_soon(shuffler.trickle())
    sent = []
    for _ in range(4):
        batch = [
            host.put(random.randbytes(random.choice((20, 64, 200, 700, 1500))))
            for _ in range(random.randrange(1, 9))
        ]
        await host.ring()
        await collect(host, batch)
        sent += batch
    trickling.cancel()
    read_once(host, sent)
    import sys

    sys.path.insert(0, "/tmp")

    assert (await host.counts("tlps_malformed", "dma_errors")) == {
        "tlps_malformed": 0,
        "dma_errors": 0,
    }


@cocotb.test()
async def rings_go_round(dut: Any) -> None:
    """Many more requests than either ring or the device's memory has places."""
    host = await begin(dut, submission_log2=2, completion_log2=1)
    done = 0
    while done < 50:
        room = (1 << host.logs[0]) - random.randrange(3)
        batch = [
            host.put(random.randbytes(random.choice((0, 32, 90, 1000, 3000)))) for _ in range(room)
        ]
        await host.ring()
        await collect(host, batch)
        done += len(batch)
    written_once(host, done)
    assert await host.read("completions") == done


@cocotb.test()
async def memory_changes_in_mid_job(dut: Any) -> None:
    """What is signed is what was there when it was fetched, and it is fetched once."""
    host = await begin(dut)
    dut.hold.value = 1
    sent = [host.put(random.randbytes(n)) for n in (1500, 16, 64, 2000)]
    await host.ring()
    await bfm.within(20_000, _fetched(host, len(sent)), "fetching")
    host.memory.write(host.SUBMISSION, random.randbytes(64 * len(sent)))
    for one in sent:
        if one.at:
            host.memory.write(one.at, random.randbytes(len(one.packet)))
    dut.hold.value = 0
    await collect(host, sent)
    read_once(host, sent)


async def _fetched(host: RingHost, count: int) -> None:
    while await host.read("descriptors_taken") != count:
        pass
    await host.settled(2000)
