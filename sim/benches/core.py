"""Benches of the whole core, packet to packet, against the golden core."""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from intaglio import wire
from intaglio.hdl.stream import Packet
from intaglio.sim import bfm
from intaglio.sim.model.core import GoldenCore
from intaglio.wire import CurveId, Op, Status

SESSION = 0x5E55
CLOCKS_PER_JOB = 120_000
"""Time-out of a job, generous."""
STALL = float(os.environ.get("CORE_STALL", "0"))


class Host:
    """Sends request payloads and gathers reply payloads by tag."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.source = bfm.Source(dut, "requests", Packet(8), stall=STALL)
        self.sink = bfm.Sink(dut, "replies", Packet(8), stall=STALL)
        self.replies: list[bytes] = []
        self.tag = 0

    async def start(self) -> None:
        self.dut.bad_frame.value = 0
        self.dut.git_revision.value = 0
        await bfm.start(self.dut)
        cocotb.start_soon(self._gather())

    async def _gather(self) -> None:
        payload = bytearray()
        while True:
            item = await self.sink.take()
            payload.append(item["data"])
            if item["last"]:
                self.replies.append(bytes(payload))
                payload.clear()

    async def send(self, payload: bytes) -> None:
        for i, byte in enumerate(payload):
            await self.source.send({"data": byte, "last": i == len(payload) - 1})

    async def idle(self, clocks: int = CLOCKS_PER_JOB * 8) -> None:
        """Wait until the core has nothing to do."""

        async def quiet() -> None:
            await RisingEdge(self.dut.clk)
            await RisingEdge(self.dut.clk)
            while int(self.dut.busy.value):
                await RisingEdge(self.dut.busy) if False else None
                await RisingEdge(self.dut.clk)

        await bfm.within(clocks, quiet(), "the core")

    def request(self, op: Op, body: bytes = b"", **fields: int) -> bytes:
        """A request payload with the next tag."""
        self.tag = (self.tag + 1) & 0xFFFF
        values = {"version": wire.VERSION, "session": SESSION, "tag": self.tag, **fields}
        return wire.REQUEST.pack(op=op, length=len(body), **values) + body

    async def transact(self, payload: bytes) -> tuple[dict[str, int], bytes]:
        """Send one request, wait for its reply: header and body."""
        before = len(self.replies)
        await self.send(payload)
        await self.idle()
        assert len(self.replies) == before + 1, self.replies[before:]
        reply = self.replies[-1]
        return wire.REPLY.unpack(reply), reply[wire.REPLY.size :]


def secret(curve: CurveId) -> bytes:
    """A random secret, valid for the curve with overwhelming probability."""
    return random.randbytes(32) if curve == CurveId.ED25519 else b"\x01" + random.randbytes(31)


@cocotb.test()
async def signs_like_the_golden_core(dut: Any) -> None:
    host, golden = Host(dut), GoldenCore()
    await host.start()
    curves = (CurveId.ED25519, CurveId.SECP256K1)
    requests = [host.request(Op.OPEN)]
    requests += [
        host.request(Op.LOAD_KEY, secret(curve), slot=slot, curve=curve)
        for slot, curve in enumerate(curves)
    ]
    for payload in requests:
        header, body = await host.transact(payload)
        expected = golden.transact(payload)
        assert header["status"] == Status.OK, header
        if header["op"] == Op.LOAD_KEY:
            assert body == expected[wire.REPLY.size :], (body.hex(), expected.hex())
    signs = [
        (Op.SIGN_MESSAGE, CurveId.ED25519, b""),
        (Op.SIGN_MESSAGE, CurveId.ED25519, random.randbytes(100)),
        (Op.SIGN_DIGEST, CurveId.SECP256K1, random.randbytes(32)),
        (Op.SIGN_MESSAGE, CurveId.SECP256K1, random.randbytes(130)),
    ]
    for op, curve, message in signs:
        slot = curves.index(curve)
        payload = host.request(op, message, slot=slot, curve=curve, generation=2)
        header, body = await host.transact(payload)
        reply = golden.transact(payload)
        expected_header = wire.REPLY.unpack(reply)
        assert header["status"] == expected_header["status"] == Status.OK, header
        assert body == reply[wire.REPLY.size :]
        assert header["recid"] == expected_header["recid"]
        dut._log.info(f"{op.name} {curve.name} {len(message)} bytes: {header['cycles']} cycles")
