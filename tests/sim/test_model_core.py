"""The golden core: each status, in the order its module states; generations, sessions, counters."""

import random

import coincurve
import nacl.signing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intaglio import wire
from intaglio.sim.model.core import GoldenCore, nominal_cycles
from intaglio.wire import CurveId, Op, Status

SECRET = bytes(range(1, 33))
ORDER = coincurve.utils.GROUP_ORDER_INT


class Bench:
    """A core with a session open, and requests with fields that are right unless named."""

    def __init__(self, **options):
        self.core = GoldenCore(**options)
        self.tag = 100
        self.session = 0x1234
        self.send(Op.OPEN)

    def request(self, op, body=b"", **fields):
        self.tag = (self.tag + 1) & 0xFFFF
        values = {"op": op, "tag": self.tag, "session": self.session, "length": len(body)}
        return wire.REQUEST.pack(**{"version": wire.VERSION, **values, **fields}) + body

    def accept(self, op, body=b"", **fields):
        """What is answered at once, as (status, body), or ``None``."""
        reply = self.core.accept(self.request(op, body, **fields))
        return reply and parse(reply)

    def send(self, op, body=b"", **fields):
        return parse(self.core.transact(self.request(op, body, **fields)))

    def load(self, slot=0, curve=CurveId.ED25519, secret=SECRET):
        """Generation and public key of a key loaded."""
        status, body, _ = self.send(Op.LOAD_KEY, secret, slot=slot, curve=curve)
        assert status is Status.OK
        record = wire.KEY.unpack(body)
        return record["generation"], record["public_key"]

    def counters(self):
        return wire.COUNTERS.unpack(self.send(Op.COUNTERS)[1])


def parse(reply):
    header = wire.REPLY.unpack(reply)
    body = reply[wire.REPLY.size :]
    assert header["length"] == len(body)
    assert header["version"] == wire.VERSION
    return Status(header["status"]), body, header


@pytest.fixture
def bench():
    return Bench()


def test_identity(bench):
    for op in (Op.OPEN, Op.IDENTIFY):
        status, body, header = bench.send(op)
        identity = wire.IDENTITY.unpack(body)
        assert (status, header["op"], header["tag"]) == (Status.OK, op, bench.tag)
        assert identity["magic"] == wire.MAGIC
        assert identity["curves"] == 0b110
        assert (identity["key_slots"], identity["job_slots"]) == (16, 64)
        assert header["cycles"] == 0
        assert header["recid"] == wire.NO_RECID


@pytest.mark.parametrize("length", [0, 1, 55, 56, 111, 112, 127, 128, 4096])
def test_signatures(bench, length):
    message = bytes(length)
    generation, public = bench.load(0)
    assert public == bytes(nacl.signing.SigningKey(SECRET).verify_key) + bytes(32)
    status, raw, header = bench.send(
        Op.SIGN_MESSAGE, message, curve=CurveId.ED25519, generation=generation
    )
    assert (status, header["recid"]) == (Status.OK, wire.NO_RECID)
    assert raw == nacl.signing.SigningKey(SECRET).sign(message).signature
    assert header["cycles"] == nominal_cycles(Op.SIGN_MESSAGE, CurveId.ED25519, length)
    generation, public = bench.load(1, CurveId.SECP256K1)
    private = coincurve.PrivateKey(SECRET)
    assert public == private.public_key.format(compressed=False)[1:]
    fields = {"slot": 1, "curve": CurveId.SECP256K1, "generation": generation}
    status, raw, header = bench.send(Op.SIGN_MESSAGE, message, **fields)
    assert raw + bytes([header["recid"]]) == private.sign_recoverable(message)
    status, raw, header = bench.send(Op.SIGN_DIGEST, bytes(32), **fields)
    assert raw + bytes([header["recid"]]) == private.sign_recoverable(bytes(32), None)


def sign_fields(**fields):
    return {"curve": CurveId.ED25519, "generation": 2, **fields}


