"""Benches of the whole core: random interleavings of requests, and sessions that end early."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from intaglio import wire
from intaglio.hdl.profiles import SMALL
from intaglio.sim import bfm
from intaglio.sim.benches.core import pool_is_free
from intaglio.sim.benches.core_host import CURVES, SESSION, Pair, compare, secret, split
from intaglio.sim.benches.core_state import check_clean, tell_tales
from intaglio.wire import CurveId, Op, Status

LENGTHS = (0, 1, 55, 56, 63, 64, 111, 112, 127, 128, 4095, 4096)
"""Around the blocks of both hashes, the pages of the pool, and the longest."""

COUNT = int(os.environ.get("COUNT", "8"))
STALL = float(os.environ.get("STALL", "0"))
KEYS = tuple(CURVES[slot % 2] for slot in range(4))
"""Curve of the keys in slots 0..3."""

GENERATION = 2
Request = tuple[Op, bytes, dict[str, int]]


async def loaded(pair: Pair) -> None:
    """A session with four keys."""
    await pair.submit(Op.OPEN)
    for slot, curve in enumerate(KEYS):
        await pair.submit(Op.LOAD_KEY, secret(curve), slot=slot, curve=curve)
    await pair.settle()


def sign(op: Op, curve: CurveId, body: bytes) -> Request:
    """A signature under one of the curve's keys."""
    slot = next(slot for slot, of in enumerate(KEYS) if of == curve) + 2 * (len(body) % 2)
    return op, body, {"slot": slot, "curve": curve, "generation": GENERATION}


def requests() -> list[Request]:
    """Signatures over every length by both curves, among loads, questions and refusals, shuffled.

    What they are answered does not depend on which job ends first.
    """
    ed25519, secp256k1 = CURVES
    chosen = [sign(Op.SIGN_MESSAGE, of, random.randbytes(n)) for of in CURVES for n in LENGTHS]
    chosen += [sign(Op.SIGN_DIGEST, secp256k1, random.randbytes(32)) for _ in range(3)]
    chosen += [sign(Op.SIGN_DIGEST, secp256k1, digest) for digest in (bytes(32), b"\xff" * 32)]
    for slot in range(4, 7):
        curve = random.choice(CURVES)
        chosen.append((Op.LOAD_KEY, secret(curve), {"slot": slot, "curve": curve}))
    chosen += [(Op.PUBLIC_KEY, b"", {"slot": slot}) for slot in range(4)]
    chosen += [(Op.WIPE_KEY, b"", {"slot": 15}), (Op.LOAD_KEY, bytes(32), {"slot": 8, "curve": 2})]
    op, body, fields = sign(Op.SIGN_MESSAGE, ed25519, random.randbytes(200))
    chosen += [
        (op, body, {**fields, "generation": GENERATION + 1}),
        (op, body, {**fields, "length": 100}),
        (op, body, {**fields, "length": 300}),
        (op, body, {**fields, "slot": 14}),
        (op, body, {**fields, "tag": 0}),
    ]
    random.shuffle(chosen)
    return chosen


@cocotb.test()
async def interleavings(dut: Any) -> None:
    """Everything at once, replies in any order matched by tag, every byte as the golden core's."""
    pair = Pair(dut, stall=STALL)
    await pair.start()
    await loaded(pair)
    most = 0
    first = pair.host.tag
    for op, body, fields in requests():
        await pair.submit(op, body, **fields)
        most = max(most, int(dut.taken.value).bit_count())
    await pair.settle()
    assert pool_is_free(dut)
    check_clean(dut, loaded=range(7))
    await pair.check(Op.COUNTERS)
    tags = [tag for tag in pair.order if tag > first]
    bfm.record("most_jobs", most)
    bfm.record("overtakings", sum(a > b for a, b in pairwise(tags)))


@cocotb.test()
async def signatures(dut: Any) -> None:
    """COUNT signatures by each curve, of messages and digests, every byte as the golden core's."""
    pair = Pair(dut, stall=STALL)
    await pair.start()
    await loaded(pair)
    chosen = [
        sign(Op.SIGN_MESSAGE, curve, random.randbytes(random.randrange(300)))
        for curve in CURVES
        for _ in range(COUNT)
    ]
    chosen += [sign(Op.SIGN_DIGEST, CurveId.SECP256K1, random.randbytes(32)) for _ in range(COUNT)]
    random.shuffle(chosen)
    for op, body, fields in chosen:
        await pair.submit(op, body, **fields)
    await pair.settle()
    check_clean(dut, loaded=range(len(KEYS)))
    bfm.record("signatures", len(chosen))


