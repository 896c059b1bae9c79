"""Deadlines: refused before they are sent, never given out late, forgotten when they ended."""

import time
from concurrent.futures import Future

import pytest

import intaglio
from intaglio import Curve, SignRequest, errors, wire
from intaglio.deadline import COMPACT_ABOVE, Deadlines, due_at
from intaglio.work import Work

SECRET = bytes(range(1, 33))


def start(rig, key, message, deadline):
    future = Future()
    work = Work(key, wire.Op.SIGN_MESSAGE, message, future, deadline, rig.now)
    rig.dispatcher.start_many([work], rig.now)
    return future


def test_what_would_be_late_is_not_sent(rig):
    rig = rig(job_slots=1)
    (key,) = rig.load_now((Curve.ED25519, SECRET))
    first = start(rig, key, b"first", None)
    second = start(rig, key, b"second", rig.now + 0.5)
    rig.now += 0.6
    rig.settle(first, second)
    assert first.result()
    with pytest.raises(errors.DeadlineError, match=r"not signed by dut: the deadline is -100\.0"):
        second.result()
    assert b"second" not in rig.sent
    assert rig.dispatcher.depth == 0
    assert rig.dispatcher.stats.late == 1


def test_what_is_late_is_not_given_out(rig):
    rig = rig()
    (key,) = rig.load_now((Curve.ED25519, SECRET))
    future = start(rig, key, b"m", rig.now + 0.25)
    rig.device.write(bytes(rig.dispatcher.output))
    rig.dispatcher.output.clear()
    data = rig.device.run()
    rig.now += 0.3
    rig.dispatcher.feed(data, rig.now)
    with pytest.raises(errors.DeadlineError):
        future.result(0)
    assert rig.dispatcher.in_device[0] == 0


def test_a_waiting_request_ends_at_its_deadline_and_its_tag_stays_taken(rig):
    rig = rig(silent_after=2)
    (key,) = rig.load_now((Curve.ED25519, SECRET))
    future = start(rig, key, b"m", rig.now + 0.25)
    assert rig.dispatcher.next_deadline == rig.now + 0.25
    rig.step()
    assert not future.done()
    rig.now += 0.25
    rig.step()
    assert isinstance(future.exception(0), errors.DeadlineError)
    assert rig.dispatcher.in_device[0] == 1


def test_a_busy_device_that_is_sure_to_be_late_is_not_asked(rig):
    rig = rig(job_slots=4)
    (key,) = rig.load_now((Curve.ED25519, SECRET))
    for _ in range(300):
        future = rig.sign(key, b"slow")
        rig.device.write(bytes(rig.dispatcher.output))
        rig.dispatcher.output.clear()
        rig.now += 0.5
        rig.dispatcher.feed(rig.device.run(), rig.now)
        assert future.done()
    busy = rig.sign(key, b"busy")
    late = start(rig, key, b"late", rig.now + 0.3)
    soon = start(rig, key, b"soon", rig.now + 1)
    assert isinstance(late.exception(0), errors.DeadlineError)
    rig.settle(busy, soon)
    idle = start(rig, key, b"idle", rig.now + 0.3)
    rig.settle(idle)
    assert idle.result()
    assert soon.result()


@pytest.mark.parametrize("url", ["soft:", "model:"])
def test_every_verb_takes_a_deadline(url):
    with intaglio.open(url) as signer:
        key = signer.load_key("ed25519", SECRET)
        past, future = time.monotonic() - 1, time.monotonic() + 60
        assert signer.sign(key, b"m", deadline=future) == signer.sign(key, b"m", timeout_s=60)
        with pytest.raises(errors.DeadlineError):
            signer.sign(key, b"m", deadline=past)
        results = signer.sign_many(
            [SignRequest(key, b"m", deadline=past), SignRequest(key, b"m", deadline=future)],
            return_exceptions=True,
        )
        assert isinstance(results[0], errors.DeadlineError)
        assert results[1].raw == signer.sign(key, b"m").raw
        with pytest.raises(errors.InputError, match="either deadline= or timeout_s="):
            signer.sign(key, b"m", deadline=future, timeout_s=1)
        with pytest.raises(errors.InputError, match="above 0 seconds, not 0"):
            signer.sign(key, b"m", timeout_s=0)


def test_deadlines_of_ended_requests_are_forgotten():
    deadlines = Deadlines("x")
    for _ in range(20):
        futures = [Future() for _ in range(COMPACT_ABOVE)]
        for future in futures:
            deadlines.add(1e9, future)
        for future in futures:
            future.set_result(None)
    assert len(deadlines) <= 2 * COMPACT_ABOVE
    assert deadlines.next is None
    assert due_at(None, None) is None
