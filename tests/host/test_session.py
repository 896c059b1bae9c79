"""The session by hand-made replies: tags, retransmission, windows, time-outs, versions."""

import random
from itertools import pairwise

import pytest

from intaglio import errors, frame, wire
from intaglio.outcome import Request
from intaglio.session import EAGER_TRIES, OVERTAKEN, SILENT_TRIES, Session
from intaglio.sim.model.core import GoldenCore
from intaglio.wire import Op, Status

RETRY_S = 1.0


class Line:
    """A session, the requests that left it and the outcomes that came back."""

    def __init__(self, job_slots=4, pool_bytes=8192):
        self.session = Session("dut", RETRY_S, random.Random(1))
        self.decoder = frame.Decoder(wire.MAX_REQUEST_BYTES)
        self.identity = GoldenCore(job_slots=job_slots, pool_bytes=pool_bytes).identity()
        self.now = 100.0
        self.sent = []
        self.outcomes = []

    def take(self, data):
        """Note the requests in ``data``; return them."""
        new = [
            (wire.REQUEST.unpack(payload), payload[wire.REQUEST.size :])
            for payload in self.decoder.feed(data)
        ]
        self.sent += new
        return [header for header, _ in new]

    def open(self):
        (header,) = self.take(self.session.open("open", self.now))
        self.reply(header, body=self.identity)
        self.outcomes.clear()
        return header

    def submit(self, handle, op=Op.SIGN_MESSAGE, body=b"m"):
        (header,) = self.take(self.session.submit(Request(op, body), handle, self.now))
        return header

    def reply(self, header, status=Status.OK, body=b"", **fields):
        values = {"version": wire.VERSION, "op": header["op"], "tag": header["tag"]}
        payload = wire.REPLY.pack(**values | {"status": status, "length": len(body)} | fields)
        return self.feed(frame.encode(payload + body))

    def feed(self, data):
        new = self.session.feed(data, self.now)
        self.outcomes += new
        return new

    def poll(self, after=0.0):
        self.now += after
        data, outcomes = self.session.poll(self.now)
        self.outcomes += outcomes
        return self.take(data)


@pytest.fixture
def line():
    line = Line()
    line.open()
    return line


SIGNATURE = bytes(range(64))


def test_open_tells_the_identity_and_the_window():
    line = Line(job_slots=3)
    header = line.take(line.session.open("open", 0.0))[0]
    assert (header["op"], header["version"]) == (Op.OPEN, wire.VERSION)
    assert header["session"] != 0
    assert line.session.identity is None
    (outcome,) = line.reply(header, body=line.identity)
    assert (outcome.handle, outcome.error) == ("open", None)
    assert line.session.identity.job_slots == 3


def test_each_request_is_answered_by_its_tag(line):
    first, second = line.submit("a"), line.submit("b")
    assert wire.is_newer(second["tag"], first["tag"])
    assert first["session"] == second["session"] != 0
    line.reply(second, body=SIGNATURE, recid=1, cycles=7)
    line.reply(first, body=SIGNATURE[::-1], recid=wire.NO_RECID)
    assert [(o.handle, o.reply.body, o.reply.recid) for o in line.outcomes] == [
        ("b", SIGNATURE, 1),
        ("a", SIGNATURE[::-1], wire.NO_RECID),
    ]
    assert line.outcomes[0].reply.cycles == 7
    assert line.session.outstanding == 0
    assert line.session.next_deadline is None


def test_header_carries_slot_curve_generation_and_length(line):
    request = Request(Op.SIGN_MESSAGE, b"abc", 5, wire.CurveId.SECP256K1, 77)
    (header,) = line.take(line.session.submit(request, "a", line.now))
    assert (header["slot"], header["curve"], header["generation"]) == (5, 2, 77)
    assert header["length"] == 3
    assert line.sent[-1][1] == b"abc"


def test_silence_sends_again_under_a_new_tag_and_the_first_answer_counts(line):
    first = line.submit("a")
    assert line.poll(RETRY_S * 0.99) == []
    (again,) = line.poll(RETRY_S * 0.02)
    assert wire.is_newer(again["tag"], first["tag"])
    assert line.sent[-1][1] == b"m"
    line.reply(first, body=SIGNATURE)
    line.reply(again, body=SIGNATURE)
    assert [o.handle for o in line.outcomes] == ["a"]
    assert (line.session.resent, line.session.unmatched) == (1, 1)


def test_a_dead_device_ends_in_one_timeout_for_each_request(line):
    line.submit("a")
    line.submit("b")
    for _ in range(SILENT_TRIES - 1):
        assert len(line.poll(RETRY_S)) == 2
    assert line.poll(RETRY_S) == []
    assert [o.handle for o in line.outcomes] == ["a", "b"]
    assert all(isinstance(o.error, errors.RequestTimeout) for o in line.outcomes)
    assert f"{SILENT_TRIES} tries of 1 s" in str(line.outcomes[0].error)