@pytest.mark.parametrize(
    ("status", "op", "body", "fields"),
    [
        (Status.BAD_VERSION, Op.SIGN_MESSAGE, b"", {"version": wire.VERSION + 1}),
        (Status.BAD_VERSION, Op.OPEN, b"", {"version": 0}),
        (Status.BAD_OP, 0, b"", {}),
        (Status.BAD_OP, 0x22, b"", {}),
        (Status.BAD_LENGTH, Op.OPEN, b"x", {}),
        (Status.BAD_LENGTH, Op.IDENTIFY, b"x", {}),
        (Status.BAD_LENGTH, Op.COUNTERS, b"x", {}),
        (Status.BAD_LENGTH, Op.LOAD_KEY, bytes(31), sign_fields()),
        (Status.BAD_LENGTH, Op.SIGN_DIGEST, bytes(33), sign_fields(curve=CurveId.SECP256K1)),
        (Status.BAD_LENGTH, Op.SIGN_MESSAGE, bytes(4097), sign_fields()),
        (Status.BAD_LENGTH, Op.SIGN_MESSAGE, b"abc", sign_fields(length=2)),
        (Status.BAD_CURVE, Op.SIGN_MESSAGE, b"", sign_fields(curve=0)),
        (Status.BAD_CURVE, Op.SIGN_MESSAGE, b"", sign_fields(curve=3)),
        (Status.BAD_CURVE, Op.LOAD_KEY, SECRET, {"curve": 7}),
        (Status.BAD_CURVE, Op.SIGN_DIGEST, bytes(32), sign_fields()),
        (Status.BAD_SLOT, Op.SIGN_MESSAGE, b"", sign_fields(slot=16)),
        (Status.BAD_SLOT, Op.LOAD_KEY, SECRET, {"curve": CurveId.ED25519, "slot": 255}),
        (Status.BAD_SLOT, Op.PUBLIC_KEY, b"", {"slot": 16}),
        (Status.BAD_SLOT, Op.WIPE_KEY, b"", {"slot": 16}),
        (Status.EMPTY_SLOT, Op.SIGN_MESSAGE, b"", sign_fields(slot=1)),
        (Status.EMPTY_SLOT, Op.PUBLIC_KEY, b"", {"slot": 1}),
        (Status.WRONG_CURVE, Op.SIGN_MESSAGE, b"", sign_fields(curve=CurveId.SECP256K1)),
        (Status.STALE_KEY, Op.SIGN_MESSAGE, b"", sign_fields(generation=1)),
        (Status.STALE_SESSION, Op.SIGN_MESSAGE, b"", sign_fields(session=0x1235)),
        (Status.STALE_SESSION, Op.COUNTERS, b"", {"session": 0}),
        (Status.STALE_SESSION, Op.OPEN, b"", {"session": 0}),
        (Status.INVALID_KEY, Op.LOAD_KEY, bytes(32), {"curve": CurveId.SECP256K1}),
        (Status.INVALID_KEY, Op.LOAD_KEY, ORDER.to_bytes(32, "big"), {"curve": 2}),
        (Status.DUPLICATE, Op.SIGN_MESSAGE, b"", sign_fields(tag=102)),
        (Status.DUPLICATE, Op.COUNTERS, b"", {"tag": 102 + 0x8000}),
    ],
)
def test_each_refusal(bench, status, op, body, fields):
    assert bench.load(0) == (2, bench.core.slots[0].point + bytes(32))
    assert bench.tag == 102
    answer, nothing, header = bench.send(op, body, **fields)
    assert (answer, nothing, header["cycles"]) == (status, b"", 0)
    assert header["op"] == op
    assert header["tag"] == fields.get("tag", bench.tag)
    counters = bench.core.counters
    duplicate = status is Status.DUPLICATE
    assert (counters["duplicates"], counters["refused"]) == (duplicate, not duplicate)
    assert not bench.core.jobs


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (Status.BAD_VERSION, {}),
        (Status.BAD_OP, {"version": wire.VERSION}),
        (Status.STALE_SESSION, {"op": Op.SIGN_MESSAGE}),
        (Status.DUPLICATE, {"session": 0x1234}),
        (Status.BAD_LENGTH, {"tag": 103}),
        (Status.BAD_CURVE, {"length": 1}),
        (Status.BAD_SLOT, {"curve": 2, "tag": 104}),
        (Status.EMPTY_SLOT, {"slot": 1, "tag": 105}),
        (Status.WRONG_CURVE, {"slot": 0, "tag": 106}),
        (Status.STALE_KEY, {"curve": 1, "tag": 107}),
    ],
)
def test_order_of_the_checks(bench, status, fields):
    """All is wrong at first; each row mends what the row above was refused for."""
    bench.load(0)
    wrong = {"version": 9, "op": 0xFF, "session": 9, "tag": 1, "length": 9, "curve": 9, "slot": 99}
    rows = test_order_of_the_checks.pytestmark[0].args[1]
    for row_status, row in rows[: [one for one, _ in rows].index(status)]:
        wrong |= row
        assert row_status is not status
    wrong |= fields
    assert parse(bench.core.accept(wire.REQUEST.pack(**wrong) + b"x"))[0] is status


