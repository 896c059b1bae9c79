"""The wire protocol between a host and a signer, defined once.

Everything both sides must agree on stands here and nowhere else: codes, records, limits and the
version. The host packs these records with :mod:`struct`, the gateware lays them out as
``data.StructLayout`` (:mod:`intaglio.hdl.layouts`), the golden core uses the same ``struct`` and
the README's tables are rendered from this file (``python -m intaglio.wiredoc``).

A *frame* on a byte link is ``COBS(payload || CRC-32(payload)) || 00`` with the CRC of IEEE 802.3
(:func:`zlib.crc32`), little-endian. A *payload* is a :data:`REQUEST` or :data:`REPLY` record
followed by ``length`` bytes of body. Over PCIe descriptor rings carry the same records
(:mod:`intaglio.wire_ring`). All integers are little-endian; keys, digests and signatures
are the byte strings of their own standards (RFC 8032, SEC 1).

Tags are sequence numbers. A session opens with :attr:`Op.OPEN`, whose tag becomes the last accepted
one; afterwards a request is accepted only if its tag is *newer* (:func:`is_newer`) than the last
accepted tag. A repeated or replayed frame is therefore answered :attr:`Status.DUPLICATE` and never
executed: no tag is ever signed under twice. A host that lost a frame asks again under a new tag;
deterministic signing makes the answer the same.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

VERSION = 2
"""Protocol version; the first byte of every request and reply."""

MAGIC = b"INTG"
"""First bytes of the identity record."""

MAX_MESSAGE_BYTES = 4096
"""Longest message one request can carry."""

DIGEST_BYTES = 32
KEY_BYTES = 32
PUBLIC_KEY_BYTES = 64
"""Field width: Ed25519 uses the first 32 bytes; secp256k1 X || Y, both big-endian."""
SIGNATURE_BYTES = 64
CRC_BYTES = 4
PAGE_BYTES = 128
"""Messages are kept in pages of this size; the host counts a message in whole pages."""

FRAME_DELIMITER = 0x00
NO_RECID = 0xFF
"""``REPLY.recid`` where there is no recovery id."""

TAG_BITS = 16


class Op(enum.IntEnum):
    """Request codes (``REQUEST.op``)."""

    OPEN = 0x01
    """Start a session: zeroise every key slot, reset the session's counters; identity record."""
    IDENTIFY = 0x02
    """Identity record; changes nothing and needs no session."""
    COUNTERS = 0x03
    """Counters record."""
    LOAD_KEY = 0x10
    """Body: 32 secret bytes. ``curve`` names the curve. Key record with the public key computed."""
    PUBLIC_KEY = 0x11
    """Key record of a loaded slot."""
    WIPE_KEY = 0x12
    """Zeroise one slot (an empty one too)."""
    WIPE_ALL = 0x13
    """Zeroise every slot."""
    SIGN_MESSAGE = 0x20
    """Body: 0..4096 bytes. Ed25519 (RFC 8032) or ECDSA over SHA-256 of the body, by ``curve``."""
    SIGN_DIGEST = 0x21
    """Body: 32 bytes signed by ECDSA as they are."""


class CurveId(enum.IntEnum):
    """Curve codes (``curve`` fields)."""

    NONE = 0
    ED25519 = 1
    SECP256K1 = 2


