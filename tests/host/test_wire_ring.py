"""Registers and ring entries: frozen, aligned, and the records of the byte links inside."""

from __future__ import annotations

import pytest

from intaglio import wire, wire_ring
from intaglio.wire_ring import Access

REGISTERS = (
    "protocol 080 4 r, control 084 4 rw, status 088 4 r, submission_base 090 8 rw, "
    "completion_base 098 8 rw, submission_log2 0a0 4 rw, completion_log2 0a4 4 rw, "
    "doorbell 0c0 4 rw, completion_taken 0c4 4 rw, interrupt 0c8 4 rw, moderation 0cc 4 rw, "
    "descriptors_taken 100 4 r, completions 104 4 r, interrupts 108 4 r, bad_doorbells 10c 4 r, "
    "bad_descriptors 110 4 r, dma_errors 114 4 r, dma_timeouts 118 4 r, tlps_unsupported 11c 4 r, "
    "tlps_malformed 120 4 r"
)
"""Offsets, sizes and access of version 2. A change here needs a new wire.VERSION."""

RECORDS = {
    "descriptor": (
        64,
        "version 0 op 1 tag 2 session 4 length 6 slot 8 curve 9 generation 10 where 12 "
        "reserved 13 address 16 reserved_high 24 body 32",
    ),
    "completion": (
        128,
        "version 0 op 1 tag 2 status 4 recid 5 length 6 cycles 8 body 12 descriptor 88 "
        "reserved 92 sequence 124",
    ),
}

CODES = {
    wire_ring.Body: {"INLINE": 0, "MEMORY": 1},
    wire_ring.Control: {"ENABLE": 1, "RESET": 2},
    wire_ring.State: {"READY": 1, "RUNNING": 2, "BAD_RING": 4, "BUS_MASTER": 8, "FULL": 16},
    wire_ring.Interrupt: {"ENABLE": 1, "MASK": 2},
}


def test_registers_are_frozen():
    assert wire.VERSION == 2
    assert (
        ", ".join(f"{r.name} {r.offset:03x} {r.size} {r.access.value}" for r in wire_ring.REGISTERS)
        == REGISTERS
    )


def test_registers_lie_apart_and_aligned_in_the_bar():
    end = wire_ring.IDENTITY_OFFSET + wire.IDENTITY.size
    for register in wire_ring.REGISTERS:
        assert register.offset >= end
        assert register.offset % register.size == 0
        assert register.size in (4, 8)
        assert isinstance(register.access, Access)
        end = register.offset + register.size
    assert end <= wire_ring.BAR_BYTES
    assert set(wire_ring.BY_NAME) == {register.name for register in wire_ring.REGISTERS}


def test_records_are_frozen():
    assert {
        record.name: (
            record.size,
            " ".join(f"{f.name} {record.offset(f.name)}" for f in record.fields),
        )
        for record in wire_ring.RECORDS
    } == RECORDS


@pytest.mark.parametrize("codes", CODES, ids=lambda codes: codes.__name__)
def test_codes_are_frozen(codes):
    assert {code.name: code.value for code in codes} == CODES[codes]


def test_entries_begin_with_the_records_of_the_byte_links():
    request = {"version": 2, "op": 0x21, "tag": 0x1234, "session": 7, "length": 32, "slot": 3}
    entry = wire_ring.DESCRIPTOR.pack(**request, body=bytes(range(32)))
    assert entry.startswith(wire.REQUEST.pack(**request))
    assert entry.endswith(bytes(range(32)))
    reply = {"version": 2, "op": 0x21, "tag": 0x1234, "recid": 1, "length": 64, "cycles": 99}
    entry = wire_ring.COMPLETION.pack(**reply, body=bytes(range(64)), sequence=0xA1B2C3D4)
    assert entry.startswith(wire.REPLY.pack(**reply) + bytes(range(64)))
    assert entry.endswith(bytes.fromhex("d4c3b2a1"))


def test_no_entry_crosses_4_kib():
    for record in wire_ring.RECORDS:
        assert wire_ring.RING_ALIGN_BYTES % record.size == 0
    assert wire_ring.COMPLETION.size >= wire.MAX_REPLY_BYTES + 4


def test_bodies_of_fixed_length_fit_into_descriptors():
    fixed = {high for low, high in wire.BODY_BYTES.values() if low == high}
    assert max(fixed) <= wire_ring.INLINE_BYTES
