"""Bench of the PCIe link: what is wrong is told, and harms nothing that comes after.

Environment: ``STALL``.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import cocotb
from cocotbext.pcie.core.tlp import CplStatus, Tlp

from intaglio import wire, wire_ring
from intaglio.sim import bfm
from intaglio.sim.benches.pcie_echo import TIMEOUT_CLOCKS, answer
from intaglio.sim.bfm import pcie, rings
from intaglio.sim.bfm.rings import RingHost, Sent
from intaglio.wire import Status
from intaglio.wire_ring import Body, Control, State

STALL = float(os.environ.get("STALL", "0"))
UNMAPPED = 1 << 40


async def begin(dut: Any, **options: Any) -> RingHost:
    dut.hold.value = 0
    host = await rings.start(dut, stall=STALL, **options)
    await bfm.within(200_000, host.up(), "bring-up")
    return host


async def refused(host: RingHost, one: Sent, status: Status) -> None:
    """The next completion refuses ``one``."""
    got = await bfm.within(200_000, host.take(), "a completion")
    request = wire.REQUEST.unpack(one.packet)
    assert Status(got["status"]) is status
    assert (got["version"], got["op"], got["tag"]) == (wire.VERSION, request["op"], request["tag"])
    assert (got["recid"], got["length"], got["cycles"]) == (wire.NO_RECID, 0, 0)


async def answered(host: RingHost, one: Sent) -> None:
    """The next completion is the core's answer to ``one``."""
    got = await bfm.within(200_000, host.take(), "a completion")
    assert got["reply"] == answer(one.packet)
    assert got["descriptor"] == 0


@cocotb.test()
async def bad_descriptors(dut: Any) -> None:
    """Whatever a descriptor says wrongly is refused; those around it are served."""
    host = await begin(dut)
    bad = [
        (Status.BAD_DESCRIPTOR, host.put(where=2, memory=True)),
        (Status.BAD_DESCRIPTOR, host.put(b"x", where=255)),
        (Status.BAD_DESCRIPTOR, host.put(b"y" * 32, length=33)),
        (Status.BAD_LENGTH, host.put(b"z" * 64, length=wire.MAX_MESSAGE_BYTES + 1)),
        (Status.BAD_LENGTH, host.put(b"z" * 64, length=0xFFFF)),
        *((Status.BAD_ADDRESS, host.put(b"a" * 64, address=host.base + n)) for n in (1, 4, 32)),
    ]
    good = [host.put(random.randbytes(n)) for n in (0, 10, 100)]
    none = host.put(where=Body.MEMORY, address=1, memory=True)
    await host.ring()
    for status, one in bad:
        await refused(host, one, status)
    for one in (*good, none):
        await answered(host, one)
    assert await host.read("bad_descriptors") == len(bad)
    assert await host.read("dma_errors") == 0


@cocotb.test()
async def unmapped_bodies(dut: Any) -> None:
    """Unsupported requests and completer aborts of the root complex itself."""
    host = await begin(dut)
    low = 0x7000_0000  # of the root's pool, but nothing is there: completer abort
    order = [
        (host.put(b"q" * 64, address=UNMAPPED), True),
        (host.put(b"in between"), False),
        (host.put(b"r" * 4096, address=low), True),
        (host.put(random.randbytes(4096)), False),
    ]
    await host.ring()
    for one, bad in order:
        await (refused(host, one, Status.DMA_ERROR) if bad else answered(host, one))
    assert await host.read("dma_errors") >= 2


@cocotb.test()
async def unmapped_ring(dut: Any) -> None:
    """A descriptor that cannot be fetched is answered by its count, without op and tag."""
    host = await begin(dut)
    before = host.put(b"before")
    await host.ring()
    await answered(host, before)
    host.endpoint.tamper = lambda tlp: [pcie.failed(tlp, CplStatus.UR)]
    host.put(b"never seen")
    await host.ring()
    got = await bfm.within(50_000, host.take(), "a completion")
    assert (got["status"], got["op"], got["tag"]) == (Status.DMA_ERROR, 0, 0)
    assert got["descriptor"] == 1
    host.endpoint.tamper = None
    after = host.put(b"after")
    await host.ring()
    await answered(host, after)


def _poisoned(tlp: Tlp) -> list[Any]:
    pieces = pcie.split(tlp)
    pieces[random.randrange(len(pieces))].ep = True
    return pieces


def _changed(**fields: Any) -> Callable[[Tlp], list[Any]]:
    def change(tlp: Tlp) -> list[Any]:
        for name, by in fields.items():
            setattr(tlp, name, (getattr(tlp, name) + by) & 0xFFF)
        return [tlp]

    return change


def _longer(tlp: Tlp) -> list[Any]:
    tlp.set_data(bytes(tlp.get_data()) + bytes(4))
    return [tlp]


def _stopped(tlp: Tlp) -> list[Any]:
    """The first piece, then an abort instead of the second."""
    first, *rest = pcie.split(tlp)
    return [first, *(pcie.failed(one, CplStatus.CA) for one in rest[:1])]


def _foreign(tlp: Tlp) -> list[Any]:
    tlp.requester_id = type(tlp.requester_id)(9, 0, 0)
    return [tlp]


