"""Bench of the PCIe link: accesses to BAR 0, and TLPs of every kind.

Environment: ``STALL``.
"""

from __future__ import annotations

import os
import random
import struct
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.pcie.core.tlp import CplStatus, Tlp, TlpType

from intaglio import wire, wire_ring
from intaglio.sim import bfm
from intaglio.sim.benches import pcie_echo
from intaglio.sim.benches.pcie_bad import answered, begin
from intaglio.sim.bfm.rings import RingHost
from intaglio.wire_ring import Access

STALL = float(os.environ.get("STALL", "0"))
SCRATCH = wire_ring.BY_NAME["submission_base"].offset
"""A register of 8 bytes that holds whatever is written while the device is not enabled."""


@cocotb.test()
async def the_whole_bar(dut: Any) -> None:
    """Identity, protocol version and zeros where nothing is; in one read of 4 KiB."""
    host = await begin(dut)
    await host.write("control", 0)
    bar = bytes(await bfm.within(50_000, host.bar.read(0, wire_ring.BAR_BYTES), "a read"))
    known = set(range(wire.IDENTITY.size))
    assert bar[: wire.IDENTITY.size] == pcie_echo.IDENTITY
    for register in wire_ring.REGISTERS:
        here = range(register.offset, register.offset + register.size)
        known.update(here)
        value = int.from_bytes(bar[here.start : here.stop], "little")
        assert value == await host.read(register.name)
    assert not any(byte for place, byte in enumerate(bar) if place not in known)
    assert await host.read("protocol") == wire.VERSION
    completions = [tlp for tlp in host.endpoint.sent if tlp.fmt_type is TlpType.CPL_DATA]
    longest = max(tlp.length for tlp in completions)
    assert 4 * longest == 128, "a completion ends where the standard lets it be split"


@cocotb.test()
async def byte_enables(dut: Any) -> None:
    """Every part of 8 bytes, written and read, by as few accesses as the root complex makes."""
    host = await begin(dut)
    await host.write("control", 0)
    expected = bytearray(8)
    await host.bar.write(SCRATCH, bytes(expected))
    for offset in range(8):
        for size in range(1, 9 - offset):
            data = random.randbytes(size)
            await host.bar.write(SCRATCH + offset, data)
            expected[offset : offset + size] = data
            assert bytes(await host.bar.read(SCRATCH, 8)) == expected
            part = bytes(await host.bar.read(SCRATCH + offset, size))
            assert part == expected[offset : offset + size]


@cocotb.test()
async def read_only(dut: Any) -> None:
    """Writing the whole BAR changes nothing that is not writable, and no doorbell is taken."""
    host = await begin(dut)
    await host.write("control", 0)
    readable = [r.name for r in wire_ring.REGISTERS if r.access is Access.READ]
    readable = [name for name in readable if name not in ("bad_doorbells", "status")]
    before = await host.counts(*readable)
    end = wire_ring.BY_NAME["control"].offset
    await host.bar.write(0, b"\xff" * end)
    await host.bar.write(0x100, b"\xff" * 256)
    assert await host.counts(*readable) == before
    assert bytes(await host.bar.read(0, wire.IDENTITY.size)) == pcie_echo.IDENTITY


def header(kind: TlpType, length: int, *rest: int, **bits: int) -> list[int]:
    """DWs of a header; ``bits`` are those of the first DW above the length."""
    fmt, code = kind.value
    first = int(fmt) << 29 | code << 24 | length & 0x3FF
    places = {"tc": 20, "ido": 18, "td": 15, "ep": 14, "attr": 12}
    for name, value in bits.items():
        first |= value << places[name]
    return [first, *rest]


class Raw:
    """TLPs of any shape, given to the function behind the root complex's back."""

    REQUESTER = 0x0012

    def __init__(self, host: RingHost) -> None:
        self.host = host
        self.answers: list[Tlp] = []
        endpoint = host.endpoint
        forward = endpoint.send

        async def send(tlp: Tlp) -> None:
            if tlp.is_completion() and int(tlp.requester_id) == self.REQUESTER:
                self.answers.append(tlp)
            else:
                await forward(tlp)

        endpoint.send = send

    async def ask(self, dws: list[int]) -> Tlp | None:
        """Give a TLP; the completion that comes for it, if any does."""
        self.answers.clear()
        self.host.endpoint.give(dws)
        await ClockCycles(self.host.dut.clk, 300)
        assert len(self.answers) <= 1
        return self.answers[0] if self.answers else None


