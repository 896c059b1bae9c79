"""Benches of the whole core: time that depends on nothing secret, and nothing left behind."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from typing import Any

import cocotb

from intaglio import wire
from intaglio.hdl.keystore import SECRET_WORDS
from intaglio.params import SECP256K1
from intaglio.sim import bfm, limbs
from intaglio.sim.benches.core_host import CURVES, PROFILE, Host, secret, split
from intaglio.sim.benches.core_state import (
    KEY_MEMORIES,
    KEY_PORTS,
    LANES,
    State,
    check_clean,
    differences,
    tell_tales,
)
from intaglio.wire import CurveId, Op, Status

ED25519, SECP256K1_ID = CURVES
KEYS = (ED25519, SECP256K1_ID, SECP256K1_ID, ED25519)
"""Curve of the key in each slot."""

SHAPES = [
    (Op.SIGN_MESSAGE, 0, 0),
    (Op.SIGN_MESSAGE, 1, 119),
    (Op.SIGN_DIGEST, 2, 32),
    (Op.SIGN_MESSAGE, 3, 128),
    (Op.SIGN_MESSAGE, 0, 4096),
    (Op.PUBLIC_KEY, 1, 0),
    (Op.SIGN_DIGEST, 1, 32),
    (Op.SIGN_MESSAGE, 2, 55),
    (Op.SIGN_MESSAGE, 3, 1),
    (Op.SIGN_MESSAGE, 9, 300),
    (Op.SIGN_MESSAGE, 2, 0),
    (Op.SIGN_MESSAGE, 0, 112),
    (Op.SIGN_DIGEST, 2, 32),
    (Op.SIGN_MESSAGE, 1, 1000),
]
"""Requests of the schedule: op, slot, body length. Slot 9 is empty."""

Reply = tuple[int, int, int, int]
"""Tag, status, cycles, and the clock at which the reply was ready."""


def random_bytes(size: int) -> bytes:
    return random.randbytes(size)


def zeros(size: int) -> bytes:
    return bytes(size)


def ones(size: int) -> bytes:
    return b"\xff" * size


DATA = {"zeros": zeros, "ones": ones, **{f"random {i}": random_bytes for i in range(3)}}


def key_for(curve: CurveId, name: str) -> bytes:
    """A key as extreme as ``name``: all bits zero or one; for secp256k1 the least or greatest."""
    if name.startswith("random"):
        return secret(curve)
    if curve == ED25519:
        return DATA[name](wire.KEY_BYTES)
    return {"zeros": 1, "ones": SECP256K1.order - 1}[name].to_bytes(wire.KEY_BYTES, "big")


async def run_schedule(host: Host, name: str) -> tuple[list[Reply], State]:
    """Reset, then the same requests at the same clocks, with the data ``name``: replies, state."""
    await host.reset()
    host.tag = 0
    began = bfm.cycle()
    host.sink.offered.clear()
    lengths = []
    requests = [host.request(Op.OPEN)]
    requests += [
        host.request(Op.LOAD_KEY, key_for(curve, name), slot=slot, curve=curve)
        for slot, curve in enumerate(KEYS)
    ]
    for payload in requests:
        await host.send(payload)
    lengths += [len(reply) for reply in await host.gathered(len(requests))]
    for op, slot, length in SHAPES:
        curve = KEYS[slot] if slot < len(KEYS) else ED25519
        fields = {"slot": slot, "curve": curve, "generation": 2}
        await host.send(host.request(op, DATA[name](length), **fields))
    replies = await host.gathered(len(SHAPES))
    await host.idle()
    seen, at = [], sum(lengths)
    for reply in replies:
        header, _ = split(reply)
        ready = host.sink.offered[at] - began
        seen.append((header["tag"], header["status"], header["cycles"], ready))
        at += len(reply)
    return seen, check_clean(host.dut, loaded=range(len(KEYS)))


@cocotb.test()
async def schedules_take_the_same_clocks_and_leave_the_same(dut: Any) -> None:
    """One schedule of mixed jobs with other keys and messages: equal clocks, equal state after it.

    All state is compared, each register and memory; what may differ is named in ``core_state``.
    """
    host = Host(dut)
    await host.start()
    runs = {name: await run_schedule(host, name) for name in DATA}
    replies, state = runs.pop("random 0")
    statuses = [status for _, status, _, _ in sorted(replies)]
    assert statuses.count(Status.OK) == len(SHAPES) - 1
    assert statuses.count(Status.EMPTY_SLOT) == 1
    assert [tag for tag, *_ in replies] != sorted(tag for tag, *_ in replies), "nothing overtook"
    changed: set[str] = set()
    for name, (others, other_state) in runs.items():
        assert others == replies, f"{name}: {others} is not {replies}"
        left = tell_tales(state, other_state)
        assert not left, f"{name}: {sorted(left)} tell of the data"
        changed |= differences(state, other_state)
    assert set(KEY_MEMORIES) <= changed, "the runs did not differ"
    bfm.record("differing", sorted(changed))
    bfm.record("replies", replies)


@cocotb.test()
async def lone_jobs_take_clocks_by_shape_only(dut: Any) -> None:
    """One job at a time: its cycles depend on curve, operation and length, and measure true."""
    host = Host(dut)
    await host.start()
    await host.open()
    shapes = [(Op.SIGN_MESSAGE, curve, length) for curve in CURVES for length in (0, 100)]
    shapes.append((Op.SIGN_DIGEST, SECP256K1_ID, wire.DIGEST_BYTES))
    cycles: dict[str, set[int]] = {}
    measured: set[int] = set()

    async def lone(op: Op, curve: CurveId, body: bytes, **fields: int) -> bytes:
        host.sink.offered.clear()
        header, reply = split(await host.transact(host.request(op, body, curve=curve, **fields)))
        assert header["status"] == Status.OK
        name = f"{op.name} {curve.name} {len(body)}"
        cycles.setdefault(name, set()).add(header["cycles"])
        latency = host.sink.offered[0] - host.source.accepted[-1]
        measured.add((op != Op.LOAD_KEY) * 1000 + latency - header["cycles"])
        return reply

    for name in DATA:
        for curve in CURVES:
            key = key_for(curve, name)
            loaded = wire.KEY.unpack(await lone(Op.LOAD_KEY, curve, key))
            for op, of, length in shapes:
                if of == curve:
                    body = DATA[name](length)
                    await lone(op, curve, body, generation=loaded["generation"])
    for name, values in cycles.items():
        assert len(values) == 1, f"{name}: {sorted(values)} cycles"
    assert len(measured) == 2, f"reported and measured latency differ by {sorted(measured)}"
    bfm.record("cycles", {name: values.pop() for name, values in sorted(cycles.items())})


@cocotb.test()
async def keys_are_wiped(dut: Any) -> None:
    """WIPE_KEY, WIPE_ALL, OPEN and a reset each leave no word of the key store."""
    host = Host(dut)
    await host.start()
    for way in ("WIPE_KEY", "WIPE_ALL", "OPEN", "reset", "refused load"):
        await host.open()
        for slot, curve in enumerate(CURVES):
            await host.load(slot, curve, secret(curve))
        check_clean(dut, loaded=range(2))
        assert all(
            any(limbs.peek(dut.keys.secrets0, SECRET_WORDS * slot + i) for i in range(SECRET_WORDS))
            for slot in range(2)
        )
        kept: tuple[int, ...] = ()
        if way == "reset":
            await host.reset()
        elif way == "refused load":
            payload = host.request(Op.LOAD_KEY, b"\xff" * 32, slot=1, curve=SECP256K1_ID)
            assert split(await host.transact(payload))[0]["status"] == Status.INVALID_KEY
            kept = (0,)
        else:
            payload = host.request(Op[way], slot=0)
            assert split(await host.transact(payload))[0]["status"] == Status.OK
            kept = (1,) if way == "WIPE_KEY" else ()
        state = check_clean(dut, loaded=kept)
        if not kept:
            for kind in KEY_PORTS:
                ports = [path for path in state if fnmatchcase(path, kind)]
                assert len(ports) == (2 + PROFILE.barrels) * LANES
                assert not any(any(state[path]) for path in ports), "a port shows a wiped word"