FAULTS: dict[str, tuple[Callable[[Tlp], list[Any]], dict[str, int]]] = {
    "unsupported": (lambda tlp: [pcie.failed(tlp, CplStatus.UR)], {"dma_errors": 1}),
    "aborted": (lambda tlp: [pcie.failed(tlp, CplStatus.CA)], {"dma_errors": 1}),
    "retry": (lambda tlp: [pcie.failed(tlp, CplStatus.CRS)], {"dma_errors": 1}),
    "stopped": (_stopped, {"dma_errors": 1}),
    "poisoned": (_poisoned, {"dma_errors": 1}),
    "lost": (lambda tlp: [], {"dma_timeouts": 1}),
    "half lost": (lambda tlp: pcie.split(tlp)[:1], {"dma_timeouts": 1}),
    "foreign": (_foreign, {"dma_timeouts": 1, "tlps_malformed": 1}),
    "other tag": (_changed(tag=128), {"dma_timeouts": 1, "tlps_malformed": 1}),
    "byte count": (_changed(byte_count=-4), {"tlps_malformed": 1}),
    "lower address": (_changed(lower_address=4), {"tlps_malformed": 1}),
    "too long": (_longer, {"tlps_malformed": 1}),
    "truncated": (lambda tlp: [pcie.to_dws(tlp)[:-1]], {"dma_timeouts": 1, "tlps_malformed": 1}),
    "overlong": (
        lambda tlp: [[*pcie.to_dws(tlp), 0]],
        {"dma_timeouts": 1, "tlps_malformed": 1},
    ),
}
"""What becomes of one completion, and which counts tell of it."""


@cocotb.test()
@cocotb.parametrize(fault=list(FAULTS))
async def completion_faults(dut: Any, fault: str) -> None:
    """A read that fails fails its own request only; late data does not harm either."""
    change, told = FAULTS[fault]
    host = await begin(dut)
    harmed = host.put(random.randbytes(128))
    late: list[Tlp] = []

    def tamper(tlp: Tlp) -> list[Any]:
        if tlp.byte_count != 128 or late:
            return [tlp]
        late.append(Tlp(tlp))
        return change(tlp)

    host.endpoint.tamper = tamper
    good = [host.put(random.randbytes(n)) for n in (300, 0, 64, 32)]
    await host.ring()
    await refused(host, harmed, Status.DMA_ERROR)
    for one in good:
        await answered(host, one)
    names = ("dma_errors", "dma_timeouts", "tlps_malformed", "tlps_unsupported")
    counts = await host.counts(*names)
    assert counts == {name: told.get(name, 0) for name in names}

    host.endpoint.give(late[0])  # what was lost turns up
    await host.settled()
    assert await host.read("tlps_malformed") == counts["tlps_malformed"] + 1
    again = [host.put(random.randbytes(n)) for n in (128, 4096, 1)]
    await host.ring()
    for one in again:
        await answered(host, one)


@cocotb.test()
async def every_tag_lost(dut: Any) -> None:
    """After as many time-outs as there are tags, all of them are used again."""
    host = await begin(dut)
    host.endpoint.tamper = lambda tlp: []
    count = 20
    for _ in range(count // 10):
        for _ in range(10):
            host.put(b"nobody answers")
        await host.ring()
        for _ in range(10):
            got = await bfm.within(40 * TIMEOUT_CLOCKS, host.take(), "a completion")
            assert got["status"] == Status.DMA_ERROR
    assert await host.read("dma_timeouts") == count
    host.endpoint.tamper = None
    good = [host.put(random.randbytes(n)) for n in (4096, 10)]
    await host.ring()
    for one in good:
        await bfm.within(40 * TIMEOUT_CLOCKS, answered(host, one), "an answer")


@cocotb.test()
async def bad_counts(dut: Any) -> None:
    """Doorbells beyond the ring or backwards, and counts of what was never written."""
    host = await begin(dut)
    size = 1 << host.logs[0]
    for count in (size + 1, 1 << 31, 0xFFFFFFFF):
        await host.write("doorbell", count)
        assert await host.read("doorbell") == 0
    await host.write("completion_taken", 1)
    assert await host.read("completion_taken") == 0
    assert await host.read("bad_doorbells") == 4
    sent = [host.put(bytes([n])) for n in range(3)]
    await host.ring()
    await host.write("doorbell", 2)
    assert await host.read("doorbell") == 3
    for one in sent:
        await answered(host, one)
    await host.write("completion_taken", 2)
    assert await host.read("completion_taken") == 3
    assert await host.read("bad_doorbells") == 6
    await host.write("doorbell", 3)  # says nothing new, and nothing wrong
    assert await host.read("bad_doorbells") == 6
    assert await host.read("descriptors_taken") == 3


@cocotb.test()
async def bad_rings(dut: Any) -> None:
    """A device with a bad ring does not run, and says so; a doorbell then is counted."""
    host = await begin(dut)
    good = {
        "submission_base": host.base,
        "completion_base": host.base + host.COMPLETION,
        "submission_log2": 4,
        "completion_log2": 5,
    }
    wrong = [
        {"submission_base": 0},
        {"completion_base": 0},
        {"submission_base": host.base + 64},
        {"completion_base": host.base + 2048},
        {"submission_log2": 0},
        {"completion_log2": wire_ring.MAX_RING_LOG2 + 1},
        {"submission_log2": 1 << 8 | 4},
    ]
    for number, change in enumerate(wrong):
        await host.write("control", 0)
        for name, value in {**good, **change}.items():
            await host.write(name, value)
        await host.write("control", Control.ENABLE)
        await bfm.within(5000, host.until(State.BAD_RING), "status")
        assert not await host.read("status") & State.RUNNING
        await host.write("doorbell", 1)
        assert await host.read("bad_doorbells") == number + 1
    await host.up()
    for name in good:
        value = await host.read(name)
        await host.write(name, 0)
        assert await host.read(name) == value, "a base changed while enabled"
    one = host.put(b"well again")
    await host.ring()
    await answered(host, one)
