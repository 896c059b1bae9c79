"""Benches of the whole core, packet to packet: signatures, and the answers to bad requests."""

from __future__ import annotations

import random
from typing import Any

import cocotb

from intaglio import wire
from intaglio.params import SECP256K1
from intaglio.sim import bfm
from intaglio.sim.benches.core_host import CURVES, PROFILE, SESSION, Host, Pair, secret, split
from intaglio.wire import CurveId, Op, Status

ED25519_SLOT, SECP256K1_SLOT, EMPTY_SLOT = 0, 1, 2
GENERATION = 2
"""Of a key loaded once: OPEN and the load each count one."""


async def loaded(dut: Any) -> Pair:
    """Both cores with a session and a key of each curve."""
    pair = Pair(dut)
    await pair.start()
    await pair.check(Op.OPEN)
    for slot, curve in enumerate(CURVES):
        await pair.submit(Op.LOAD_KEY, secret(curve), slot=slot, curve=curve)
    await pair.settle()
    return pair


def pool_is_free(dut: Any) -> bool:
    """Whether every page of the message pool is free."""
    free = dut.pool.free
    return int(free.inner_level.value) + int(free.r_rdy.value) == PROFILE.pool_pages


@cocotb.test()
async def signs_like_the_golden_core(dut: Any) -> None:
    pair = await loaded(dut)
    for op, slot, message in (
        (Op.SIGN_MESSAGE, ED25519_SLOT, b""),
        (Op.SIGN_MESSAGE, ED25519_SLOT, random.randbytes(100)),
        (Op.SIGN_DIGEST, SECP256K1_SLOT, random.randbytes(32)),
        (Op.SIGN_MESSAGE, SECP256K1_SLOT, random.randbytes(130)),
    ):
        fields = {"slot": slot, "curve": CURVES[slot], "generation": GENERATION}
        assert await pair.check(op, message, **fields) == Status.OK
    for slot in range(2):
        await pair.check(Op.PUBLIC_KEY, slot=slot)
    await pair.check(Op.COUNTERS)


@cocotb.test()
async def describes_itself(dut: Any) -> None:
    host = Host(dut)
    await host.start()
    dut.git_revision.value = int.from_bytes(range(20), "little")
    for op in (Op.IDENTIFY, Op.OPEN):
        header, body = split(await host.transact(host.request(op)))
        assert header["status"] == Status.OK
        identity = wire.IDENTITY.unpack(body)
        assert identity["magic"] == wire.MAGIC
        assert identity["profile"].rstrip(b"\0") == PROFILE.name.encode()
        assert identity["release_check"] == PROFILE.release_check
        assert identity["pool_bytes"] == PROFILE.pool_pages * wire.PAGE_BYTES
        assert identity["git_revision"] == bytes(range(20))
        assert any(identity["rtl_digest"])