@cocotb.test()
async def reads_of_every_shape(dut: Any) -> None:
    """Byte counts, lower addresses, attributes and tags of completions, down to no byte at all."""
    host = await begin(dut)
    await host.write("control", 0)
    raw = Raw(host)
    content = random.randbytes(8)
    await host.bar.write(SCRATCH, content)
    await host.settled()
    for first_be in range(16):
        for kind in (TlpType.MEM_READ, TlpType.MEM_READ_64):
            tag, attr = random.randrange(256), random.randrange(4)
            address = [SCRATCH] if kind is TlpType.MEM_READ else [0x77, 0x1000 + SCRATCH]
            second = raw.REQUESTER << 16 | tag << 8 | first_be
            dws = header(kind, 1, second, *address, attr=attr, tc=3, ido=1)
            got = await raw.ask(dws)
            assert got is not None
            assert (got.status, got.tag, got.tc, got.length) == (CplStatus.SC, tag, 3, 1)
            assert got.attr == attr | 4
            enabled = [n for n in range(4) if first_be >> n & 1] or [0]
            assert got.byte_count == enabled[-1] - enabled[0] + 1
            assert got.lower_address == (SCRATCH + enabled[0]) & 0x7F
            assert bytes(got.get_data()) == content[:4]
    two = header(TlpType.MEM_READ, 2, raw.REQUESTER << 16 | 0x3C, SCRATCH, td=1)
    got = await raw.ask([*two, 0xDEADBEEF])
    assert got is not None
    assert (got.byte_count, got.lower_address, got.length) == (4, (SCRATCH + 2) & 0x7F, 2)


UNSERVED = {
    TlpType.IO_READ: 0,
    TlpType.IO_WRITE: 1,
    TlpType.CFG_READ_1: 0,
    TlpType.CFG_WRITE_1: 1,
    TlpType.MEM_READ_LOCKED: 0,
    TlpType.MEM_READ_LOCKED_64: 0,
    TlpType.FETCH_ADD: 1,
    TlpType.SWAP_64: 2,
    TlpType.CAS: 2,
}
"""Requests that are not for this function, and the DWs of their payload."""


@cocotb.test()
async def unsupported(dut: Any) -> None:
    """What awaits an answer and is not served gets Unsupported Request; messages get nothing."""
    host = await begin(dut)
    raw = Raw(host)
    for number, (kind, payload) in enumerate(UNSERVED.items(), 1):
        address = [0, SCRATCH] if int(kind.value[0]) & 1 else [SCRATCH]
        second = raw.REQUESTER << 16 | number << 8 | 0xF
        dws = header(kind, payload or 1, second, *address)
        got = await raw.ask([*dws, *[0xFFFFFFFF] * payload])
        assert got is not None, kind
        assert (got.status, got.tag, got.length) == (CplStatus.UR, number, 0)
        locked = kind in (TlpType.MEM_READ_LOCKED, TlpType.MEM_READ_LOCKED_64)
        assert got.fmt_type is (TlpType.CPL_LOCKED if locked else TlpType.CPL)
        assert await host.read("tlps_unsupported") == number
    told = len(UNSERVED)
    for kind in (TlpType.MSG_BCAST, TlpType.MSG_DATA_TO_RC):
        payload = [1] if int(kind.value[0]) & 2 else []
        assert await raw.ask([*header(kind, len(payload), 0x19, 0, 0), *payload]) is None
    assert await host.read("tlps_unsupported") == told
    assert await raw.ask([0x1B000000, 0, 0]) is None  # a type that no standard knows
    poisoned = header(TlpType.MEM_WRITE, 1, 0xF, wire_ring.BY_NAME["doorbell"].offset, ep=1)
    assert await raw.ask([*poisoned, 0x01000000]) is None
    assert await host.read("tlps_unsupported") == told + 2
    assert await host.read("doorbell") == 0
    one = host.put(b"still there")
    await host.ring()
    await answered(host, one)


@cocotb.test()
async def malformed(dut: Any) -> None:
    """TLPs that are not as long as they say are dropped whole, whatever they would have done."""
    host = await begin(dut)
    raw = Raw(host)
    doorbell = wire_ring.BY_NAME["doorbell"].offset
    write = [*header(TlpType.MEM_WRITE, 1, 0xF, doorbell), 0x01000000]
    long_write = [*header(TlpType.MEM_WRITE, 2, 0xFF, doorbell), 0x01000000]
    read = header(TlpType.MEM_READ, 1, raw.REQUESTER << 16 | 0xF, 0)
    broken = [
        *(write[:count] for count in (1, 2, 3)),
        [*write, 0],
        [*write, *[0] * 200],
        long_write,
        read[:2],
        [*read, 5],
        [0x80000001, *read],
        [*header(TlpType.MEM_WRITE, 0, 0xFF, doorbell), *[0x01000000] * 1024],
        [*header(TlpType.MEM_WRITE, 129, 0xFF, doorbell), *[0x01000000] * 129],
        header(TlpType.MEM_READ, 1, raw.REQUESTER << 16 | 0xF, 0, td=1),
    ]
    for number, dws in enumerate(broken, 1):
        assert await raw.ask(dws) is None
        if len(dws) > 300:
            await ClockCycles(dut.clk, 3 * len(dws))
        assert await host.read("tlps_malformed") == number, [hex(dw) for dw in dws[:4]]
        assert await host.read("doorbell") == 0
    longest = [*header(TlpType.MEM_WRITE, 128, 0xFF, 0x800), *[1] * 128]
    assert await raw.ask(longest) is None
    assert await host.read("tlps_malformed") == len(broken)
    for _ in range(300):
        length = random.randrange(1, 12)
        host.endpoint.give([random.getrandbits(32) & 0xFF00FFFF for _ in range(length)])
    await host.settled(6000)
    await host.up()
    one = host.put(struct.pack("<Q", 99))
    await host.ring()
    await answered(host, one)
