"""Words and ports that the stations share."""

from __future__ import annotations

from amaranth.hdl import Cat, Value
from amaranth.lib import data

from .. import keystore
from ..engine.isa import LIMB_BITS, LIMBS, OUTBOX_WORDS, WORD_BITS


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
