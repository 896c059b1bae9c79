"""Load under a clock that only signing and sleeping move: what is counted, and from when."""

import threading
from concurrent.futures import Future

import pytest

import intaglio
from intaglio.bench import payloads
from intaglio.bench.load import MAX_THREADS, Plan, run
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.errors import FaultError, InputError, LinkError
from intaglio.queued import QueuedSigner
from intaglio.signer import Signer
from intaglio.values import Identity, Signature

MS = 10**6


class Slow(Signer):
    """Signs in the calling thread; what request ``n`` costs is ``costs[n]`` ns, or the error."""

    identity = Identity("slow", DEVICE_CURVES, "slow")
    _submit = _sign_all = submit_load = submit_public_key = None
    submit_wipe = submit_counters = close = None

    def __init__(self, clock, costs):
        self.clock, self.costs, self.seen = clock, iter(costs), []

    def sign(self, key, message=None, *, digest=None, **_):
        self.seen.append(message)
        cost = next(self.costs)
        if isinstance(cost, Exception):
            raise cost
        self.clock.pass_ns(cost)
        return Signature(bytes(64), Curve.ED25519, cycles=7)


def payload(number):
    return str(number).encode(), None


def quietly(signed):
    """No progress."""


def measured(signer, plan):
    return run(signer, None, payload, plan, quietly)


def test_closed_loop_counts_from_when_the_request_is_made(clock):
    signer = Slow(clock, [1 * MS, 500 * MS, 1 * MS, 1 * MS, 600 * MS])
    seen = measured(signer, Plan(1.0, 1))
    assert signer.seen == [b"0", b"1", b"2", b"3", b"4"]
    assert (seen.signed, seen.unsent, seen.last) == (5, 0, 1103 * MS)
    assert seen.latency.at(50) == pytest.approx(1 * MS, rel=2e-3)
    assert seen.latency.at(100) == pytest.approx(600 * MS, rel=2e-3)
    assert seen.cycles.at(100) == 7


def test_open_loop_does_not_omit_what_waits_behind_a_stall(clock):
    offsets = [0.0, 0.01, 0.02, 0.03, 0.5]
    signer = Slow(clock, [100 * MS, 1 * MS, 1 * MS, 1 * MS, 1 * MS])
    seen = measured(signer, Plan(1.0, 1, offsets))
    assert seen.signed == 5
    expected = [100, 91, 82, 73, 1]
    values = sorted(seen.latency.at(100 * (n + 0.5) / 5) for n in range(5))
    assert values == pytest.approx([ms * MS for ms in sorted(expected)], rel=2e-3)
    assert seen.wait.at(100) == pytest.approx(90 * MS, rel=2e-3)
    assert seen.sign.at(100) == pytest.approx(100 * MS, rel=2e-3)
    assert seen.last == 501 * MS


def test_arrivals_that_are_never_sent_are_told_and_counted(clock):
    signer = Slow(clock, [100_000 * MS])
    seen = measured(signer, Plan(40.0, 1, [0.0, 10.0, 20.0]))
    assert (seen.signed, seen.unsent) == (1, 2)
    assert seen.latency.total == 3
    assert seen.latency.at(30) == pytest.approx(80_000 * MS, rel=2e-3)


def test_errors_are_counted_until_none_can_succeed(clock):
    signer = Slow(clock, [FaultError("no"), 1 * MS, FaultError("no")])
    seen = measured(signer, Plan(1.0, 1, [0.0, 0.1, 0.2]))
    assert (seen.signed, dict(seen.errors), seen.latency.total) == (1, {"FaultError": 2}, 1)
    with pytest.raises(LinkError, match="gone"):
        measured(Slow(clock, [1 * MS, LinkError("gone")]), Plan(1.0, 1))


def test_software_takes_so_many_threads(clock):
    with pytest.raises(InputError, match=f"at most {MAX_THREADS}"):
        measured(Slow(clock, []), Plan(1.0, MAX_THREADS + 1))


class Device(QueuedSigner):
    """Ends what it has in hand once ``batch`` requests are in hand, in another thread."""

    identity = Identity("device", DEVICE_CURVES, "device", key_slots=4)
    submit_load = submit_public_key = submit_wipe = submit_counters = close = enqueue = None
    depth = 0
    _admit = None

    def __init__(self, batch, error=None):
        super().__init__("device")
        self.batch, self.error = batch, error
        self.hand, self.most, self.sent = [], 0, 0

    def submit(self, key, message=None, *, digest=None, **_):
        future = Future()
        self.sent += 1
        self.hand.append(future)
        self.most = max(self.most, len(self.hand))
        if len(self.hand) == self.batch:
            hand, self.hand = self.hand, []
            threading.Thread(target=self._end, args=(hand,)).start()
        return future

    def _end(self, hand):
        for future in hand:
            if self.error is None:
                future.set_result(Signature(bytes(64), Curve.SECP256K1, 0, 1152))
            else:
                future.set_exception(self.error)


def test_as_many_are_in_flight_as_asked_for():
    device = Device(4)
    seen = measured(device, Plan(60.0, 4, [0.0] * 40))
    assert device.most == 4
    assert (device.sent, seen.signed, seen.unsent) == (40, 40, 0)
    assert seen.cycles.at(50) == 1152
    for histogram in (seen.latency, seen.wait, seen.encode, seen.sign):
        assert histogram.total == 40


def test_closed_loop_keeps_a_device_full_and_ends():
    device = Device(1)
    seen = measured(device, Plan(0.01, 1))
    assert device.most == 1
    assert seen.signed == device.sent > 0
    assert seen.latency.total == seen.sign.total == seen.signed


def test_errors_of_a_device():
    seen = measured(Device(2, FaultError("no")), Plan(60.0, 2, [0.0] * 6))
    assert (seen.signed, dict(seen.errors)) == (0, {"FaultError": 6})
    with pytest.raises(LinkError, match="gone"):
        measured(Device(2, LinkError("gone")), Plan(60.0, 2, [0.0] * 6))


def test_a_device_too_slow_for_its_arrivals(clock):
    """The first answer comes after the end: the rest was never sent."""

    class Stalled(Device):
        def _end(self, hand):
            clock.pass_ns(30_000 * MS)
            super()._end(hand)

    device = Stalled(1)
    seen = measured(device, Plan(1.0, 1, [0.0, 0.0, 0.0]))
    assert (device.sent, seen.signed, seen.unsent, seen.latency.total) == (1, 1, 2, 3)


@pytest.mark.parametrize("curve", DEVICE_CURVES)
@pytest.mark.parametrize("url", ["soft:", "model:"])
def test_real_signers_sign_orders_and_messages(url, curve):
    with intaglio.open(url) as signer:
        key = signer.load_key(curve, bytes(range(1, 33)))
        for made in (payloads.of_order(curve), payloads.of_size(200)):
            seen = run(signer, key, made, Plan(60.0, 2, [0.0] * 8), quietly)
            assert (seen.signed, seen.unsent, dict(seen.errors)) == (8, 0, {})


def test_payloads_differ_and_have_their_size():
    for curve in DEVICE_CURVES:
        of_order = payloads.of_order(curve)
        assert of_order(1) == of_order(1) != of_order(2)
    with pytest.raises(InputError, match="signed on p256: give a size"):
        payloads.of_order(Curve.P256)
    for size in (0, 1, 8, 9, 4096):
        message, digest = payloads.of_size(size)(3)
        assert (len(message), digest) == (size, None)
    for size in (-1, 4097):
        with pytest.raises(InputError, match="0 to 4096"):
            payloads.of_size(size)
