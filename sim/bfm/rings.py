"""A host of the descriptor rings, as simple as can be: its memory is that of a root complex."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import Any

from cocotb.triggers import ClockCycles
from cocotbext.pcie.core import RootComplex

from intaglio import wire, wire_ring
from intaglio.sim import bfm
from intaglio.sim.bfm import pcie
from intaglio.wire_ring import BY_NAME, Body, Control, State


@dataclass
class Sent:
    """A descriptor as it was written, and the packet that the core should see."""

    descriptor: bytes
    packet: bytes
    at: int


class RingHost:
    """Brings a device up and submits requests to it.

    ``memory`` is a region of the root complex: submission ring, completion ring, bodies.
    """

    MEMORY_BYTES = 1 << 17
    SUBMISSION, COMPLETION, BODIES = 0x0000, 0x4000, 0x8000

    def __init__(
        self,
        dut: Any,
        root: RootComplex,
        endpoint: pcie.PinEndpoint,
        found: Any,
        *,
        submission_log2: int = 4,
        completion_log2: int = 5,
        high: bool = False,
    ) -> None:
        self.dut, self.root, self.endpoint, self.found = dut, root, endpoint, found
        self.bar = found.bar_window[0]
        self.logs = submission_log2, completion_log2
        self.memory = _Memory(root, self.MEMORY_BYTES, 1 << 36 if high else 1 << 20)
        self.submitted = self.taken = 0
        self._body_at = self.BODIES

    @property
    def base(self) -> int:
        """Address of the memory on the bus."""
        return self.memory.base

    async def read(self, name: str) -> int:
        """A register."""
        register = BY_NAME[name]
        data = await self.bar.read(register.offset, register.size)
        return int.from_bytes(data, "little")

    async def write(self, name: str, value: int) -> None:
        """Write a register, by one access for each 32 bits."""
        register = BY_NAME[name]
        for place in range(0, register.size, 4):
            await self.bar.write_dword(register.offset + place, value >> 8 * place & 0xFFFFFFFF)

    async def until(self, state: State) -> None:
        """Wait until ``status`` shows ``state``."""
        while not await self.read("status") & state:
            pass

    async def up(self) -> None:
        """Reset, set up, enable."""
        await self.write("control", Control.RESET)
        await self.until(State.READY)
        self.memory.zero(self.COMPLETION, wire_ring.COMPLETION.size << self.logs[1])
        await self.write("submission_base", self.base + self.SUBMISSION)
        await self.write("completion_base", self.base + self.COMPLETION)
        await self.write("submission_log2", self.logs[0])
        await self.write("completion_log2", self.logs[1])
        await self.write("control", Control.ENABLE)
        await self.until(State.RUNNING)
        self.submitted = self.taken = 0

    def put(self, body: bytes = b"", *, memory: bool | None = None, **fields: Any) -> Sent:
        """Write the next descriptor; the doorbell is another matter.

        ``memory``: the body goes there, by default if it is too long for the descriptor. ``fields``
        replace those of the descriptor, right or wrong.
        """
        if memory is None:
            memory = len(body) > wire_ring.INLINE_BYTES
        values: dict[str, Any] = {
            "version": wire.VERSION,
            "op": wire.Op.SIGN_MESSAGE,
            "tag": self.submitted & 0xFFFF,
            "session": 1,
            "slot": 64,
            "length": len(body),
            **fields,
        }
        at = 0
        packet = wire.REQUEST.pack(**{f.name: values.get(f.name, 0) for f in wire.REQUEST.fields})
        if memory and body:
            at = self.place(body)
            values = {"where": Body.MEMORY, "address": self.base + at, **values}
        elif not memory:
            values = {"where": Body.INLINE, "body": body, **values}
        descriptor = wire_ring.DESCRIPTOR.pack(**values)
        place = self.submitted % (1 << self.logs[0])
        self.memory.write(self.SUBMISSION + place * wire_ring.DESCRIPTOR.size, descriptor)
        self.submitted += 1
        return Sent(descriptor, packet + body, at)

    def place(self, body: bytes) -> int:
        """Put ``body`` into the memory, at an offset that a descriptor may name."""
        size = -(-len(body) // wire_ring.BODY_ALIGN_BYTES) * wire_ring.BODY_ALIGN_BYTES
        if self._body_at + size > self.MEMORY_BYTES:
            self._body_at = self.BODIES
        at = self._body_at
        self.memory.write(at, body)
        self._body_at += size
        return at

    async def ring(self) -> None:
        """Tell the device of all descriptors."""
        await self.write("doorbell", self.submitted)

    async def take(self, *, tell: bool = True) -> dict[str, Any]:
        """Wait for the next completion, by polling memory; its fields, ``reply`` as bytes."""
        entry = self.taken % (1 << self.logs[1])
        at = self.COMPLETION + entry * wire_ring.COMPLETION.size
        sequence_at = at + wire_ring.COMPLETION.offset("sequence")
        while self.memory.read(sequence_at, 4) != struct.pack("<I", self.taken + 1):
            await ClockCycles(self.dut.clk, 8)
        raw = self.memory.read(at, wire_ring.COMPLETION.size)
        self.taken += 1
        if tell:
            await self.write("completion_taken", self.taken)
        values = wire_ring.COMPLETION.unpack(raw)
        values["reply"] = raw[: wire.REPLY.size + values["length"]]
        assert not any(raw[wire.REPLY.size + values["length"] : wire.MAX_REPLY_BYTES])
        assert not any(values["reserved"])
        return values

    async def settled(self, cycles: int = 400) -> None:
        """Wait until what was written over the bus has arrived and had its effect."""
        await self.read("status")
        await ClockCycles(self.dut.clk, cycles)

    async def counts(self, *names: str) -> dict[str, int]:
        """Registers by name."""
        return {name: await self.read(name) for name in names}


class _Memory:
    """Host memory that tells who accessed it, and may be changed at once."""

    def __init__(self, root: RootComplex, size: int, base: int) -> None:
        from cocotbext.axi import MemoryRegion

        self._region = MemoryRegion(size)
        self.base = base
        space = root.mem_pool if base < root.mem_pool.size else root.mem_address_space
        space.register_region(self._region, base, size)
        self._bytes = self._region.mem

    def read(self, at: int, size: int) -> bytes:
        return bytes(self._bytes[at : at + size])

    def write(self, at: int, data: bytes) -> None:
        self._bytes[at : at + len(data)] = data

    def zero(self, at: int, size: int) -> None:
        self.write(at, bytes(size))


async def start(
    dut: Any,
    *,
    stall: float = 0.0,
    max_payload: int = 0,
    max_read_request: int = 2,
    boundary_128: bool = False,
    **options: Any,
) -> RingHost:
    """Clock, reset, enumeration; the host, not yet :meth:`~RingHost.up`."""
    random.seed(random.getrandbits(32))
    found = await _connected(
        dut,
        stall=stall,
        max_payload=max_payload,
        max_read_request=max_read_request,
        boundary_128=boundary_128,
    )
    return RingHost(dut, *found, **options)


async def _connected(dut: Any, **options: Any) -> tuple[RootComplex, pcie.PinEndpoint, Any]:
    dut.function__reset.value = 0
    dut.rx__valid.value = 0
    dut.tx__ready.value = 0
    await bfm.start(dut)
    return await pcie.connect(dut, **options)
