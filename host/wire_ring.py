"""The wire protocol over PCIe, defined once: registers, descriptors, completions.

The requests and replies are those of :mod:`intaglio.wire`, carried by two rings in host memory
instead of frames. The host writes a :data:`DESCRIPTOR` for each request and rings the doorbell; the
device fetches it, and its body where that lies elsewhere, exactly once, and writes one
:data:`COMPLETION` for it, in whatever order the replies come. Jobs that a new OPEN ends get none.

**Counts** (``doorbell``, ``completion_taken`` and the like) are of entries since the last reset,
modulo 2^32; entry ``count % 2^log2`` of a ring is the next. Completion ``n`` (from 0) carries
``sequence`` n + 1 in its last four bytes, which a write of 128 bytes brings into memory last: an
entry is new once it shows the sequence expected.

**Bring-up**: write RESET, wait for READY; write bases and sizes, the completion ring zeroed; write
ENABLE, look at RUNNING. A doorbell that is rung while the device does not run, moves backwards or
is more than a ring ahead of ``descriptors_taken`` changes nothing and is counted; so is a
``completion_taken`` that moves backwards or beyond ``completions``.

**Back-pressure**: the device writes no completion that the host has no room for (``completions``
less ``completion_taken`` is at most the ring's size), and fetches no descriptor whose request the
core has no room for. So the host may fill the whole submission ring, whatever ``job_slots`` says.

Registers are 32-bit words, little-endian, in BAR 0; of a 64-bit one the low word stands first. They
are read and written by single 32-bit accesses; byte enables are honoured. Unnamed words read 0.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from intaglio import wire
from intaglio.wire import Field, Record

PCI_VENDOR_ID = 0x10EE
"""That of the FPGA's maker, whose endpoint blocks carry it; this project has none of its own."""
PCI_DEVICE_ID = 0x4947
PCI_CLASS = 0x108000
"""Encryption controller, other."""

BAR_BYTES = 4096
"""Size of BAR 0."""
GONE = 0xFFFFFFFF
"""What every register reads as when the device has gone; none ever holds it by itself but a
count."""

INLINE_BYTES = 32
"""Longest body inside a descriptor."""
BODY_ALIGN_BYTES = 64
"""A body elsewhere in host memory begins at a multiple of this."""
RING_ALIGN_BYTES = 4096
"""A ring begins at a multiple of this."""
MIN_RING_LOG2 = 1
MAX_RING_LOG2 = 12
"""Least and greatest size of a ring: 2^1 to 2^12 entries."""


class Body(enum.IntEnum):
    """Where the body of a request is (``DESCRIPTOR.where``)."""

    INLINE = 0
    """In the descriptor; at most 32 bytes."""
    MEMORY = 1
    """At ``address`` in host memory; unused if ``length`` is 0."""


class Control(enum.IntFlag):
    """Bits of the register ``control``."""

    ENABLE = 1 << 0
    """Run. While it is set, bases and sizes cannot be changed. Cleared: descriptors under way are
    finished first."""
    RESET = 1 << 1
    """Written 1: as after power-up, keys zeroised, counts 0; clears itself. Reads 0."""


class State(enum.IntFlag):
    """Bits of the register ``status``."""

    READY = 1 << 0
    """Out of reset, every memory zeroised."""
    RUNNING = 1 << 1
    """Enabled, and bases and sizes were good."""
    BAD_RING = 1 << 2
    """Enabled with a base that is 0 or not aligned, or a size out of range; does not run."""
    BUS_MASTER = 1 << 3
    """Configuration space lets the device read and write host memory."""
    FULL = 1 << 4
    """A reply waits for room in the completion ring."""


class Interrupt(enum.IntFlag):
    """Bits of the register ``interrupt``. One MSI is due once a completion was written that is
    neither announced by an MSI nor covered by ``completion_taken``."""

    ENABLE = 1 << 0
    """Send MSIs."""
    MASK = 1 << 1
    """Hold back what is due until unmasked."""