class Status(enum.IntEnum):
    """Reply codes (``REPLY.status``). Each but OK has an exception in :mod:`intaglio.errors`."""

    OK = 0x00
    BAD_VERSION = 0x01
    """The request's version is not the device's."""
    BAD_OP = 0x02
    """Unknown op."""
    BAD_LENGTH = 0x03
    """Body length not allowed for this op, or not equal to the bytes received."""
    BAD_CURVE = 0x04
    """Unknown curve, or one this profile was built without, or not allowed for this op."""
    BAD_SLOT = 0x05
    """Slot number at or above the device's ``key_slots``."""
    EMPTY_SLOT = 0x06
    """No key in the slot (never loaded, wiped, or its load was refused)."""
    WRONG_CURVE = 0x07
    """The slot holds a key of the other curve."""
    STALE_KEY = 0x08
    """The slot holds another generation than the one named."""
    STALE_SESSION = 0x09
    """The request names another session than the open one (or none is open)."""
    INVALID_KEY = 0x0A
    """secp256k1 secret of 0 or >= n; nothing was stored."""
    KEY_IN_USE = 0x0B
    """Load or wipe of a slot with jobs in flight, or use of a slot still loading."""
    DUPLICATE = 0x0C
    """Tag not newer than the last accepted one; not executed."""
    BAD_FRAME = 0x0D
    """A frame was damaged. ``tag`` is the last accepted tag, not that of the damaged frame."""
    FAULT = 0x0E
    """The release check failed; nothing of the result is released."""
    BAD_DESCRIPTOR = 0x0F
    """Over PCIe: unknown ``where``, or a longer body than may stand there."""
    BAD_ADDRESS = 0x10
    """Over PCIe: the address of the body is not aligned."""
    DMA_ERROR = 0x11
    """Over PCIe: host memory at the address of the body or descriptor could not be read."""


class ReleaseCheck(enum.IntEnum):
    """What is checked before a signature is released (``IDENTITY.release_check``)."""

    NONE = 0
    ALGEBRAIC = 1
    DOUBLE = 2


class Field(NamedTuple):
    """One field of a record: ``size`` in bytes, ``kind`` ``"int"`` or ``"bytes"``."""

    name: str
    size: int
    kind: str
    unit: str
    doc: str


_INT_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True)
class Record:
    """A fixed-size little-endian record. ``pack``/``unpack`` are inverse on all field values."""

    name: str
    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        codes = (_INT_CODES[f.size] if f.kind == "int" else f"{f.size}s" for f in self.fields)
        object.__setattr__(self, "_struct", struct.Struct("<" + "".join(codes)))
        object.__setattr__(self, "_names", tuple(f.name for f in self.fields))

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._struct.size  # type: ignore[attr-defined, no-any-return]

    def offset(self, name: str) -> int:
        """Offset of field ``name`` in bytes."""
        offset = 0
        for field in self.fields:
            if field.name == name:
                return offset
            offset += field.size
        raise KeyError(name)

    def pack(self, **values: Any) -> bytes:
        """Bytes of the record; fields not named are zero. Raises ``struct.error`` out of range."""
        ordered = [values.pop(f.name, 0 if f.kind == "int" else b"") for f in self.fields]
        if values:
            raise TypeError(f"{self.name} has no field {', '.join(sorted(values))}")
        return self._struct.pack(*ordered)  # type: ignore[attr-defined, no-any-return]

    def unpack(self, data: bytes | memoryview) -> dict[str, Any]:
        """Field values of the record at the start of ``data``. Raises ``struct.error`` if short."""
        values = self._struct.unpack_from(data)  # type: ignore[attr-defined]
        return dict(zip(self._names, values, strict=True))  # type: ignore[attr-defined]


def _int(name: str, size: int, doc: str, unit: str = "") -> Field:
    return Field(name, size, "int", unit, doc)


def _bytes(name: str, size: int, doc: str) -> Field:
    return Field(name, size, "bytes", "bytes", doc)


REQUEST = Record(
    "request",
    (
        _int("version", 1, "protocol version, always first"),
        _int("op", 1, "Op"),
        _int("tag", 2, "sequence number of the request"),
        _int("session", 2, "session id chosen by the host in OPEN"),
        _int("length", 2, "bytes of body that follow", "bytes"),
        _int("slot", 1, "key slot"),
        _int("curve", 1, "CurveId"),
        _int("generation", 2, "generation of the key in the slot"),
    ),
)