def test_a_slow_device_is_left_alone_while_it_answers_anything(line):
    headers = [line.submit(i) for i in range(4)]
    for header in headers:
        assert line.poll(RETRY_S * 0.9) == []
        line.reply(header, body=SIGNATURE)
    assert [o.handle for o in line.outcomes] == [0, 1, 2, 3]
    assert line.session.resent == 0


def test_a_link_that_still_takes_bytes_is_not_silent(line):
    line.submit("a")
    line.now += RETRY_S * 0.9
    line.session.moved(line.now)
    assert line.poll(RETRY_S * 0.9) == []
    assert len(line.poll(RETRY_S * 0.2)) == 1


def test_deadline_is_when_poll_has_something_to_do(line):
    line.submit("a")
    assert line.session.next_deadline == line.now + RETRY_S
    line.now = line.session.next_deadline
    assert len(line.poll()) == 1


def test_bad_frame_sends_the_next_newer_request_again_at_once(line):
    a, b, c = line.submit("a"), line.submit("b"), line.submit("c")
    bad = {"op": 0, "tag": a["tag"]}
    line.reply(bad, Status.BAD_FRAME)
    assert line.session.next_deadline == line.now
    (again,) = line.poll()
    line.reply(bad, Status.BAD_FRAME)
    (again_c,) = line.poll()
    for header in (a, again, again_c):
        line.reply(header, body=SIGNATURE)
    assert [o.handle for o in line.outcomes] == ["a", "b", "c"]
    assert b["tag"] != again["tag"]
    assert c["tag"] != again_c["tag"]


def test_bad_frame_with_nothing_newer_is_ignored(line):
    a = line.submit("a")
    line.reply({"op": 0, "tag": a["tag"]}, Status.BAD_FRAME)
    assert line.poll() == []
    assert line.outcomes == []


def test_an_overtaken_request_is_sent_again(line):
    lost = line.submit("lost")
    for i in range(4 * OVERTAKEN):
        assert line.poll() == []
        line.reply(line.submit(i), body=SIGNATURE)
    (again,) = line.poll()
    assert again["tag"] != lost["tag"]
    line.reply(again, body=SIGNATURE)
    assert line.outcomes[-1].handle == "lost"


def test_duplicate_answers_are_ignored(line):
    a = line.submit("a")
    line.reply(a, Status.DUPLICATE)
    assert line.outcomes == []
    line.reply(a, body=SIGNATURE)
    assert [o.error for o in line.outcomes] == [None]
    assert line.session.duplicates == 1


def test_key_in_use_is_asked_again_later_with_growing_delay(line):
    header = line.submit("load", Op.LOAD_KEY, bytes(32))
    delays = []
    for _ in range(4):
        line.reply(header, Status.KEY_IN_USE)
        assert line.poll() == []
        delays.append(line.session.next_deadline - line.now)
        (header,) = line.poll(delays[-1])
    assert delays == pytest.approx([RETRY_S / 64, RETRY_S / 32, RETRY_S / 16, RETRY_S / 8])
    line.reply(header, body=wire.KEY.pack(generation=3))
    assert wire.KEY.unpack(line.outcomes[0].reply.body)["generation"] == 3


def test_key_in_use_for_ever_is_an_error(line):
    header = line.submit("load", Op.LOAD_KEY, bytes(32))
    for _ in range(EAGER_TRIES):
        line.reply(header, Status.KEY_IN_USE)
        sent = line.poll(RETRY_S)
        header = sent[0] if sent else header
    assert [type(o.error) for o in line.outcomes] == [errors.RequestTimeout]


@pytest.mark.parametrize(
    "status", sorted(set(errors.BY_STATUS) - {Status.DUPLICATE, Status.KEY_IN_USE})
)
def test_each_refusal_is_its_exception(line, status):
    line.reply(line.submit("a"), status)
    (outcome,) = line.outcomes
    assert type(outcome.error) is errors.BY_STATUS[status]
    assert str(outcome.error).startswith("dut refused SIGN_MESSAGE: ")


def test_window_counts_jobs(line):
    for i in range(4):
        assert line.session.room(Request(Op.SIGN_MESSAGE, b"m"))
        last = line.submit(i)
    assert not line.session.room(Request(Op.COUNTERS))
    line.reply(last, body=SIGNATURE)
    assert line.session.room(Request(Op.COUNTERS))