class Access(enum.Enum):
    """What the host may do with a register."""

    READ = "r"
    WRITE = "rw"


class Register(NamedTuple):
    """One register: ``offset`` and ``size`` (4 or 8) in bytes."""

    name: str
    offset: int
    size: int
    access: Access
    unit: str
    doc: str


IDENTITY_OFFSET = 0x000
"""The :data:`intaglio.wire.IDENTITY` record, read-only words."""

_R, _W = Access.READ, Access.WRITE

REGISTERS = (
    Register("protocol", 0x080, 4, _R, "", "wire.VERSION"),
    Register("control", 0x084, 4, _W, "", "Control"),
    Register("status", 0x088, 4, _R, "", "State"),
    Register("submission_base", 0x090, 8, _W, "", "address of the submission ring"),
    Register("completion_base", 0x098, 8, _W, "", "address of the completion ring"),
    Register("submission_log2", 0x0A0, 4, _W, "", "log2 of the descriptors in the ring"),
    Register("completion_log2", 0x0A4, 4, _W, "", "log2 of the completions in the ring"),
    Register("doorbell", 0x0C0, 4, _W, "descriptors", "count of descriptors written by the host"),
    Register(
        "completion_taken", 0x0C4, 4, _W, "completions", "count of completions read by the host"
    ),
    Register("interrupt", 0x0C8, 4, _W, "", "Interrupt"),
    Register("moderation", 0x0CC, 4, _W, "clocks", "least time between two MSIs"),
    Register("descriptors_taken", 0x100, 4, _R, "descriptors", "fetched, or given up on"),
    Register("completions", 0x104, 4, _R, "completions", "written"),
    Register("interrupts", 0x108, 4, _R, "interrupts", "MSIs sent"),
    Register("bad_doorbells", 0x10C, 4, _R, "writes", "of counts, that changed nothing"),
    Register("bad_descriptors", 0x110, 4, _R, "descriptors", "refused for where, address, length"),
    Register("dma_errors", 0x114, 4, _R, "reads", "ended in UR, CA or poisoned data"),
    Register("dma_timeouts", 0x118, 4, _R, "reads", "not completed in time"),
    Register("tlps_unsupported", 0x11C, 4, _R, "TLPs", "answered or counted as unsupported"),
    Register("tlps_malformed", 0x120, 4, _R, "TLPs", "dropped as malformed or unexpected"),
)

BY_NAME = {register.name: register for register in REGISTERS}


def _int(name: str, size: int, doc: str, unit: str = "") -> Field:
    return Field(name, size, "int", unit, doc)


def _bytes(name: str, size: int, doc: str) -> Field:
    return Field(name, size, "bytes", "bytes", doc)


DESCRIPTOR = Record(
    "descriptor",
    (
        *wire.REQUEST.fields,
        _int("where", 1, "Body"),
        _bytes("reserved", 3, "0"),
        _int("address", 8, "of the body in host memory, if it is there"),
        _bytes("reserved_high", 8, "0"),
        _bytes("body", INLINE_BYTES, "the body, if it is here, then zeros"),
    ),
)
"""The request begins at byte 0, as :data:`intaglio.wire.REQUEST` lays it out."""

_BODY_BYTES = wire.MAX_REPLY_BYTES - wire.REPLY.size

COMPLETION = Record(
    "completion",
    (
        *wire.REPLY.fields,
        _bytes("body", _BODY_BYTES, "the body of the reply, then zeros"),
        _int(
            "descriptor",
            4,
            "if op is 0 (its descriptor could not be fetched): count of descriptors before it; "
            "else 0",
            "descriptors",
        ),
        _bytes("reserved", 32, "0"),
        _int("sequence", 4, "count of completions with this one, always last", "completions"),
    ),
)
"""The reply begins at byte 0, as :data:`intaglio.wire.REPLY` lays it out."""

RECORDS = (DESCRIPTOR, COMPLETION)
"""Each as long as a power of two, so that none crosses 4 KiB."""