REPLY = Record(
    "reply",
    (
        _int("version", 1, "protocol version, always first"),
        _int("op", 1, "Op of the request; 0 if it was not received: BAD_FRAME, DMA_ERROR"),
        _int("tag", 2, "tag of the request; last accepted tag in a BAD_FRAME"),
        _int("status", 1, "Status"),
        _int("recid", 1, "recovery id 0..3 of an ECDSA signature, else NO_RECID"),
        _int("length", 2, "bytes of body that follow; 0 unless status is OK", "bytes"),
        _int(
            "cycles",
            4,
            "last request byte accepted by the core to reply ready; 0 if not a job",
            "cycles",
        ),
    ),
)

IDENTITY = Record(
    "identity",
    (
        _bytes("magic", 4, "MAGIC"),
        _int("version", 1, "protocol version of the device"),
        _int("curves", 1, "bit CurveId set: the curve is built in"),
        _int("release_check", 1, "ReleaseCheck level built in"),
        _int("reserved", 1, "0"),
        _int("key_slots", 2, "key slots", "slots"),
        _int("job_slots", 2, "jobs the device holds at once: the host's window", "jobs"),
        _int(
            "pool_bytes", 4, "message pool: the host's window in bytes, counted in pages", "bytes"
        ),
        _int("max_message_bytes", 2, "longest message", "bytes"),
        _int("page_bytes", 2, "page size of the message pool", "bytes"),
        _int("clock_hz", 4, "engine clock; 0 in simulation", "Hz"),
        _bytes("profile", 16, "profile name, ASCII, zero padded"),
        _bytes(
            "rtl_digest", 16, "first bytes of the SHA-256 over the gateware's sources and profile"
        ),
        _bytes("git_revision", 20, "git commit the gateware was built from; zeros if unknown"),
    ),
)

COUNTERS = Record(
    "counters",
    (
        _int("frames_good", 4, "frames received whole", "frames"),
        _int("frames_bad", 4, "frames damaged: CRC, length or COBS", "frames"),
        _int("duplicates", 4, "requests refused as DUPLICATE", "requests"),
        _int("refused", 4, "requests refused with any other status before a job began", "requests"),
        _int("jobs_done", 4, "signing and key jobs that ended OK", "jobs"),
        _int("faults", 4, "jobs that ended in FAULT", "jobs"),
    ),
)

KEY = Record(
    "key",
    (
        _int("generation", 2, "generation of the key in the slot, changed by every load and wipe"),
        _int("curve", 1, "CurveId"),
        _int("reserved", 1, "0"),
        _bytes("public_key", PUBLIC_KEY_BYTES, "Ed25519: A then zeros; secp256k1: X || Y"),
    ),
)

RECORDS = (REQUEST, REPLY, IDENTITY, COUNTERS, KEY)

MAX_REQUEST_BYTES = REQUEST.size + MAX_MESSAGE_BYTES
"""Longest payload of a request, without its CRC."""
MAX_REPLY_BYTES = REPLY.size + max(IDENTITY.size, COUNTERS.size, KEY.size, SIGNATURE_BYTES)

BODY_BYTES: dict[Op, tuple[int, int]] = {
    Op.OPEN: (0, 0),
    Op.IDENTIFY: (0, 0),
    Op.COUNTERS: (0, 0),
    Op.LOAD_KEY: (KEY_BYTES, KEY_BYTES),
    Op.PUBLIC_KEY: (0, 0),
    Op.WIPE_KEY: (0, 0),
    Op.WIPE_ALL: (0, 0),
    Op.SIGN_MESSAGE: (0, MAX_MESSAGE_BYTES),
    Op.SIGN_DIGEST: (DIGEST_BYTES, DIGEST_BYTES),
}
"""Least and greatest body length per op, in bytes."""


def is_newer(tag: int, last: int) -> bool:
    """Whether ``tag`` comes after ``last`` in sequence order (half the tag space ahead)."""
    return 0 < (tag - last) % (1 << TAG_BITS) < 1 << (TAG_BITS - 1)


def pages(length: int) -> int:
    """Pages of the message pool that a message of ``length`` bytes takes (none if empty)."""
    return -(-length // PAGE_BYTES)