def test_a_refused_request_uses_up_its_tag(bench):
    request = bench.request(Op.PUBLIC_KEY, slot=3)
    assert parse(bench.core.accept(request))[0] is Status.EMPTY_SLOT
    assert parse(bench.core.accept(request))[0] is Status.DUPLICATE


def test_no_tag_is_executed_twice(bench):
    generation, _ = bench.load(0)
    request = bench.request(Op.SIGN_MESSAGE, b"m", **sign_fields(generation=generation))
    assert bench.core.accept(request) is None
    assert parse(bench.core.accept(request))[0] is Status.DUPLICATE
    assert len(bench.core.jobs) == 1
    bench.core.finish_one()
    assert parse(bench.core.accept(request))[0] is Status.DUPLICATE


def test_a_busy_slot_is_neither_loaded_nor_wiped(bench):
    generation, _ = bench.load(0)
    assert bench.accept(Op.SIGN_MESSAGE, b"m", **sign_fields(generation=generation)) is None
    assert bench.accept(Op.LOAD_KEY, SECRET, curve=1)[0] is Status.KEY_IN_USE
    assert bench.accept(Op.WIPE_KEY)[0] is Status.KEY_IN_USE
    assert bench.accept(Op.WIPE_ALL)[0] is Status.KEY_IN_USE
    assert bench.accept(Op.PUBLIC_KEY)[0] is Status.OK
    assert bench.accept(Op.WIPE_KEY, slot=1)[0] is Status.OK
    assert parse(bench.core.finish_one())[0] is Status.OK
    assert bench.accept(Op.WIPE_KEY)[0] is Status.OK
    assert not bench.core.slots[0].secret


def test_a_loading_slot_is_not_used(bench):
    generation, _ = bench.load(0)
    assert bench.accept(Op.LOAD_KEY, SECRET, curve=1) is None
    for op, body in [
        (Op.SIGN_MESSAGE, b"m"),
        (Op.PUBLIC_KEY, b""),
        (Op.LOAD_KEY, SECRET),
        (Op.WIPE_KEY, b""),
    ]:
        fields = sign_fields(generation=generation + 1)
        assert bench.accept(op, body, **fields)[0] is Status.KEY_IN_USE
    body = parse(bench.core.finish_one())[1]
    assert wire.KEY.unpack(body)["generation"] == generation + 1


def test_every_zeroising_changes_the_generation(bench):
    generations = [bench.core.slots[0].generation]
    for op, body in [
        (Op.LOAD_KEY, SECRET),
        (Op.LOAD_KEY, SECRET),
        (Op.WIPE_KEY, b""),
        (Op.WIPE_KEY, b""),
        (Op.WIPE_ALL, b""),
        (Op.OPEN, b""),
    ]:
        assert bench.send(op, body, curve=1)[0] is Status.OK
        generations.append(bench.core.slots[0].generation)
    assert generations == list(range(1, 8))
    bench.core.slots[0].generation = 0xFFFF
    assert bench.load(0)[0] == 0


@pytest.mark.parametrize("op", [Op.WIPE_KEY, Op.WIPE_ALL, Op.OPEN])
def test_wiping_leaves_no_secret(bench, op):
    generation, _ = bench.load(0)
    assert bench.send(op)[0] is Status.OK
    assert not bench.core.slots[0].secret
    assert not bench.core.slots[0].point
    status = bench.accept(Op.SIGN_MESSAGE, b"", **sign_fields(generation=generation))[0]
    assert status is Status.EMPTY_SLOT