@cocotb.test()
async def refuses_by_header(dut: Any) -> None:
    """Every status a header alone can earn, before and in a session, and in the order of ranks."""
    pair = Pair(dut)
    await pair.start()
    check = pair.check
    sign = {"curve": CurveId.ED25519, "generation": GENERATION}

    assert await check(Op.COUNTERS) == Status.STALE_SESSION
    assert await check(Op.COUNTERS, session=0) == Status.STALE_SESSION
    assert await check(Op.OPEN, session=0) == Status.STALE_SESSION
    assert await check(Op.OPEN, b"?", session=0) == Status.BAD_LENGTH
    assert await check(Op.OPEN, version=9, length=5) == Status.BAD_VERSION
    assert await check(Op.IDENTIFY, b"?") == Status.BAD_LENGTH
    assert await check(Op.IDENTIFY, session=0, tag=0) == Status.OK
    assert await check(Op.OPEN) == Status.OK

    assert await check(Op.SIGN_MESSAGE, b"m", version=wire.VERSION + 1, **sign) == (
        Status.BAD_VERSION
    )
    for op in (0x00, 0x04, 0x0F, 0x14, 0x22, 0x80, 0xFF):
        assert await check(op, b"body", version=wire.VERSION) == Status.BAD_OP
    assert await check(Op.SIGN_MESSAGE, b"m", session=SESSION + 1, **sign) == Status.STALE_SESSION
    assert await check(Op.COUNTERS, session=0) == Status.STALE_SESSION

    for curve in (0, 3, 4, 0xFF):
        assert await check(Op.LOAD_KEY, bytes(32), curve=curve) == Status.BAD_CURVE
        assert await check(Op.SIGN_MESSAGE, b"m", curve=curve) == Status.BAD_CURVE
    assert await check(Op.SIGN_DIGEST, bytes(32), **sign) == Status.BAD_CURVE
    for slot in (PROFILE.key_slots, 0x80, 0xFF):
        assert await check(Op.LOAD_KEY, bytes(32), slot=slot, curve=1) == Status.BAD_SLOT
        assert await check(Op.SIGN_MESSAGE, b"m", slot=slot, **sign) == Status.BAD_SLOT
        assert await check(Op.PUBLIC_KEY, slot=slot) == Status.BAD_SLOT
        assert await check(Op.WIPE_KEY, slot=slot) == Status.BAD_SLOT
    for slot in (0, PROFILE.key_slots - 1):
        assert await check(Op.SIGN_MESSAGE, b"m", slot=slot, **sign) == Status.EMPTY_SLOT
        assert await check(Op.PUBLIC_KEY, slot=slot) == Status.EMPTY_SLOT
        assert await check(Op.WIPE_KEY, slot=slot) == Status.OK
    assert await check(Op.WIPE_ALL) == Status.OK

    last = pair.host.tag
    for tag in (last, last - 1, last + 0x8000):
        assert await check(Op.COUNTERS, tag=tag & 0xFFFF) == Status.DUPLICATE
        assert await check(Op.SIGN_MESSAGE, b"m", tag=tag & 0xFFFF, **sign) == Status.DUPLICATE
    assert await check(Op.COUNTERS, tag=(last + 0x7FFF) & 0xFFFF) == Status.OK
    pair.host.tag = last + 0x7FFF

    for size in (1, wire.REQUEST.size - 1):
        assert await pair.check_payload(bytes(size)) == Status.BAD_FRAME
    assert await pair.check_damaged() == Status.BAD_FRAME
    assert await check(Op.COUNTERS) == Status.OK
    bfm.record("statuses", sorted(pair.seen))


@cocotb.test()
async def refuses_wrong_lengths(dut: Any) -> None:
    """Bodies shorter and longer than the header says, or than the op allows; nothing stays."""
    pair = await loaded(dut)
    of_ed25519 = {"slot": ED25519_SLOT, "curve": CurveId.ED25519, "generation": GENERATION}
    of_secp256k1 = {"slot": SECP256K1_SLOT, "curve": CurveId.SECP256K1, "generation": GENERATION}
    cases = [
        (Op.OPEN, 1, 1, {}),
        (Op.OPEN, 1, 0, {}),
        (Op.OPEN, 0, 1, {}),
        (Op.COUNTERS, 4, 4, {}),
        (Op.WIPE_ALL, 1, 0, {}),
        (Op.WIPE_KEY, 0, 2, {}),
        (Op.PUBLIC_KEY, 1, 1, {}),
        *(
            (Op.LOAD_KEY, *sizes, {"curve": 1})
            for sizes in ((31, 31), (33, 33), (31, 32), (40, 32))
        ),
        *(
            (Op.SIGN_DIGEST, *sizes, of_secp256k1)
            for sizes in ((0, 0), (31, 31), (31, 32), (64, 32))
        ),
        *(
            (Op.SIGN_MESSAGE, actual, header, fields)
            for fields in (of_ed25519, of_secp256k1)
            for actual, header in (
                *((0, 1), (0, 129), (1, 0), (9, 0), (200, 0)),
                *((127, 128), (128, 127), (129, 128), (128, 129), (130, 1000), (1000, 130)),
            )
        ),
        (Op.SIGN_MESSAGE, 4097, 4097, of_ed25519),
        (Op.SIGN_MESSAGE, 4097, 4096, of_ed25519),
        (Op.SIGN_MESSAGE, 4095, 4096, of_ed25519),
        (Op.SIGN_MESSAGE, 4500, 0xFFFF, of_ed25519),
        (Op.SIGN_MESSAGE, 4500, 2, of_ed25519),
    ]
    for op, actual, length, fields in cases:
        body = random.randbytes(actual)
        status = await pair.check(op, body, length=length, **fields)
        assert status == Status.BAD_LENGTH, f"{op.name}: {actual} bytes, {length} announced"
        assert pool_is_free(dut), f"{op.name}: pages lost by {actual} bytes, {length} announced"
    # refused before the length counts: the message is swallowed, not stored
    assert (
        await pair.check(Op.SIGN_MESSAGE, b"m" * 300, length=7, version=wire.VERSION + 1)
        == Status.BAD_VERSION
    )
    assert await pair.check(Op.SIGN_MESSAGE, b"m" * 300, length=7, session=1) == (
        Status.STALE_SESSION
    )
    assert await pair.check(Op.SIGN_MESSAGE, b"m" * 300, slot=EMPTY_SLOT, curve=1) == (
        Status.EMPTY_SLOT
    )
    assert pool_is_free(dut)
    assert await pair.check(Op.SIGN_MESSAGE, b"m" * 300, **of_ed25519) == Status.OK
    await pair.check(Op.COUNTERS)
    bfm.record("statuses", sorted(pair.seen))


