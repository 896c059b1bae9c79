"""What drives the core in its benches: requests in, replies out, the golden core beside it."""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from cocotb.triggers import Event, FallingEdge, RisingEdge

from intaglio import wire
from intaglio.hdl.profiles import PROFILES, SMALL
from intaglio.hdl.stream import Packet
from intaglio.sim import bfm
from intaglio.sim.model.core import GoldenCore
from intaglio.wire import CurveId, Op, Status

PROFILE = PROFILES[os.environ.get("PROFILE", SMALL.name)]
"""Size of the core under test."""

SESSION = 0x5E55
CURVES = (CurveId.ED25519, CurveId.SECP256K1)
CLOCKS_PER_JOB = 120_000
"""Time-out of a job, generous."""

RESET_CLOCKS = 1_000 + 20 * PROFILE.pool_pages
"""Time-out of what the core does after a reset."""


def golden_core() -> GoldenCore:
    """A golden core of the same size."""
    return GoldenCore(
        key_slots=PROFILE.key_slots,
        job_slots=PROFILE.job_slots,
        pool_bytes=PROFILE.pool_pages * wire.PAGE_BYTES,
    )


def secret(curve: CurveId, rng: random.Random | None = None) -> bytes:
    """A random secret, valid for the curve."""
    body = (rng or random).randbytes(31)
    return (b"\x5a" if curve == CurveId.ED25519 else b"\x01") + body


def split(reply: bytes) -> tuple[dict[str, int], bytes]:
    """Header and body of a reply."""
    return wire.REPLY.unpack(reply), reply[wire.REPLY.size :]


def compare(reply: bytes, expected: bytes) -> None:
    """Two replies must be equal but for their cycles, and for the identity's description."""
    (header, body), (golden_header, golden_body) = split(reply), split(expected)
    header["cycles"] = golden_header["cycles"]
    if header["op"] in (Op.OPEN, Op.IDENTIFY) and body and golden_body:
        fields, golden_fields = wire.IDENTITY.unpack(body), wire.IDENTITY.unpack(golden_body)
        for name in ("release_check", "profile", "rtl_digest", "git_revision"):
            golden_fields[name] = fields[name]
        golden_body = wire.IDENTITY.pack(**golden_fields)
    assert header == golden_header, f"{header} is not {golden_header}"
    assert body == golden_body, f"{header}: {body.hex()} is not {golden_body.hex()}"


