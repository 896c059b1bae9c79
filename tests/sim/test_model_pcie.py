"""The golden PCIe function register by register, by a host of a few lines."""

from __future__ import annotations

import random

import pytest

from intaglio import wire, wire_ring
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.pcie import DmaFault, PcieModel
from intaglio.wire import Op, Status
from intaglio.wire_ring import BY_NAME, COMPLETION, DESCRIPTOR, Body, Control, Interrupt, State

SUBMISSION, COMPLETIONS, BODY = 0x1000, 0x2000, 0x4000
MEMORY_BYTES = 0x8000
LOG2 = 3


class Host:
    def __init__(self):
        self.memory = bytearray(MEMORY_BYTES)
        self.reads, self.interrupts = [], 0
        self.model = PcieModel(lambda: GoldenCore(job_slots=4, rng=random.Random(1)), self)
        self.produced = self.tag = 0

    def read(self, address, size):
        self.reads.append((address, size))
        if address + size > MEMORY_BYTES:
            raise DmaFault
        return bytes(self.memory[address : address + size])

    def write(self, address, data):
        self.memory[address : address + len(data)] = data

    def interrupt(self):
        self.interrupts += 1

    def get(self, name):
        register = BY_NAME[name]
        return int.from_bytes(self.model.read(register.offset, register.size), "little")

    def set(self, name, value):
        register = BY_NAME[name]
        for at in range(0, register.size, 4):
            self.model.write(
                register.offset + at, (value >> 8 * at & 0xFFFFFFFF).to_bytes(4, "little")
            )

    def start(self, **changes):
        setup = {
            "submission_base": SUBMISSION,
            "completion_base": COMPLETIONS,
            "submission_log2": LOG2,
            "completion_log2": LOG2,
        }
        for name, value in (setup | changes).items():
            self.set(name, value)
        self.set("control", Control.ENABLE)
        return State(self.get("status"))

    def put(self, op, body=b"", ring=True, **fields):
        self.tag += 1
        record = {"version": wire.VERSION, "op": op, "tag": self.tag, "session": 5}
        record |= {"length": len(body), "body": body[:32]} | fields
        at = SUBMISSION + self.produced % (1 << LOG2) * DESCRIPTOR.size
        self.memory[at : at + DESCRIPTOR.size] = DESCRIPTOR.pack(**record)
        self.produced += 1
        if ring:
            self.set("doorbell", self.produced)
        return self.tag

    def run(self):
        for _ in range(100):
            if not self.model.busy:
                return
            self.model.step()
        pytest.fail("it does not come to rest")

    def completion(self, number):
        at = COMPLETIONS + number % (1 << LOG2) * COMPLETION.size
        fields = COMPLETION.unpack(self.memory[at : at + COMPLETION.size])
        assert fields["sequence"] == number + 1
        return fields

    def ask(self, op, body=b"", **fields):
        number = self.get("completions")
        tag = self.put(op, body, **fields)
        self.run()
        answer = self.completion(number)
        self.set("completion_taken", number + 1)
        assert answer["tag"] in (tag, 0)
        return answer


@pytest.fixture
def host():
    host = Host()
    assert State.RUNNING in host.start()
    assert host.ask(Op.OPEN)["status"] == Status.OK
    return host


def test_identity_and_version_stand_in_the_bar():
    host = Host()
    record = wire.IDENTITY.unpack(host.model.read(wire_ring.IDENTITY_OFFSET, wire.IDENTITY.size))
    assert record["magic"] == wire.MAGIC
    assert host.get("protocol") == wire.VERSION
    assert State(host.get("status")) == State.READY | State.BUS_MASTER


@pytest.mark.parametrize(
    "changes",
    [
        {"submission_base": 0},
        {"completion_base": 0},
        {"submission_base": SUBMISSION + 64},
        {"completion_base": COMPLETIONS + 2048},
        {"submission_log2": 0},
        {"completion_log2": wire_ring.MAX_RING_LOG2 + 1},
    ],
)
def test_bad_rings_do_not_run(changes):
    host = Host()
    assert host.start(**changes) & (State.RUNNING | State.BAD_RING) == State.BAD_RING
    host.put(Op.OPEN)
    assert host.get("bad_doorbells") == 1
    assert not host.model.busy


def test_rings_cannot_move_while_enabled(host):
    for name in ("submission_base", "completion_base", "submission_log2", "completion_log2"):
        before = host.get(name)
        host.set(name, 0)
        assert host.get(name) == before
    host.set("control", 0)
    assert not host.get("status") & State.RUNNING
    host.set("submission_base", 0x3000)
    assert host.get("submission_base") == 0x3000


