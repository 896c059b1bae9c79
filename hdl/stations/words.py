"""Words and ports that the stations share."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream

from .. import keystore
from ..engine.isa import LIMB_BITS, LIMBS, OUTBOX_WORDS, WORD_BITS
from ..stream import prefer, registered


def reverse_bytes(value: Value) -> Cat:
    """The bytes of ``value`` in the other order."""
    return Cat(value[i : i + 8] for i in reversed(range(0, len(value), 8)))


def shifted(word: Value, limb: Value | int = 0) -> Value:
    """A word without its low limb, with ``limb`` at the other end: after four it is another."""
    return Cat(word[LIMB_BITS:WORD_BITS], Value.cast(limb))


def key_write_layout(keys: int) -> data.StructLayout:
    """A limb of a word for the key store."""
    return data.StructLayout(
        {"slot": range(keys), "index": keystore.Word, "limb": range(LIMBS), "data": LIMB_BITS}
    )


def outbox_read_layout(jobs: int) -> data.StructLayout:
    """A wish to read a limb of an outbox word."""
    return data.StructLayout(
        {"want": 1, "job": range(jobs), "index": range(OUTBOX_WORDS), "limb": range(LIMBS)}
    )


def share_outbox(m: Module, users: tuple[Any, ...], engine: Any) -> None:
    """Let stations read the engine's outbox, an earlier one of ``users`` first.

    Wishes and limbs are registered on their way, the wishes before they are compared and after: no
    station waits for another or for the engine in the same clock.
    """
    wish = data.StructLayout({"outbox": users[0].outbox.shape(), "owner": len(users)})
    wishes = [stream.Signature(wish).create() for _ in users]
    for i, (user, asks) in enumerate(zip(users, wishes, strict=True)):
        m.d.comb += [
            asks.valid.eq(user.outbox.want),
            asks.payload.outbox.eq(user.outbox),
            asks.payload.owner.eq(1 << i),
            user.outbox_taken.eq(asks.ready),
        ]
    chosen = stream.Signature(wish).create()
    prefer(m, [registered(m, asks) for asks in wishes], chosen)
    asked = registered(m, chosen)
    m.d.comb += asked.ready.eq(engine.outbox_taken)
    for name in ("job", "index", "limb"):
        m.d.comb += engine.outbox[name].eq(asked.payload.outbox[name])
    arriving, found = Signal(len(users)), Signal(len(users))
    limb, damaged = Signal.like(engine.outbox_limb), Signal()
    taken = asked.valid & asked.ready
    m.d.sync += [
        arriving.eq(asked.payload.owner & taken.replicate(len(users))),
        found.eq(arriving),
        limb.eq(engine.outbox_limb),
        damaged.eq(engine.outbox_damaged),
    ]
    for i, user in enumerate(users):
        m.d.sync += user.outbox_found.eq(found[i])
        m.d.comb += user.outbox_limb.eq(limb)
        if hasattr(user, "outbox_damaged"):
            m.d.comb += user.outbox_damaged.eq(damaged)
