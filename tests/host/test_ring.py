"""Blocks, descriptors and completions in memory, without a device."""

from __future__ import annotations

import random

import numpy as np
import pytest

from intaglio import blocks, ring, wire, wire_ring
from intaglio.blocks import dtype, encode_many
from intaglio.device import WRITE_BYTES
from intaglio.ring import BODY_BYTES, RING_ENTRIES, Memory, RingCodec, Rings
from intaglio.wire import Op, Status
from intaglio.wire_ring import COMPLETION, DESCRIPTOR, Body

ADDRESS = 0x1_2345_6000
HEADER = {
    "version": wire.VERSION,
    "op": Op.SIGN_MESSAGE,
    "session": 77,
    "slot": 3,
    "curve": 2,
    "generation": 9,
}


class Device:
    """The other side of the rings: takes descriptors, gives completions, as it is told."""

    def __init__(self):
        self.memory = bytearray(Rings.SIZE)
        self.rings = Rings(Memory(memoryview(self.memory), ADDRESS))
        self.taken = self.given = 0

    def fetch(self):
        """Fields of the next descriptor, ``body`` being the whole body wherever it was."""
        at = self.rings.submission_base - ADDRESS + self.taken % RING_ENTRIES * DESCRIPTOR.size
        self.taken += 1
        fields = DESCRIPTOR.unpack(self.memory[at : at + DESCRIPTOR.size])
        if fields["where"] == Body.MEMORY:
            assert fields["address"] % wire_ring.BODY_ALIGN_BYTES == 0
            start = fields["address"] - ADDRESS
            fields["body"] = bytes(self.memory[start : start + fields["length"]])
        else:
            fields["body"] = fields["body"][: fields["length"]]
        return fields

    def answer(self, tag, op=Op.SIGN_MESSAGE, **fields):
        at = self.rings.completion_base - ADDRESS + self.given % RING_ENTRIES * COMPLETION.size
        self.given += 1
        record = {
            "version": wire.VERSION,
            "op": op,
            "tag": tag,
            "sequence": self.given & 0xFFFFFFFF,
        }
        self.memory[at : at + COMPLETION.size] = COMPLETION.pack(**record | fields)


@pytest.fixture
def device():
    return Device()


def payload(tag, body, op=Op.SIGN_MESSAGE):
    return wire.REQUEST.pack(**HEADER | {"op": op, "tag": tag, "length": len(body)}) + body


@pytest.mark.parametrize("record", wire_ring.RECORDS, ids=lambda record: record.name)
def test_numpy_sees_the_records_as_the_wire_has_them(record):
    seen = dtype(record)
    assert seen.itemsize == record.size
    assert {f.name: seen.fields[f.name][1] for f in record.fields} == {
        f.name: record.offset(f.name) for f in record.fields
    }


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 64, 65, 4095, 4096])
def test_a_request_reaches_the_device_whole(device, length):
    body = random.Random(length).randbytes(length)
    data = RingCodec().encode(payload(5, body))
    assert device.rings.put(data) == len(data)
    fields = device.fetch()
    assert fields["body"] == body
    assert fields["where"] == (Body.MEMORY if length > 32 else Body.INLINE)
    assert (fields["tag"], fields["length"], fields["session"]) == (5, length, 77)
    assert device.rings.outstanding == 1


@pytest.mark.parametrize(
    "lengths",
    [
        [32] * 300,
        [0, 5, 32, 33, 100, 4096],
        [4096] * 40,
        [7],
        *([0, 0], [0, 31], [100] * 300),
        *([65, 128, 100], range(90, 140)),
    ],
)
def test_many_requests_are_as_each_by_itself(lengths):
    rng = random.Random(1)
    bodies = [rng.randbytes(length) for length in lengths]
    one, many = Device(), Device()
    first_tag = 0xFFFE
    for number, body in enumerate(bodies):
        assert one.rings.put(RingCodec().encode(payload((first_tag + number) & 0xFFFF, body)))
    data = encode_many(HEADER, first_tag, bodies)
    assert many.rings.put(data) == len(data)
    assert [many.fetch() for _ in bodies] == [one.fetch() for _ in bodies]


def test_blocks_of_many_stay_short_enough_for_one_write():
    bodies = [bytes(4096)] * 128
    data, at, longest = encode_many(HEADER, 1, bodies), 0, 0
    while at < len(data):
        count, size = blocks.HEAD.unpack_from(data, at)
        whole = blocks.HEAD.size + count * DESCRIPTOR.size + size
        longest = max(longest, whole)
        at += whole
    assert longest <= blocks.BLOCK_BYTES + blocks.HEAD.size <= WRITE_BYTES


def test_only_whole_blocks_are_taken(device):
    data = RingCodec().encode(payload(1, b"first")) + RingCodec().encode(payload(2, bytes(99)))
    whole = len(RingCodec().encode(payload(1, b"first")))
    assert device.rings.put(data[:-1]) == whole
    assert device.rings.put(data[whole:]) == len(data) - whole
    assert [device.fetch()["tag"] for _ in range(2)] == [1, 2]


