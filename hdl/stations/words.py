"""Words and ports that the stations share."""

from __future__ import annotations

from amaranth.hdl import Cat, Value
from amaranth.lib import data

from .. import keystore
from ..engine.isa import OUTBOX_WORDS


def reverse_bytes(value: Value) -> Cat:
    """The bytes of ``value`` in the other order."""
    return Cat(value[i : i + 8] for i in reversed(range(0, len(value), 8)))


def encode_point(x: Value, y: Value) -> Cat:
    """An Ed25519 point as RFC 8032, section 5.1.2, writes it, the first byte in bits 7..0."""
    return Cat(y[:255], x[0])


def key_write_layout(keys: int) -> data.StructLayout:
    """A word for the key store."""
    return data.StructLayout({"slot": range(keys), "index": keystore.Word, "data": 256})


def outbox_read_layout(jobs: int) -> data.StructLayout:
    """A wish to read an outbox word."""
    return data.StructLayout({"want": 1, "job": range(jobs), "index": range(OUTBOX_WORDS)})