@cocotb.test()
async def refuses_by_the_key(dut: Any) -> None:
    """Wrong curve, stale keys, invalid keys, and what may not touch a key in use."""
    pair = await loaded(dut)
    check, submit, settle = pair.check, pair.submit, pair.settle
    ed25519, secp256k1 = CURVES
    sign = {"slot": ED25519_SLOT, "curve": ed25519, "generation": GENERATION}
    wrong = {**sign, "curve": secp256k1}
    assert await check(Op.SIGN_MESSAGE, b"m", **wrong) == Status.WRONG_CURVE
    assert await check(Op.SIGN_DIGEST, bytes(32), **wrong) == Status.WRONG_CURVE
    for generation in (0, GENERATION - 1, GENERATION + 1, 0x8002, 0xFFFF):
        stale = {**sign, "generation": generation}
        assert await check(Op.SIGN_MESSAGE, b"m", **stale) == Status.STALE_KEY

    # two jobs in flight on the slot, and a load in flight on another
    for _ in range(2):
        await submit(Op.SIGN_MESSAGE, b"in flight", **sign)
    await submit(Op.LOAD_KEY, secret(ed25519), slot=EMPTY_SLOT, curve=ed25519)
    refused = [
        (Op.WIPE_KEY, b"", {"slot": ED25519_SLOT}),
        (Op.LOAD_KEY, secret(ed25519), {"slot": ED25519_SLOT, "curve": ed25519}),
        (Op.WIPE_ALL, b"", {}),
        (Op.PUBLIC_KEY, b"", {"slot": EMPTY_SLOT}),
        (Op.WIPE_KEY, b"", {"slot": EMPTY_SLOT}),
        (Op.LOAD_KEY, secret(ed25519), {"slot": EMPTY_SLOT, "curve": ed25519}),
        (Op.SIGN_MESSAGE, b"m", {**sign, "slot": EMPTY_SLOT}),
    ]
    for op, body, fields in refused:
        await submit(op, body, **fields)
    await submit(Op.PUBLIC_KEY, slot=ED25519_SLOT)
    await settle()
    assert Status.KEY_IN_USE in pair.seen

    n = SECP256K1.order
    for i, value in enumerate((0, n, n + 1, 2**256 - 1)):
        bad = value.to_bytes(32, "big")
        slot = SECP256K1_SLOT if i == 0 else EMPTY_SLOT
        fields = {"slot": slot, "curve": secp256k1}
        assert await check(Op.LOAD_KEY, bad, **fields) == Status.INVALID_KEY
        assert await check(Op.PUBLIC_KEY, slot=slot) == Status.EMPTY_SLOT
        assert await check(Op.SIGN_DIGEST, bytes(32), **fields) == Status.EMPTY_SLOT
    for value in (1, n - 1):
        good = value.to_bytes(32, "big")
        fields = {"slot": EMPTY_SLOT, "curve": secp256k1}
        assert await check(Op.LOAD_KEY, good, **fields) == Status.OK
    assert await check(Op.WIPE_KEY, slot=EMPTY_SLOT) == Status.OK
    assert await check(Op.PUBLIC_KEY, slot=EMPTY_SLOT) == Status.EMPTY_SLOT
    assert await check(Op.WIPE_ALL) == Status.OK
    assert await check(Op.SIGN_MESSAGE, b"m", **sign) == Status.EMPTY_SLOT
    await check(Op.COUNTERS)
    bfm.record("statuses", sorted({*pair.seen}))
