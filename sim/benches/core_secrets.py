"""Bench of the whole core: no request reads a key."""

from __future__ import annotations

import hashlib
from typing import Any

import cocotb

from intaglio import wire
from intaglio.hdl import keystore
from intaglio.hdl.engine.isa import WORD_BITS
from intaglio.hdl.profiles import SMALL
from intaglio.params import ED25519, SECP256K1
from intaglio.sim import bfm, limbs
from intaglio.sim.benches.core_host import CURVES, Host, secret, split
from intaglio.wire import CurveId, Op, Status

R = 1 << WORD_BITS
DESTRUCTIVE = (Op.WIPE_KEY, Op.WIPE_ALL, Op.LOAD_KEY, Op.OPEN)
"""Tried last: they zeroise the keys."""


def derived(curve: CurveId, key: bytes) -> dict[str, bytes]:
    """Everything that is kept of a key, by name; each 32 bytes, secret."""
    if curve == CurveId.SECP256K1:
        n = SECP256K1.order
        d = int.from_bytes(key, "big")
        return {"d": key, "dR^2 mod n": (d * R * R % n).to_bytes(32, "big")}
    order = ED25519.order
    digest = hashlib.sha512(key).digest()
    clamped = int.from_bytes(digest[:32], "little") & ((1 << 254) - 8) | 1 << 254
    scalars = {
        "scalar": clamped,
        "scalar mod L": clamped % order,
        "aR mod L": clamped * R % order,
        "a 2^256 R mod L": clamped * R * 2**256 % order,
    }
    named = {name: value.to_bytes(32, "big") for name, value in scalars.items()}
    return {"seed": key, "prefix": digest[32:], "first half": digest[:32], **named}


def patterns(curve: CurveId, key: bytes) -> dict[str, bytes]:
    """Both halves of all that must not leave, in either byte order."""
    found = {}
    for name, value in derived(curve, key).items():
        for half, part in (("first", value[:16]), ("second", value[16:])):
            found[f"{name}, {half} half"] = part
            found[f"{name}, {half} half reversed"] = part[::-1]
    return found


@cocotb.test()
async def no_opcode_reads_a_key(dut: Any) -> None:
    """Every opcode with every slot, with a body and without: no reply has a part of a key in it."""
    host = Host(dut)
    await host.start()
    await host.open()
    secrets: dict[str, bytes] = {}
    held: set[int] = set()
    for slot, curve in enumerate(CURVES):
        key = secret(curve)
        await host.load(slot, curve, key)
        secrets |= {f"{curve.name} {name}": part for name, part in patterns(curve, key).items()}
        held |= {int.from_bytes(value, "big") for value in derived(curve, key).values()}
        held |= {int.from_bytes(value, "little") for value in derived(curve, key).values()}
    words = range(len(CURVES) * keystore.SECRET_WORDS)
    stored = {limbs.peek(dut.keys.secrets0, index) for index in words} - {0}
    assert len(stored) > len(CURVES)
    assert stored <= held, "the key store holds a word that this bench does not look for"

    requests = [
        (op, slot, bytes(length))
        for op in sorted(range(256), key=lambda op: op in DESTRUCTIVE)
        for slot in range(SMALL.key_slots + 1)
        for length in (0, wire.KEY_BYTES)
        if length == 0 or op in set(Op)
    ]
    answered = 0
    statuses: set[int] = set()
    for op, slot, body in requests:
        for curve in CURVES if op in (Op.SIGN_MESSAGE, Op.SIGN_DIGEST) else CURVES[:1]:
            if op == Op.OPEN:
                await host.idle()  # or it would silence the jobs before it
            fields = {"slot": slot, "curve": curve, "generation": 2}
            await host.send(host.request(op, body, **fields))
            answered += 1
    replies = await host.gathered(answered)
    said = b"".join(replies)
    for reply in replies:
        statuses.add(split(reply)[0]["status"])
    assert {Status.OK, Status.BAD_OP, Status.EMPTY_SLOT, Status.BAD_SLOT} <= statuses
    for name, part in secrets.items():
        assert part not in said, f"{name} left the core"
    bfm.record("replies", len(replies))