def test_completions_are_taken_once_and_in_order(device):
    for tag in range(3):
        device.rings.put(RingCodec().encode(payload(tag, b"m")))
    assert device.rings.take() == b""
    device.answer(2, body=b"x" * 64, length=64, cycles=5)
    device.answer(0, status=Status.FAULT)
    data = device.rings.take()
    first, second = RingCodec().decode(data)
    assert wire.REPLY.unpack(first)["tag"] == 2
    assert first[wire.REPLY.size :] == b"x" * 64
    assert wire.REPLY.unpack(second)["status"] == Status.FAULT
    assert len(second) == wire.REPLY.size
    assert device.rings.take() == b""
    assert device.rings.outstanding == 1


def test_many_laps_out_of_order(device):
    rng = random.Random(3)
    open_, sent, seen = [], 0, []
    while len(seen) < 5 * RING_ENTRIES:
        while len(open_) < rng.randrange(1, 400):
            body = rng.randbytes(rng.choice([0, 32, 33, 500, 4096]))
            if not device.rings.put(RingCodec().encode(payload(sent & 0xFFFF, body))):
                break
            assert device.fetch()["body"] == body
            open_.append(sent & 0xFFFF)
            sent += 1
        for _ in range(rng.randrange(len(open_) + 1)):
            device.answer(open_.pop(rng.randrange(min(len(open_), 100))))
        seen += [
            wire.REPLY.unpack(reply)["tag"] for reply in RingCodec().decode(device.rings.take())
        ]
    assert sorted(seen + open_) == sorted(tag & 0xFFFF for tag in range(sent))


def test_a_full_ring_takes_no_more_until_the_oldest_is_answered(device):
    for tag in range(RING_ENTRIES):
        assert device.rings.put(RingCodec().encode(payload(tag, b"")))
    more = RingCodec().encode(payload(RING_ENTRIES, b""))
    assert device.rings.put(more) == 0
    device.answer(1)
    device.rings.take()
    assert device.rings.put(more) == 0
    device.answer(0)
    device.rings.take()
    assert device.rings.put(more) == len(more)


def test_bodies_wait_for_room(device):
    fit = BODY_BYTES // 4096
    for tag in range(fit):
        assert device.rings.put(RingCodec().encode(payload(tag, bytes(4096))))
    more = RingCodec().encode(payload(fit, bytes(4096)))
    assert device.rings.put(more) == 0
    small = RingCodec().encode(payload(fit, b"inline"))
    assert device.rings.put(small) == len(small)
    device.answer(0)
    device.rings.take()
    assert device.rings.put(more) == len(more)


def test_a_secret_key_does_not_outlive_its_answer(device):
    secret = bytes(range(1, 33))
    device.rings.put(RingCodec().encode(payload(9, secret, Op.LOAD_KEY)))
    assert device.memory.find(secret) >= 0
    device.answer(9, Op.LOAD_KEY)
    device.rings.take()
    assert device.memory.find(secret) < 0


def test_nothing_outlives_a_reset(device):
    device.rings.put(RingCodec().encode(payload(9, b"s" * 4096)))
    device.answer(9)
    device.rings.take()
    device.rings.reset()
    assert not any(device.memory)
    assert device.rings.written == device.rings.taken == 0


def test_opening_while_others_are_unanswered_asks_for_a_reset(device):
    first = RingCodec().encode(payload(1, b"m"))
    opening = RingCodec().encode(payload(2, b"", Op.OPEN))
    assert device.rings.put(first + opening) == len(first)
    assert device.rings.stale
    assert device.rings.put(opening) == 0
    device.rings.reset()
    assert device.rings.put(opening) == len(opening)
    assert not device.rings.stale


def test_an_unread_descriptor_is_answered_under_its_own_tag(device):
    for tag in (41, 42, 43):
        device.rings.put(RingCodec().encode(payload(tag, b"m")))
    device.answer(0, 0, status=Status.DMA_ERROR, descriptor=1)
    device.answer(0, 0, status=Status.BAD_OP)
    lost, refused = (wire.REPLY.unpack(reply) for reply in RingCodec().decode(device.rings.take()))
    assert (lost["tag"], lost["op"], lost["status"]) == (42, Op.SIGN_MESSAGE, Status.DMA_ERROR)
    assert (refused["tag"], refused["op"]) == (0, 0)


def test_an_impossible_length_does_not_reach_beyond_the_entry(device):
    device.rings.put(RingCodec().encode(payload(1, b"m")))
    device.answer(1, length=0xFFFF)
    (reply,) = RingCodec().decode(device.rings.take())
    assert len(reply) == COMPLETION.offset("descriptor")


def test_rings_fit_their_alignment_and_the_limits():
    rings = Device().rings
    for base in (rings.submission_base, rings.completion_base, rings._bodies_base):
        assert base % wire_ring.RING_ALIGN_BYTES == 0
    assert wire_ring.MIN_RING_LOG2 <= ring.RING_LOG2 <= wire_ring.MAX_RING_LOG2
    assert RingCodec.queue < RING_ENTRIES < 1 << wire.TAG_BITS - 1
    assert np.dtype(blocks.Completion).itemsize == COMPLETION.size
