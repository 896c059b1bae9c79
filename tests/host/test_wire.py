"""The wire protocol: records are inverse and frozen, tags compare as sequence numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intaglio import errors, wire

SNAPSHOT = {
    "request": (12, "version 0 op 1 tag 2 session 4 length 6 slot 8 curve 9 generation 10"),
    "reply": (12, "version 0 op 1 tag 2 status 4 recid 5 length 6 cycles 8"),
    "identity": (
        76,
        "magic 0 version 4 curves 5 release_check 6 reserved 7 key_slots 8 job_slots 10 "
        "pool_bytes 12 max_message_bytes 16 page_bytes 18 clock_hz 20 profile 24 rtl_digest 40 "
        "git_revision 56",
    ),
    "counters": (
        24,
        "frames_good 0 frames_bad 4 duplicates 8 refused 12 jobs_done 16 faults 20",
    ),
    "key": (68, "generation 0 curve 2 reserved 3 public_key 4"),
}
"""Sizes and offsets of version 2, in bytes. A change here needs a new wire.VERSION."""

CODES = {
    wire.Op: {
        "OPEN": 1,
        "IDENTIFY": 2,
        "COUNTERS": 3,
        "LOAD_KEY": 16,
        "PUBLIC_KEY": 17,
        "WIPE_KEY": 18,
        "WIPE_ALL": 19,
        "SIGN_MESSAGE": 32,
        "SIGN_DIGEST": 33,
    },
    wire.CurveId: {"NONE": 0, "ED25519": 1, "SECP256K1": 2},
    wire.Status: {
        "OK": 0,
        "BAD_VERSION": 1,
        "BAD_OP": 2,
        "BAD_LENGTH": 3,
        "BAD_CURVE": 4,
        "BAD_SLOT": 5,
        "EMPTY_SLOT": 6,
        "WRONG_CURVE": 7,
        "STALE_KEY": 8,
        "STALE_SESSION": 9,
        "INVALID_KEY": 10,
        "KEY_IN_USE": 11,
        "DUPLICATE": 12,
        "BAD_FRAME": 13,
        "FAULT": 14,
        "BAD_DESCRIPTOR": 15,
        "BAD_ADDRESS": 16,
        "DMA_ERROR": 17,
    },
    wire.ReleaseCheck: {"NONE": 0, "ALGEBRAIC": 1, "DOUBLE": 2},
}


def values_of(record):
    """Strategy of all field values of ``record``."""
    return st.fixed_dictionaries(
        {
            field.name: st.integers(0, 256**field.size - 1)
            if field.kind == "int"
            else st.binary(min_size=field.size, max_size=field.size)
            for field in record.fields
        }
    )


@pytest.mark.parametrize("record", wire.RECORDS, ids=lambda record: record.name)
@given(data=st.data())
def test_pack_and_unpack_are_inverse(record, data):
    values = data.draw(values_of(record))
    packed = record.pack(**values)
    assert record.unpack(packed + b"body") == values
    for field in record.fields:
        piece = packed[record.offset(field.name) :][: field.size]
        value = values[field.name]
        assert piece == (value if field.kind == "bytes" else value.to_bytes(field.size, "little"))


def test_layout_is_frozen():
    assert wire.VERSION == 2
    assert {
        record.name: (
            record.size,
            " ".join(f"{field.name} {record.offset(field.name)}" for field in record.fields),
        )
        for record in wire.RECORDS
    } == SNAPSHOT
    assert wire.MAX_REQUEST_BYTES == 4108
    assert wire.MAX_REPLY_BYTES == 88


@pytest.mark.parametrize("codes", CODES, ids=lambda codes: codes.__name__)
def test_codes_are_frozen(codes):
    assert {code.name: code.value for code in codes} == CODES[codes]


def test_every_op_has_a_body_length():
    assert set(wire.BODY_BYTES) == set(wire.Op)


def test_every_refusal_has_one_exception():
    assert set(errors.BY_STATUS) == set(wire.Status) - {wire.Status.OK}
    assert len(set(errors.BY_STATUS.values())) == len(errors.BY_STATUS)


def test_unknown_fields_and_short_data_are_refused():
    with pytest.raises(TypeError, match="request has no field colour"):
        wire.REQUEST.pack(colour=1)
    with pytest.raises(KeyError):
        wire.REQUEST.offset("colour")
    with pytest.raises(wire.struct.error):
        wire.REPLY.unpack(bytes(wire.REPLY.size - 1))


@pytest.mark.parametrize(
    ("tag", "last", "newer"),
    [
        (1, 0, True),
        (0, 0, False),
        (0, 1, False),
        (0, 0xFFFF, True),
        (0xFFFF, 0, False),
        (0x7FFF, 0, True),
        (0x8000, 0, False),
        (0x7FFF, 0xFFFF, False),
        (0x7FFE, 0xFFFF, True),
    ],
)
def test_is_newer(tag, last, newer):
    assert wire.is_newer(tag, last) is newer


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_of_two_tags_at_most_one_is_newer(a, b):
    assert wire.is_newer(a, b) + wire.is_newer(b, a) == (a != b and (a - b) % 0x10000 != 0x8000)


@pytest.mark.parametrize(("length", "pages"), [(0, 0), (1, 1), (128, 1), (129, 2), (4096, 32)])
def test_pages(length, pages):
    assert wire.pages(length) == pages