def test_bytes_of_registers_are_written_alone():
    host = Host()
    host.set("submission_base", 0x1122334455667788)
    offset = BY_NAME["submission_base"].offset
    host.model.write(offset + 1, b"\xaa\xbb")
    host.model.write(offset + 7, b"\xcc")
    assert host.get("submission_base") == 0xCC22334455BBAA88
    assert host.model.read(offset + 2, 1) == b"\xbb"


def test_doorbells_that_make_no_sense_are_counted_and_change_nothing(host):
    good = host.get("doorbell")
    for value in (good - 1, good + 9, good + 0x80000000, 0xFFFFFFFF):
        host.set("doorbell", value & 0xFFFFFFFF)
        assert host.get("doorbell") == good
    assert host.get("bad_doorbells") == 4
    host.set("completion_taken", 0)
    host.set("completion_taken", host.get("completions") + 1)
    assert host.get("bad_doorbells") == 6
    assert host.ask(Op.COUNTERS)["status"] == Status.OK


IN_MEMORY = {"where": Body.MEMORY, "address": BODY}


@pytest.mark.parametrize(
    ("fields", "status", "count"),
    [
        ({"where": 7}, Status.BAD_DESCRIPTOR, "bad_descriptors"),
        ({"length": 33}, Status.BAD_DESCRIPTOR, "bad_descriptors"),
        (IN_MEMORY | {"length": 4097}, Status.BAD_LENGTH, "bad_descriptors"),
        (IN_MEMORY | {"address": BODY + 4, "length": 9}, Status.BAD_ADDRESS, "bad_descriptors"),
        (IN_MEMORY | {"address": 1 << 60, "length": 9}, Status.DMA_ERROR, "dma_errors"),
    ],
)
def test_bad_descriptors_are_answered_and_use_up_no_tag(host, fields, status, count):
    answer = host.ask(Op.COUNTERS, **fields)
    assert (answer["status"], answer["op"], answer["length"]) == (status, Op.COUNTERS, 0)
    assert host.get(count) == 1
    host.tag -= 1
    assert host.ask(Op.COUNTERS)["status"] == Status.OK


def test_unknown_ops_are_the_core_s_to_refuse(host):
    assert host.ask(0x7F)["status"] == Status.BAD_OP


def test_a_descriptor_that_cannot_be_read_is_named_by_its_number():
    host = Host()
    host.start(submission_base=MEMORY_BYTES)
    host.put(Op.OPEN)
    host.run()
    answer = host.completion(0)
    assert (answer["op"], answer["status"], answer["descriptor"]) == (0, Status.DMA_ERROR, 0)
    assert host.get("descriptors_taken") == 1


def test_a_body_is_read_once(host):
    host.memory[BODY : BODY + 100] = b"k" * 100
    host.reads.clear()
    host.ask(Op.SIGN_MESSAGE, where=Body.MEMORY, address=BODY, length=100)
    assert host.reads.count((BODY, 100)) == 1
    assert len(host.reads) == 2


def test_a_full_completion_ring_holds_answers_back(host):
    taken = host.get("completions")
    for _ in range(1 << LOG2):
        host.put(Op.COUNTERS)
    host.run()
    host.put(Op.COUNTERS)
    host.run()
    assert host.get("completions") == taken + (1 << LOG2)
    assert host.get("status") & State.FULL
    host.set("completion_taken", taken + 1)
    host.run()
    assert host.get("completions") == taken + (1 << LOG2) + 1
    assert not host.get("status") & State.FULL


def test_interrupts_are_sent_once_masked_and_covered(host):
    host.set("interrupt", Interrupt.ENABLE)
    host.ask(Op.COUNTERS)
    assert host.interrupts == 1
    host.set("interrupt", Interrupt.ENABLE | Interrupt.MASK)
    number = host.get("completions")
    host.put(Op.COUNTERS)
    host.run()
    assert host.interrupts == 1
    host.set("interrupt", Interrupt.ENABLE)
    assert host.interrupts == 2
    host.set("completion_taken", number + 1)
    host.set("interrupt", Interrupt.ENABLE | Interrupt.MASK)
    host.ask(Op.COUNTERS)
    host.set("interrupt", Interrupt.ENABLE)
    assert host.interrupts == 2
    assert host.get("interrupts") == 2


def test_nothing_goes_out_without_the_bus_master_bit(host):
    host.model.bus_master = False
    host.put(Op.COUNTERS)
    assert not host.model.busy
    host.model.bus_master = True
    host.run()
    assert host.get("completions") == 2


def test_reset_forgets_everything(host):
    assert host.ask(Op.LOAD_KEY, bytes(range(32)), curve=1)["status"] == Status.OK
    host.set("control", Control.RESET)
    assert State(host.get("status")) == State.READY | State.BUS_MASTER
    for name in ("completions", "doorbell", "submission_base", "control"):
        assert host.get(name) == 0
    host.produced = 0
    host.start()
    assert host.ask(Op.PUBLIC_KEY)["status"] == Status.STALE_SESSION
