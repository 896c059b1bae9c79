"""Benches of Sha512Lane and EcdsaLane (LANE = sha512 or ecdsa) with a model of the message pool."""

import hashlib
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from intaglio.hdl.engine.isa import LIMB_BITS, LIMBS
from intaglio.hdl.hash import lanes
from intaglio.hdl.hash.reader import location_layout
from intaglio.hdl.stream import Chunk
from intaglio.params import SECP256K1
from intaglio.sim import bfm
from intaglio.sim.bfm.messages import check_of, chunks
from intaglio.sim.model.rfc6979 import nonce

LANE = os.environ["LANE"]
JOB_WIDTH = int(os.environ["JOB_WIDTH"])
PAGE_WIDTH = int(os.environ["PAGE_WIDTH"])
ORDER = SECP256K1.order
REQUEST = {"sha512": lanes.sha512_request_layout, "ecdsa": lanes.ecdsa_request_layout}[LANE]
LEAD = {"sha512": "head", "ecdsa": "operands"}[LANE]
"""Stream of what a lane takes after each request."""
WORDS = 16
"""Of a result, 32 bits each."""
SECRETS = {"sha512": [], "ecdsa": ["x", "z"]}[LANE]
EDGE_LENGTHS = [
    0,
    1,
    7,
    8,
    47,
    48,
    55,
    56,
    63,
    64,
    79,
    80,
    111,
    112,
    119,
    120,
    127,
    128,
    4095,
    4096,
]


@dataclass
class Job:
    """A request and what must come of it."""

    message: bytes
    head: bytes = b""
    x: int = 1
    digest: bytes | None = None
    job: int = field(default_factory=lambda: random.getrandbits(JOB_WIDTH))
    page: int = field(default_factory=lambda: random.getrandbits(PAGE_WIDTH))

    def request(self) -> dict[str, Any]:
        location = {"page": self.page, "length": len(self.message)}
        if LANE == "sha512":
            units = len(self.head) // lanes.HEAD_UNIT_BYTES
            return {"job": self.job, "head_units": units, "location": location}
        return {"job": self.job, "hashed": int(self.digest is not None), "location": location}

    @property
    def fetches(self) -> bool:
        return bool(self.message) and self.digest is None

    def lead(self) -> list[int]:
        if LANE == "sha512":
            size = len(self.head)
            return [int.from_bytes(self.head[i : i + 8], "big") for i in range(0, size, 8)]
        digest = random.randbytes(32) if self.digest is None else self.digest
        words = (self.x, int.from_bytes(digest, "big"))
        mask = (1 << LIMB_BITS) - 1
        return [word >> LIMB_BITS * i & mask for word in words for i in range(LIMBS)]

    def result(self) -> list[dict[str, int]]:
        check, value = self._result()
        return [
            {
                "job": self.job,
                "check": check,
                "word": value >> 32 * i & 0xFFFFFFFF,
                "last": int(i == WORDS - 1),
            }
            for i in range(WORDS)
        ]

    def _result(self) -> tuple[int, int]:
        if LANE == "sha512":
            digest = hashlib.sha512(self.head + self.message).digest()
            return check_of(self.message), int.from_bytes(digest, "little")
        hashed = self.digest is not None
        digest = self.digest if hashed else hashlib.sha256(self.message).digest()
        z = int.from_bytes(digest, "big")
        check = 0 if hashed else check_of(self.message)
        return check, nonce(ORDER, self.x, z)[0] << 256 | z


async def pool(dut: Any, jobs: Sequence[Job], stall: float, noise: random.Random | None) -> None:
    """Answer the fetches of ``jobs`` in order."""
    fetch = bfm.Sink(dut, "fetch", location_layout(PAGE_WIDTH), stall=stall)
    message = bfm.Source(dut, "message", Chunk, stall=stall)
    for job in jobs:
        if job.fetches:
            assert await fetch.take() == {"page": job.page, "length": len(job.message)}
            await message.send_all(chunks(job.message, noise))


async def leads(dut: Any, jobs: Sequence[Job], stall: float) -> None:
    """Offer the heads or operands of ``jobs`` in order."""
    source = bfm.Source(dut, LEAD, stall=stall)
    await source.send_all(word for job in jobs for word in job.lead())