def few_requests(order: random.Random) -> list[Request]:
    """As many jobs as the core holds, of each kind."""
    ed25519, secp256k1 = CURVES
    chosen = [sign(Op.SIGN_MESSAGE, of, random.randbytes(150)) for of in (*CURVES, *CURVES)]
    chosen.append(sign(Op.SIGN_MESSAGE, ed25519, b""))
    chosen.append(sign(Op.SIGN_DIGEST, secp256k1, random.randbytes(32)))
    chosen.append((Op.LOAD_KEY, secret(ed25519), {"slot": 4, "curve": ed25519}))
    chosen.append((Op.LOAD_KEY, secret(secp256k1), {"slot": 5, "curve": secp256k1}))
    order.shuffle(chosen)
    return chosen


DELAYS: tuple[Callable[[], int], ...] = (
    lambda: 0,
    lambda: random.randrange(3000),
    lambda: random.randrange(60_000),
    lambda: random.randrange(150_000),
)
"""Clocks after the last request at which a session ends: in hashing, in the engine, at the end."""


@cocotb.test()
async def a_new_session_ends_the_old_one(dut: Any) -> None:
    """OPEN with jobs in flight: none of them answers after it, and nothing of them or of a key
    stays."""
    pair = Pair(dut)
    host = pair.host
    await pair.start()
    muted = 0
    for round_, delay in enumerate(DELAYS):
        session = SESSION + round_
        await pair.reset()
        await loaded(pair)
        expected = {}
        for op, body, fields in few_requests(random.Random(round_)):
            payload = host.request(op, body, **fields)
            await host.send(payload)
            assert pair.golden.accept(payload) is None
        await ClockCycles(dut.clk, max(1, delay()))
        await host.send(host.request(Op.OPEN, session=session + 1))
        while pair.golden.jobs:
            reply = pair.golden.finish_one()
            expected[split(reply)[0]["tag"]] = reply
        await host.idle()
        *old, opened = await host.gathered(len(host.replies))
        assert split(opened)[0]["op"] == Op.OPEN
        assert split(opened)[0]["status"] == Status.OK
        for reply in old:
            compare(reply, expected.pop(split(reply)[0]["tag"]))
        muted += len(expected)
        check_clean(dut)
        assert pool_is_free(dut)

        again = host.request(Op.COUNTERS, session=session + 1)
        counters = wire.COUNTERS.unpack(split(await host.transact(again))[1])
        assert counters["jobs_done"] == counters["faults"] == 0
        header, _ = split(await host.transact(host.request(Op.COUNTERS, session=session)))
        assert header["status"] == Status.STALE_SESSION
        header, _ = split(
            await host.transact(host.request(Op.PUBLIC_KEY, slot=0, session=session + 1))
        )
        assert header["status"] == Status.EMPTY_SLOT
    assert muted > SMALL.job_slots, "too few jobs were in flight to test anything"


@cocotb.test()
async def a_reset_leaves_nothing(dut: Any) -> None:
    """A reset with jobs in flight, twice at the same clock with other keys and messages: all
    memories are clean after it, no state tells which data it was, and the core signs."""
    pair = Pair(dut)
    await pair.start()
    for delay in DELAYS:
        clocks = max(1, delay())
        shuffle = random.getrandbits(32)
        states = []
        for _ in range(2):
            await loaded(pair)
            for op, body, fields in few_requests(random.Random(shuffle)):
                await pair.host.send(pair.host.request(op, body, **fields))
            await ClockCycles(dut.clk, clocks)
            await pair.reset()
            states.append(check_clean(dut))
            assert pool_is_free(dut)
        left = tell_tales(*states)
        assert not left, f"{clocks} clocks after the last request: {sorted(left)} tell of the data"
    await loaded(pair)
    for curve in CURVES:
        op, body, fields = sign(Op.SIGN_MESSAGE, curve, random.randbytes(77))
        assert await pair.check(op, body, **fields) == Status.OK
