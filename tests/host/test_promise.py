"""Promises: batches, release in order, cancelling; and when bytes are handed to the link."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

import intaglio
from intaglio import SignRequest, errors
from intaglio.batch import Batcher
from intaglio.device import DeviceSigner
from intaglio.promise import Batch, InOrder, begin, fail, succeed
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import ModelDevice, ModelTransport

SECRET = bytes(range(1, 33))


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_in_order_whatever_ends_first(ending, cancelled, failing):
    order, ended, futures = InOrder(), [], []
    for number in range(12):
        future = Future()
        future.add_done_callback(lambda _, n=number: ended.append(n))
        futures.append((future, order.hold(future, lambda: None)))
    for number in cancelled:
        futures[number][0].cancel()
    assert ended == sorted(ended, key=ended.index)
    ended.clear()
    for number in ending:
        future, held = futures[number]
        if begin(held):
            (fail(held, errors.InputError("no")) if number in failing else succeed(held, number))
    assert ended == [n for n in range(12) if n not in cancelled]
    assert order.empty
    for number, (future, _) in enumerate(futures):
        if number not in cancelled:
            assert (future.exception() is not None) == (number in failing)


def test_in_order_asks_whether_it_is_late_at_its_turn():
    order, first, second = InOrder(), Future(), Future()
    one = order.hold(first, lambda: None)
    two = order.hold(second, lambda: errors.DeadlineError("late"))
    succeed(two, 2)
    assert not second.done()
    succeed(one, 1)
    assert first.result(0) == 1
    with pytest.raises(errors.DeadlineError):
        second.result(0)


def test_a_batch_from_many_threads():
    batch = Batch(1000)
    with ThreadPoolExecutor(4) as threads:
        for number, slot in enumerate(batch.slots()):
            threads.submit(succeed, slot, number)
        assert batch.wait() == list(range(1000))
    assert Batch(0).wait() == []


def test_ended_promises_stay_as_they_are():
    future = Future()
    future.cancel()
    assert not begin(future)
    fail(future, errors.InputError("no"))
    succeed(future, 1)
    assert future.cancelled()
    ended = Future()
    ended.set_result(1)
    assert not begin(ended)


def test_bytes_wait_only_while_the_device_is_busy():
    batcher = Batcher(max_bytes=100, max_delay_us=50)
    assert batcher.wait_s(10, idle=True, now=0.0) == 0
    batcher.sent()
    assert batcher.wait_s(10, idle=False, now=1.0) == pytest.approx(50e-6)
    assert batcher.wait_s(20, idle=False, now=1.00002) == pytest.approx(30e-6)
    assert batcher.wait_s(100, idle=False, now=1.00002) == 0
    assert batcher.wait_s(20, idle=False, now=1.00006) == 0
    batcher.sent()
    assert batcher.wait_s(20, idle=False, now=2.0) == pytest.approx(50e-6)
    assert batcher.wait_s(20, idle=True, now=2.0) == 0
    assert batcher.wait_s(0, idle=False, now=3.0) == 0
    assert batcher.wait_s(1, idle=False, now=4.0) == pytest.approx(50e-6)


class CountingTransport(ModelTransport):
    """Counts writes; holds the device's thread in :meth:`read` while :attr:`gate` is clear."""

    def __init__(self):
        super().__init__(ModelDevice(GoldenCore(job_slots=1024, pool_bytes=1 << 20)))
        self.writes = []
        self.gate = threading.Event()
        self.gate.set()
        self.stopped = threading.Event()

    def write(self, data):
        self.writes.append(len(data))
        return super().write(data)

    def read(self, timeout_s, *, or_writable=False):
        if not self.gate.is_set():
            self.stopped.set()
            self.gate.wait()
        return super().read(timeout_s, or_writable=or_writable)


def test_many_threads_share_one_write():
    transport = CountingTransport()
    with DeviceSigner(transport) as signer, ThreadPoolExecutor(50) as threads:
        key = signer.load_key("ed25519", SECRET)
        transport.gate.clear()

        transport.wake()
        transport.stopped.wait()
        transport.writes.clear()
        signed = [threads.submit(signer.sign, key, b"%d" % n) for n in range(50)]
        while len(signer._commands) < 50:
            threading.Event().wait(0.001)
        transport.gate.set()
        assert len({future.result().raw for future in signed}) == 50
        assert len(transport.writes) == 1


def test_ordered_requests_end_in_order():
    with intaglio.open("model:?seed=3&drop=0.02", timeout_s=0.2) as signer:
        keys = signer.load_keys([("ed25519", SECRET), ("secp256k1", SECRET)])
        ended = {key: [] for key in keys}
        futures = []
        for number in range(200):
            key = keys[number % 2]
            future = signer.submit(key, b"%d" % number, ordered=True)
            future.add_done_callback(lambda _, k=key, n=number: ended[k].append(n))
            futures.append(future)
        for future in futures:
            future.exception()
        for key in keys:
            assert ended[key] == sorted(ended[key])
            assert len(ended[key]) == 100
        requests = [SignRequest(keys[0], b"%d" % n, ordered=True) for n in range(50)]
        assert [s.raw for s in signer.sign_many(requests)] == [
            signer.sign(keys[0], b"%d" % n).raw for n in range(50)
        ]


def test_a_signer_takes_no_more_than_it_may_hold():
    transport = ModelTransport(ModelDevice(GoldenCore(job_slots=2)), latency_s=0.02)
    with DeviceSigner(transport, max_queued=8) as signer:
        key = signer.load_key("ed25519", SECRET)
        futures = []

        def submit_all():
            for number in range(1000):
                futures.append(signer.submit(key, b"%d" % number))

        with pytest.raises(errors.BusyError, match="takes no more than 8"):
            submit_all()
        assert all(future.result().raw for future in futures)
        assert signer.sign(key, b"again").raw