class Host:
    """Sends request payloads and gathers reply payloads by tag."""

    def __init__(self, dut: Any, *, stall: float = 0.0) -> None:
        self.dut = dut
        self.source = bfm.Source(dut, "requests", Packet(8), stall=stall)
        self.sink = bfm.Sink(dut, "replies", Packet(8), stall=stall)
        self.replies: list[bytes] = []
        self.tag = 0
        self._came = Event()
        self._gatherer: Any = None

    async def start(self) -> None:
        """Start the clock and reset the core."""
        self.dut.bad_frame.value = 0
        self.dut.git_revision.value = 0
        await bfm.start(self.dut)
        await self._after_reset()

    async def reset(self) -> None:
        """Reset the core, whatever it does; forget all replies."""
        self._gatherer.cancel()
        self.sink.ready.value = 0
        await bfm.reset(self.dut)
        await self._after_reset()

    async def _after_reset(self) -> None:
        self.replies.clear()
        self._gatherer = cocotb.start_soon(self._gather())
        await self.idle(RESET_CLOCKS)

    async def _gather(self) -> None:
        payload = bytearray()
        while True:
            item = await self.sink.take()
            payload.append(item["data"])
            if item["last"]:
                self.replies.append(bytes(payload))
                payload.clear()
                self._came.set()

    async def send(self, payload: bytes) -> None:
        """Send a request; returns when its last byte was taken."""
        for i, byte in enumerate(payload):
            await self.source.send({"data": byte, "last": i == len(payload) - 1})

    async def damaged(self) -> None:
        """Tell the core of a damaged frame."""
        self.dut.bad_frame.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.bad_frame.value = 0

    async def idle(self, clocks: int = CLOCKS_PER_JOB * PROFILE.job_slots) -> None:
        """Wait until the core has nothing to do."""

        async def quiet() -> None:
            for _ in range(3):
                await RisingEdge(self.dut.clk)
            while int(self.dut.busy.value):
                await FallingEdge(self.dut.busy)
                for _ in range(3):
                    await RisingEdge(self.dut.clk)

        await bfm.within(clocks, quiet(), "the core")

    async def gathered(self, count: int) -> list[bytes]:
        """Wait until ``count`` replies are there, and take these."""

        async def enough() -> None:
            while len(self.replies) < count:
                self._came.clear()
                await self._came.wait()

        clocks = CLOCKS_PER_JOB * min(count + 1, 3 * PROFILE.job_slots)
        await bfm.within(clocks, enough(), f"{count} replies")
        taken, self.replies[:] = self.replies[:count], self.replies[count:]
        return taken

    def request(self, op: int, body: bytes = b"", **fields: int) -> bytes:
        """A request payload with the next tag; ``fields`` override what its header would say."""
        self.tag = (self.tag + 1) & 0xFFFF
        values = {"version": wire.VERSION, "session": SESSION, "tag": self.tag}
        return wire.REQUEST.pack(**{**values, "op": op, "length": len(body), **fields}) + body

    async def transact(self, payload: bytes) -> bytes:
        """Send one request, wait for its reply and until the core has cleaned up behind it."""
        await self.send(payload)
        (reply,) = await self.gathered(1)
        await self.idle()
        assert not self.replies, "more than one reply"
        return reply

    async def open(self, session: int = SESSION) -> None:
        """Open a session."""
        header, _ = split(await self.transact(self.request(Op.OPEN, session=session)))
        assert header["status"] == Status.OK, header

    async def load(self, slot: int, curve: CurveId, key: bytes) -> dict[str, Any]:
        """Load a key: its key record."""
        payload = self.request(Op.LOAD_KEY, key, slot=slot, curve=curve)
        header, body = split(await self.transact(payload))
        assert header["status"] == Status.OK, header
        return wire.KEY.unpack(body)


class Pair:
    """The core and the golden core, given the same requests."""

    def __init__(self, dut: Any, *, stall: float = 0.0) -> None:
        self.host, self.golden = Host(dut, stall=stall), golden_core()
        self.seen: set[Status] = set()
        """Statuses that were answered."""
        self._expected: list[bytes] = []
        self.order: list[int] = []
        """Tags of the replies that :meth:`settle` saw, as they came."""

    async def start(self) -> None:
        await self.host.start()

    async def reset(self) -> None:
        await self.host.reset()
        self.golden = golden_core()

    async def check(self, op: int, body: bytes = b"", **fields: int) -> Status:
        """One request to both: the replies must agree."""
        return await self.check_payload(self.host.request(op, body, **fields))

    async def check_payload(self, payload: bytes) -> Status:
        """As :meth:`check`, with the request's bytes."""
        reply = await self.host.transact(payload)
        compare(reply, self.golden.transact(payload))
        return self._note(reply)

    async def check_damaged(self) -> Status:
        """A damaged frame for both."""
        await self.host.damaged()
        (reply,) = await self.host.gathered(1)
        await self.host.idle()
        compare(reply, self.golden.bad_frame())
        return self._note(reply)

    async def submit(self, op: int, body: bytes = b"", **fields: int) -> None:
        """One request to both, not waiting for an answer; see :meth:`settle`."""
        payload = self.host.request(op, body, **fields)
        await self.host.send(payload)
        self._expect(self.golden.accept(payload))

    async def settle(self) -> None:
        """The replies to all that was submitted, in any order, must agree by tag."""
        while self.golden.jobs:
            self._expect(self.golden.finish_one())
        expected, self._expected = self._expected, []
        replies = await self.host.gathered(len(expected))
        await self.host.idle()
        assert not self.host.replies, "too many replies"
        self.order += map(_tag, replies)
        for reply, golden in zip(
            sorted(replies, key=_tag), sorted(expected, key=_tag), strict=True
        ):
            compare(reply, golden)
            self._note(reply)

    def _expect(self, reply: bytes | None) -> None:
        if reply is not None:
            self._expected.append(reply)

    def _note(self, reply: bytes) -> Status:
        status = Status(split(reply)[0]["status"])
        self.seen.add(status)
        return status


def _tag(reply: bytes) -> int:
    return int(split(reply)[0]["tag"])