def test_a_refused_load_leaves_the_slot_empty(bench):
    bench.load(0)
    assert bench.send(Op.LOAD_KEY, bytes(32), curve=2)[0] is Status.INVALID_KEY
    assert bench.send(Op.PUBLIC_KEY)[0] is Status.EMPTY_SLOT


def test_a_fault_releases_nothing():
    bench = Bench(fault_rate=1.0)
    status, body, _ = bench.send(Op.LOAD_KEY, SECRET, curve=1)
    assert (status, body) == (Status.FAULT, b"")
    assert bench.send(Op.PUBLIC_KEY)[0] is Status.EMPTY_SLOT
    assert bench.counters()["faults"] == 1
    assert bench.counters()["jobs_done"] == 0


def test_open_drops_jobs_and_the_old_session(bench):
    generation, _ = bench.load(0)
    assert bench.accept(Op.SIGN_MESSAGE, b"m", **sign_fields(generation=generation)) is None
    bench.session = 0x4321
    bench.send(Op.OPEN)
    assert bench.core.jobs == []
    assert bench.accept(Op.COUNTERS, session=0x1234)[0] is Status.STALE_SESSION
    assert bench.accept(Op.COUNTERS)[0] is Status.OK


def test_no_session_is_open_after_power_up():
    core = GoldenCore()
    request = wire.REQUEST.pack(version=wire.VERSION, op=Op.COUNTERS, tag=1, session=0)
    assert parse(core.transact(request))[0] is Status.STALE_SESSION


def test_damaged_frames_name_the_last_accepted_tag(bench):
    status, _, header = parse(bench.core.bad_frame())
    assert (status, header["op"], header["tag"]) == (Status.BAD_FRAME, 0, bench.tag)
    assert parse(bench.core.accept(bytes(11)))[0] is Status.BAD_FRAME
    assert bench.counters()["frames_bad"] == 2


def test_counters_of_the_session_start_again_with_open(bench):
    bench.load(0)
    bench.accept(Op.PUBLIC_KEY, slot=5)
    bench.accept(Op.PUBLIC_KEY, tag=bench.tag)
    before = bench.counters()
    assert (before["jobs_done"], before["refused"], before["duplicates"]) == (1, 1, 1)
    bench.send(Op.OPEN)
    after = bench.counters()
    assert (after["jobs_done"], after["refused"], after["duplicates"]) == (0, 0, 0)
    assert after["frames_good"] == before["frames_good"] + 2


def test_jobs_end_out_of_order_by_the_seed():
    def order(seed):
        bench = Bench(rng=random.Random(seed))
        generation, _ = bench.load(0)
        for _ in range(20):
            bench.accept(Op.SIGN_MESSAGE, b"m", **sign_fields(generation=generation))
        return [parse(bench.core.finish_one())[2]["tag"] for _ in range(20)]

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2)) != order(1)


def test_room_counts_jobs_and_pages():
    bench = Bench(job_slots=3, pool_bytes=4096)
    generation, _ = bench.load(0)
    fields = sign_fields(generation=generation)
    assert bench.accept(Op.SIGN_MESSAGE, bytes(3968), **fields) is None
    assert bench.core.has_room(bench.request(Op.SIGN_MESSAGE, bytes(128)))
    assert not bench.core.has_room(bench.request(Op.SIGN_MESSAGE, bytes(129)))
    for _ in range(2):
        assert bench.accept(Op.SIGN_MESSAGE, b"", **fields) is None
    assert not bench.core.has_room(bench.request(Op.COUNTERS))


@given(st.binary(max_size=80), st.data())
def test_no_request_reads_a_secret(noise, data):
    """Whatever op, slot and body: no answer holds a piece of the secret."""
    bench = Bench(key_slots=2)
    bench.load(0)
    bench.load(1, CurveId.SECP256K1)
    op = data.draw(st.one_of(st.sampled_from(Op), st.integers(0, 255)))
    fields = {name: data.draw(st.integers(0, 3)) for name in ("slot", "curve", "generation")}
    reply = bench.core.accept(bench.request(op, noise, **fields))
    reply = bench.core.finish_one() if reply is None else reply
    assert not any(SECRET[at : at + 4] in reply for at in range(29))


@given(st.binary(max_size=200))
def test_any_payload_is_answered(payload):
    bench = Bench()
    status, _, _ = parse(bench.core.transact(payload))
    assert status is not None
