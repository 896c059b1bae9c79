"""Clocks, TLPs and bytes of the PCIe link: a host whose memory answers at once, and counts.

Environment: ``BODY``, the bytes of each body; ``BATCH``, requests a doorbell and a count taken.
Records ``first``: clocks from the doorbell's last DW to the last DW of the first completion;
``clocks``: clocks a request when the ring is never empty; ``up``, ``down``: TLPs and bytes of TLPs
a request, to the host and from it.
"""

from __future__ import annotations

import os
import random
import struct
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio import wire, wire_ring
from intaglio.sim import bfm
from intaglio.wire_ring import BY_NAME, Body, Control

BODY = int(os.environ.get("BODY", "32"))
BATCH = int(os.environ.get("BATCH", "32"))
ROUNDS = 3
BDF, HOST = 0x0100, 0x0000
SUBMISSION, COMPLETION, BODIES = 0x10000, 0x20000, 0x40000
_MEMORY_BYTES = 1 << 20


class InstantHost:
    """Host memory and a processor that need no time of their own."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.memory = bytearray(_MEMORY_BYTES)
        self.waiting: list[list[int]] = []
        self.up: list[int] = []
        self.down: list[int] = []
        self.completions: list[int] = []
        self.doorbell_at = 0
        for pin, value in (
            (dut.function__bdf, BDF),
            (dut.function__bus_master, 1),
            (dut.function__max_read_request, 2),
            (dut.function__max_payload, 0),
            (dut.function__msi_enable, 0),
            (dut.function__msi_ack, 0),
            (dut.function__reset, 0),
            (dut.rx__valid, 0),
            (dut.tx__ready, 1),
            (dut.hold, 0),
        ):
            pin.value = value

    async def give(self) -> None:
        """What waits, DW by DW without a pause."""
        dut = self.dut
        while True:
            dut.rx__valid.value = 0
            while not self.waiting:
                await RisingEdge(dut.clk)
            dws = self.waiting.pop(0)
            self.down.append(4 * len(dws))
            for place, dw in enumerate(dws):
                dut.rx__valid.value = 1
                dut.rx__payload.value = dw | (place == len(dws) - 1) << 32
                await ReadOnly()
                while not int(dut.rx__ready.value):
                    await RisingEdge(dut.clk)
                    await ReadOnly()
                await RisingEdge(dut.clk)

    async def take(self) -> None:
        """Serve what the device sends."""
        dut, dws = self.dut, []
        while True:
            await ReadOnly()
            valid, word = int(dut.tx__valid.value), int(dut.tx__payload.value)
            await RisingEdge(dut.clk)
            if not valid:
                continue
            dws.append(word & 0xFFFFFFFF)
            if word >> 32:
                self.up.append(4 * len(dws))
                self._serve(dws)
                dws = []

    def _serve(self, dws: list[int]) -> None:
        kind, length = dws[0] >> 24, dws[0] & 0x3FF or 1024
        if kind == 0x40:
            data = struct.pack(f">{length}I", *dws[3:])
            self.memory[dws[2] : dws[2] + len(data)] = data
            self.completions.append(bfm.cycle())
        else:
            assert kind == 0x00, f"not expected: {kind:#x}"
            at, tag = dws[2], dws[1] >> 8 & 0xFF
            while length:
                part = min(length, (64 - at % 64) // 4)
                data = self.memory[at : at + 4 * part]
                first = 0x4A000000 | part
                header = [first, HOST << 16 | 4 * length & 0xFFF, BDF << 16 | tag << 8 | at & 0x7F]
                self.waiting.append([*header, *struct.unpack(f">{part}I", data)])
                at, length = at + 4 * part, length - part

    def write(self, name: str, value: int) -> None:
        """A register of 4 bytes, or the low half of one of 8."""
        data = struct.unpack(">I", struct.pack("<I", value))[0]
        self.waiting.append([0x40000001, 0x0000000F, BY_NAME[name].offset, data])

    def put(self, number: int) -> None:
        """Descriptor ``number`` of the ring."""
        body = random.randbytes(BODY)
        where: dict[str, Any] = {"where": Body.INLINE, "body": body}
        if BODY > wire_ring.INLINE_BYTES:
            at = BODIES + number % BATCH * 4096
            self.memory[at : at + BODY] = body
            where = {"where": Body.MEMORY, "address": at}
        descriptor = wire_ring.DESCRIPTOR.pack(
            version=wire.VERSION,
            op=wire.Op.SIGN_MESSAGE,
            tag=number,
            length=BODY,
            slot=wire.SIGNATURE_BYTES,
            **where,
        )
        at = SUBMISSION + number % (2 * BATCH) * len(descriptor)
        self.memory[at : at + len(descriptor)] = descriptor


@cocotb.test()
async def count(dut: Any) -> None:
    """A batch after the other, each answered before the next."""
    host = InstantHost(dut)
    await bfm.start(dut)
    log2 = (2 * BATCH).bit_length() - 1
    cocotb.start_soon(host.give())
    cocotb.start_soon(host.take())
    await _clocks(dut, 3000)
    for name, value in (
        ("submission_base", SUBMISSION),
        ("completion_base", COMPLETION),
        ("submission_log2", log2),
        ("completion_log2", log2),
        ("control", Control.ENABLE),
    ):
        host.write(name, value)
    await _clocks(dut, 200)
    host.up.clear()
    host.down.clear()
    for number in range(ROUNDS * BATCH):
        host.put(number)
        if (number + 1) % BATCH == 0:
            host.write("doorbell", number + 1)
            while host.waiting:
                await RisingEdge(dut.clk)
            rung = bfm.cycle() + 4
            done = len(host.completions)
            while len(host.completions) <= number:
                await RisingEdge(dut.clk)
            if not done:
                bfm.record("first", host.completions[0] - rung)
                steady = host.completions[BATCH - 1] - host.completions[0]
                bfm.record("clocks", steady / max(1, BATCH - 1))  # 0 for lone requests
            host.write("completion_taken", number + 1)
    await _clocks(dut, 100)
    requests = ROUNDS * BATCH
    for name, tlps in (("up", host.up), ("down", host.down)):
        bfm.record(name, {"tlps": len(tlps) / requests, "bytes": sum(tlps) / requests})


async def _clocks(dut: Any, number: int) -> None:
    for _ in range(number):
        await RisingEdge(dut.clk)