async def check(dut: Any, jobs: Sequence[Job], stall: float, *, noisy: bool = True) -> list[int]:
    """Run ``jobs``; cycles of each."""
    source = bfm.Source(dut, "request", REQUEST(JOB_WIDTH, PAGE_WIDTH), stall=stall)
    sink = bfm.Sink(dut, "result", lanes.result_layout(JOB_WIDTH), stall=stall)
    serving = cocotb.start_soon(pool(dut, jobs, stall, random if noisy else None))
    leading = cocotb.start_soon(leads(dut, jobs, stall))
    sending = cocotb.start_soon(source.send_all(job.request() for job in jobs))
    for job in jobs:
        limit = 3000 + 10 * len(job.message)
        for word in job.result():
            assert await bfm.within(limit, sink.take(), f"{len(job.message)} bytes") == word
    await serving
    await sending
    await leading
    pairs = zip(source.accepted, sink.offered[::WORDS], strict=True)
    return [offered + 1 - accepted for accepted, offered in pairs]


def some_job(length: int) -> Job:
    """A random job with a message of ``length`` bytes."""
    message = random.randbytes(length)
    if LANE == "sha512":
        return Job(message, head=random.randbytes(32 * random.randrange(3)))
    digest = random.randbytes(32) if random.random() < 0.3 else None
    return Job(message, x=random.randrange(1, ORDER), digest=digest)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def jobs_of_every_edge(dut: Any) -> None:
    await bfm.start(dut)
    jobs = [some_job(length) for length in EDGE_LENGTHS]
    if LANE == "sha512":
        jobs += [Job(random.randbytes(n), head=bytes(h)) for n in (0, 16, 48) for h in (0, 32, 64)]
    else:
        jobs += [Job(b"", digest=bytes(32)), Job(b"", digest=b"\xff" * 32), Job(b"")]
    random.shuffle(jobs)
    await check(dut, jobs, 0.0)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def jobs_under_stalls(dut: Any) -> None:
    await bfm.start(dut)
    await check(dut, [some_job(random.randrange(200)) for _ in range(25)], 0.5)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def cycles_depend_on_shape_only(dut: Any) -> None:
    await bfm.start(dut)
    shapes: list[tuple[int, int, bool]]
    if LANE == "sha512":
        shapes = [(32, 0, False), (32, 100, False), (64, 100, False), (64, 4096, False)]
    else:
        shapes = [(0, 0, True), (0, 0, False), (0, 100, False), (0, 4096, False)]
    for head_bytes, length, hashed in shapes:
        jobs = [
            Job(
                fill(length),
                head=fill(head_bytes),
                x=x,
                digest=fill(32) if hashed else None,
            )
            for fill, x in [
                (bytes, 1),
                (lambda size: b"\xff" * size, ORDER - 1),
                *[(random.randbytes, random.randrange(1, ORDER))] * 3,
            ]
        ]
        cycles = set(await check(dut, jobs, 0.0, noisy=False))
        assert len(cycles) == 1, f"{head_bytes}, {length} bytes took {sorted(cycles)} cycles"
        what = "digest" if hashed else f"{head_bytes} + {length} bytes" if head_bytes else None
        bfm.record(what or f"{length} bytes", cycles.pop())


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def wiped(dut: Any) -> None:
    await bfm.start(dut)
    job = some_job(300)
    source = bfm.Source(dut, "request", REQUEST(JOB_WIDTH, PAGE_WIDTH))
    sink = bfm.Sink(dut, "result", lanes.result_layout(JOB_WIDTH))
    job.head, job.digest = random.randbytes(32)[: 32 * (LANE == "sha512")], None
    cocotb.start_soon(pool(dut, [job], 0.0, None))
    cocotb.start_soon(leads(dut, [job], 0.0))
    await source.send(job.request())
    registers = [*SECRETS, *(f"sha.chain_{i}" for i in range(8))]
    seen: set[str] = set()
    while not int(dut.result__valid.value):
        await RisingEdge(dut.clk)
        seen |= {name for name in registers if value_of(dut, name)}
    assert seen == set(registers), "some never held anything: is this the right place?"
    for _ in range(WORDS):
        await sink.take()
    await RisingEdge(dut.clk)
    for _ in range(4):
        await RisingEdge(dut.clk)
        assert not [name for name in registers if value_of(dut, name)]


def value_of(dut: Any, name: str) -> int:
    for part in name.split("."):
        dut = getattr(dut, part)
    return int(dut.value)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_flight(dut: Any) -> None:
    await bfm.start(dut)
    for _ in range(4):
        job = some_job(random.randrange(300))
        source = bfm.Source(dut, "request", REQUEST(JOB_WIDTH, PAGE_WIDTH))
        serving = cocotb.start_soon(pool(dut, [job], 0.2, random))
        leading = cocotb.start_soon(leads(dut, [job], 0.2))
        await source.send(job.request())
        for _ in range(random.randrange(300)):
            await RisingEdge(dut.clk)
        serving.cancel()
        leading.cancel()
        dut.message__valid.value = 0
        getattr(dut, f"{LEAD}__valid").value = 0
        await bfm.reset(dut)
        await check(dut, [some_job(50)], 0.2)