def test_window_counts_whole_pages():
    line = Line(job_slots=64, pool_bytes=4096)
    line.open()
    first = line.submit("a", body=bytes(4096 - 128))
    assert line.session.room(Request(Op.SIGN_MESSAGE, bytes(128)))
    assert not line.session.room(Request(Op.SIGN_MESSAGE, bytes(129)))
    line.reply(first, body=SIGNATURE)
    assert line.session.room(Request(Op.SIGN_MESSAGE, bytes(4096)))


def test_another_version_ends_everything_with_both_versions_named(line):
    line.submit("a")
    header = line.submit("b")
    line.reply(header, version=7)
    assert [o.handle for o in line.outcomes] == ["a", "b"]
    assert all(isinstance(o.error, errors.ProtocolError) for o in line.outcomes)
    assert "version 7, this host version 2" in str(line.outcomes[0].error)


@pytest.mark.parametrize(
    ("status", "body", "length"),
    [(Status.OK, b"short", 5), (Status.OK, SIGNATURE, 63), (200, b"", 0)],
)
def test_answers_that_no_device_may_give(line, status, body, length):
    line.reply(line.submit("a"), status, body, length=length)
    assert [type(o.error) for o in line.outcomes] == [errors.ProtocolError]


@pytest.mark.parametrize("change", [{"magic": b"NOPE"}, {"job_slots": 0}, {"version": 3}])
def test_a_broken_identity(change):
    line = Line()
    (header,) = line.take(line.session.open("open", line.now))
    record = wire.IDENTITY.unpack(line.identity) | change
    line.reply(header, body=wire.IDENTITY.pack(**record))
    assert [type(o.error) for o in line.outcomes] == [errors.ProtocolError]
    assert line.session.identity is None


def test_replies_to_nothing_are_counted(line):
    a = line.submit("a")
    line.reply({"op": a["op"], "tag": a["tag"] ^ 0x4000}, body=SIGNATURE)
    line.reply({"op": Op.COUNTERS, "tag": a["tag"]}, body=bytes(24))
    line.feed(frame.encode(bytes([wire.VERSION, 1, 2])))
    assert line.outcomes == []
    assert line.session.unmatched == 3


def test_open_again_takes_another_session_and_forgets_old_answers(line):
    a = line.submit("a")
    with pytest.raises(RuntimeError):
        line.session.open("open", line.now)
    assert line.session.abandon() == ["a"]
    (header,) = line.take(line.session.open("open", line.now))
    assert header["session"] not in (0, a["session"])
    line.reply(a, body=SIGNATURE)
    assert line.outcomes == []
    line.reply(header, body=line.identity)
    assert [o.handle for o in line.outcomes] == ["open"]


def test_open_survives_a_damaged_frame_and_silence():
    line = Line()
    line.take(line.session.open("open", line.now))
    line.reply({"op": 0, "tag": 0}, Status.BAD_FRAME)
    assert len(line.poll()) == 1
    (header,) = line.poll(RETRY_S)
    line.reply(header, body=line.identity)
    assert [o.error for o in line.outcomes] == [None]
    assert len({sent["session"] for sent, _ in line.sent}) == 1


def test_tags_wrap(line):
    tags = []
    for i in range(70000):
        header = line.submit(i)
        tags.append(header["tag"])
        line.reply(header, body=SIGNATURE)
    assert all(wire.is_newer(b, a) for a, b in pairwise(tags))
    assert [o.handle for o in line.outcomes] == list(range(70000))


def test_secrets_do_not_show():
    assert "5a5a" not in repr(Request(Op.LOAD_KEY, b"\x5a" * 32))
    assert "Z" * 8 not in repr(Request(Op.LOAD_KEY, b"\x5a" * 32))


def test_heartbeats_do_not_hide_a_lost_job(line):
    line.submit("lost")
    resent = []
    for _ in range(400):
        beat = line.submit("beat", Op.COUNTERS, b"")
        line.session.moved(line.now)
        line.now += 0.05 * RETRY_S
        line.reply(beat, body=bytes(wire.COUNTERS.size))
        resent += [line.now for header in line.poll() if header["op"] == Op.SIGN_MESSAGE]
        if line.outcomes[-1].handle == "lost":
            break
    assert len(resent) == SILENT_TRIES - 1
    assert resent[0] == pytest.approx(100 + RETRY_S, abs=0.06)
    assert isinstance(line.outcomes[-1].error, errors.RequestTimeout)


def test_a_link_that_is_slow_to_send_is_not_silent(line):
    line.submit("big", body=bytes(4096))
    for _ in range(10):
        line.now += 0.9 * RETRY_S
        line.session.moved(line.now, drained=False)
        assert line.poll() == []
    line.session.moved(line.now, drained=True)
    line.session.moved(line.now + 0.5, drained=True)
    assert line.session.next_deadline == line.now + RETRY_S
