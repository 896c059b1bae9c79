"""A device signer with its thread: faults on the link, time-outs, closing, a device that goes."""

import os
import select
import threading

import coincurve
import nacl.signing
import pytest

import intaglio
from intaglio import Curve, errors
from intaglio.curve import DEVICE_CURVES
from intaglio.device import DeviceSigner
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import ModelDevice, ModelTransport
from intaglio.transport.uart import UartTransport

SECRET = bytes(range(1, 33))


def right(curve, message):
    if curve is Curve.ED25519:
        return nacl.signing.SigningKey(SECRET).sign(message).signature
    return coincurve.PrivateKey(SECRET).sign_recoverable(message)[:64]


@pytest.mark.parametrize("seed", range(3))
def test_a_lossy_link_gives_right_signatures(seed):
    url = f"model:?seed={seed}&drop=.05&corrupt=.05&dup=.05&trunc=.05&key_slots=2&job_slots=16"
    with intaglio.open(url, timeout_s=0.4) as signer:
        keys = signer.load_keys([(curve, SECRET) for curve in DEVICE_CURVES] * 2)
        requests = [(keys[n % 4], b"%d" % n) for n in range(100)]
        results = signer.sign_many(requests, return_exceptions=True)
        for (key, message), result in zip(requests, results, strict=True):
            if isinstance(result, errors.IntaglioError):
                assert isinstance(result, errors.RequestTimeout)
            else:
                assert result.raw == right(key.curve, message)
        assert sum(isinstance(result, intaglio.Signature) for result in results) > 90
        assert signer.counters().host_resent > 0


def test_a_silent_device_is_a_timeout_that_says_what_to_do():
    with pytest.raises(errors.RequestTimeout, match="model did not answer OPEN in 4 tries"):
        intaglio.open("model:?silent_after=0", timeout_s=0.1)
    with intaglio.open("model:?silent_after=2", timeout_s=0.1) as signer:
        key = signer.load_key(Curve.ED25519, SECRET)
        results = signer.sign_many([(key, b"m")] * 5, return_exceptions=True)
        assert [type(result) for result in results] == [errors.RequestTimeout] * 5


def test_another_protocol_version_is_named():
    with pytest.raises(errors.ProtocolError, match="version 3, this host version 2"):
        intaglio.open("model:?version=3")


def test_a_slow_device_with_a_long_queue_is_not_asked_twice():
    with intaglio.open("model:?latency=0.03&job_slots=4", timeout_s=1.0) as signer:
        key = signer.load_key(Curve.ED25519, SECRET)
        results = signer.sign_many([(key, b"%d" % n) for n in range(40)])
        assert [r.raw for r in results] == [right(Curve.ED25519, b"%d" % n) for n in range(40)]
        assert signer.counters().duplicates == 0


def test_a_curve_that_was_not_built_in():
    transport = ModelTransport(ModelDevice(GoldenCore(curves=[1])))
    with DeviceSigner(transport) as signer:
        assert signer.identity.curves == (Curve.ED25519,)
        with pytest.raises(errors.BadCurveError, match="has no secp256k1, only ed25519"):
            signer.load_key(Curve.SECP256K1, SECRET)


def test_close_wipes_the_device():
    core = GoldenCore()
    with DeviceSigner(ModelTransport(ModelDevice(core))) as signer:
        signer.load_keys([(curve, SECRET) for curve in DEVICE_CURVES])
        assert any(slot.secret for slot in core.slots)
    assert not any(slot.secret for slot in core.slots)


def test_close_ends_what_is_open():
    transport = ModelTransport(ModelDevice(GoldenCore(job_slots=1)))
    signer = DeviceSigner(transport, timeout_s=0.2)
    key = signer.load_key(Curve.ED25519, SECRET)
    transport.device._frames_left = 0
    futures = [signer.submit(key, b"%d" % n) for n in range(5)]
    signer.close()
    kinds = {type(future.exception(timeout=5)) for future in futures}
    assert kinds <= {errors.ClosedError, errors.RequestTimeout, errors.InputError}
    assert errors.ClosedError in kinds


def test_a_future_can_be_cancelled_until_it_is_sent():
    with intaglio.open("model:?job_slots=1&latency=0.02") as signer:
        key = signer.load_key(Curve.ED25519, SECRET)
        futures = [signer.submit(key, b"%d" % n) for n in range(20)]
        cancelled = [future.cancel() for future in reversed(futures)][::-1]
        assert sum(cancelled) > 10
        for n, future in enumerate(futures):
            if cancelled[n]:
                assert future.cancelled()
            else:
                assert future.result().raw == right(Curve.ED25519, b"%d" % n)
        assert signer.sign(key, b"m").raw == right(Curve.ED25519, b"m")
        assert signer.counters().jobs_done == 2 + 20 - sum(cancelled)
        assert signer.depth == 0


class Terminal:
    """A golden device at the far end of a pseudo-terminal; leaving it unplugs the device."""

    def __init__(self):
        self.device = ModelDevice(GoldenCore(key_slots=2))
        self.master, self.slave = os.openpty()
        self.path = os.ttyname(self.slave)
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.unplug()

    def work(self):
        while True:
            ready, _, _ = select.select([self.master, self.stop_read], [], [])
            if self.stop_read in ready:
                break
            self.device.write(os.read(self.master, 1000))
            while self.device.busy:
                os.write(self.master, self.device.run())
        for fd in (self.master, self.slave, self.stop_read, self.stop_write):
            os.close(fd)

    def unplug(self):
        if self.thread.is_alive():
            os.write(self.stop_write, b"x")
            self.thread.join()


def test_a_pty_is_a_serial_port():
    closed = []
    with Terminal() as terminal:
        transport = UartTransport(terminal.path, on_close=lambda: closed.append(True))
        with DeviceSigner(transport) as signer:
            keys = signer.load_keys([(curve, SECRET) for curve in DEVICE_CURVES] * 2)
            messages = [bytes([n]) * (n * 40) for n in range(100)]
            requests = [(keys[n % 4], message) for n, message in enumerate(messages)]
            signatures = signer.sign_many(requests)
            for (key, message), signature in zip(requests, signatures, strict=True):
                assert signature.raw == right(key.curve, message)
            assert signer.counters().host_resent == 0
        assert closed == [True]
        with intaglio.open(f"uart:{terminal.path}?baud=115200") as signer:
            key = signer.load_key(Curve.SECP256K1, SECRET)
            assert signer.sign(key, b"again").raw == right(Curve.SECP256K1, b"again")
            assert signer.identity.name == f"uart:{terminal.path}"


def test_an_unplugged_device_is_a_link_error():
    with Terminal() as terminal, intaglio.open(f"uart:{terminal.path}", timeout_s=1.0) as signer:
        key = signer.load_key(Curve.ED25519, SECRET)
        terminal.unplug()
        with pytest.raises(errors.LinkError):
            signer.sign(key, b"m")
        with pytest.raises(errors.LinkError):
            signer.sign(key, b"m")
