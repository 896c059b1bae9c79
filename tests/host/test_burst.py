"""Signatures asked for together over rings: what goes together, and what leaves it."""

from __future__ import annotations

import random
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

import intaglio
from intaglio import errors, wire
from intaglio.bench import rings
from intaglio.burst import MOST, Bursts, gather
from intaglio.curve import DEVICE_CURVES
from intaglio.device import DeviceSigner
from intaglio.keyring import Entry, Residency
from intaglio.promise import Batch
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.pcie import ModelFunction
from intaglio.sim.ring_costs import TimedModel
from intaglio.transport.pcie import RingTransport
from intaglio.values import Key, SignRequest

SECRET = bytes(range(1, 33))
OTHER = bytes(range(2, 34))
ECDSA = Key(intaglio.Curve.SECP256K1, bytes(64))
ED25519 = Key(intaglio.Curve.ED25519, bytes(32))


class Watched(ModelFunction):
    """Counts requests, and how many reads of the device found more than one new descriptor."""

    def __init__(self, **core):
        super().__init__(lambda: GoldenCore(rng=random.Random(1), **core))
        self.rung = []

    def write(self, offset, value):
        if offset == 0xC0:
            self.rung.append(value)
        super().write(offset, value)


@pytest.fixture
def function():
    return Watched()


@pytest.fixture
def signer(function):
    with DeviceSigner(RingTransport(function), timeout_s=20) as signer:
        yield signer


@pytest.mark.parametrize(
    "items",
    [
        [SignRequest(ECDSA, digest=bytes(32))] * 3,
        [SignRequest(ED25519, b"m"), SignRequest(ED25519, b"")],
        [(ED25519, b"m")] * 2,
        [(ECDSA, bytes(4096))],
    ],
)
def test_alike_requests_are_gathered(items):
    burst = gather(items, Batch(len(items)), 4096)
    assert burst is not None
    assert len(burst.bodies) == len(items)


@pytest.mark.parametrize(
    "items",
    [
        [SignRequest(ED25519, digest=bytes(32))],
        [SignRequest(ECDSA, digest=bytes(31))],
        [SignRequest(ECDSA, b"m", digest=bytes(32))],
        [SignRequest(ECDSA)],
        [SignRequest(ECDSA, b"m", deadline=1e12)],
        [SignRequest(ECDSA, b"m", ordered=True)],
        [SignRequest(ECDSA, b"m"), SignRequest(ECDSA, digest=bytes(32))],
        [SignRequest(ECDSA, b"m"), SignRequest(ED25519, b"m")],
        [SignRequest(ECDSA, b"m"), (ECDSA, b"m")],
        [(ECDSA, b"m"), SignRequest(ECDSA, b"m")],
        [(ECDSA, b"m"), (ED25519, b"m")],
        [(ECDSA, "text")],
        [(ECDSA, bytearray(3))],
        [(ECDSA, bytes(4097))],
        [(ECDSA, b"m", b"more")],
        [(b"no key", b"m")],
        [7],
    ],
)
def test_all_else_is_not(items):
    assert gather(items, Batch(len(items)), 4096) is None


@pytest.mark.parametrize("curve", DEVICE_CURVES)
def test_a_burst_is_signed_right_and_sent_together(signer, function, curve):
    key = signer.load_key(curve, SECRET)
    rng = random.Random(5)
    requests = [(key, rng.randbytes(rng.choice([0, 32, 33, 100, 700]))) for _ in range(700)]
    before = len(function.rung)
    for (_, message), signature in zip(requests, signer.sign_many(requests), strict=True):
        assert signer.verify(key, message, signature)
        assert (signature.recid is None) == (curve is intaglio.Curve.ED25519)
        assert signature.cycles > 0
    assert len(function.rung) - before < 70
    assert signer.stats.signatures == 700
    assert signer.stats.stages["total"].total == 700
    assert signer.depth == 0


def test_without_checks_the_same_signatures_come(function):
    with DeviceSigner(RingTransport(function), verify="off") as signer:
        for curve in DEVICE_CURVES:
            key = signer.load_key(curve, SECRET)
            requests = [(key, bytes([n])) for n in range(200)]
            for (_, message), signature in zip(requests, signer.sign_many(requests), strict=True):
                assert signer.verify(key, message, signature)
        assert signer.stats.signatures == 400


def test_a_refused_request_leaves_its_burst_alone():
    with DeviceSigner(RingTransport(Watched(fault_rate=0.1)), timeout_s=20) as signer:
        while True:
            try:
                key = signer.load_key("ed25519", SECRET)
                break
            except errors.FaultError:
                continue
        requests = [(key, n.to_bytes(2, "big")) for n in range(600)]
        results = signer.sign_many(requests, return_exceptions=True)
        failed = [r for r in results if isinstance(r, errors.IntaglioError)]
        assert 20 < len(failed) < 150
        assert {type(error) for error in failed} == {errors.FaultError}
        for (_, message), result in zip(requests, results, strict=True):
            assert result in failed or signer.verify(key, message, result)


def test_a_wrong_signature_is_withheld(signer, function, monkeypatch):
    key = signer.load_key("secp256k1", SECRET)
    entry = function.model._entry

    def damaged(reply, descriptor=0):
        data = bytearray(entry(reply, descriptor))
        if data[1] == wire.Op.SIGN_DIGEST and data[2] % 8 == 0:
            data[20] ^= 1
        return bytes(data)

    monkeypatch.setattr(function.model, "_entry", damaged)
    items = [SignRequest(key, digest=n.to_bytes(32, "big")) for n in range(100)]
    results = signer.sign_many(items, return_exceptions=True)
    kinds = {type(result) for result in results}
    assert kinds == {intaglio.Signature, errors.VerifyError}


def test_an_impossible_recovery_id_is_a_protocol_error(function, monkeypatch):
    with DeviceSigner(RingTransport(function), verify="off") as signer:
        key = signer.load_key("secp256k1", SECRET)
        entry = function.model._entry

        def damaged(reply, descriptor=0):
            data = bytearray(entry(reply, descriptor))
            data[5] = 9 if data[2] % 2 else data[5]
            return bytes(data)

        monkeypatch.setattr(function.model, "_entry", damaged)
        items = [SignRequest(key, digest=bytes(32)) for _ in range(50)]
        kinds = {type(result) for result in signer.sign_many(items, return_exceptions=True)}
        assert kinds == {intaglio.Signature, errors.ProtocolError}


def test_many_keys_take_turns_in_few_slots():
    with DeviceSigner(RingTransport(Watched(key_slots=2)), timeout_s=20) as signer:
        keys = signer.load_keys([("secp256k1", SECRET), ("secp256k1", OTHER), ("ed25519", SECRET)])
        for _ in range(3):
            for key in keys:
                requests = [(key, bytes([n])) for n in range(100)]
                for (_, message), got in zip(requests, signer.sign_many(requests), strict=True):
                    assert signer.verify(key, message, got)


def test_a_key_wiped_under_a_burst_ends_what_waits(signer):
    key = signer.load_key("ed25519", SECRET)
    batch = Batch(3000)
    signer.start_batch([(key, bytes([n % 256])) for n in range(3000)], batch)
    signer.wipe(key)
    results = batch.wait()
    assert {type(result) for result in results} <= {intaglio.Signature, errors.InputError}
    with pytest.raises(errors.InputError, match="load it again"):
        signer.sign_many([(key, b"m")])


def test_a_lost_session_is_opened_again_and_nothing_is_lost(signer, function):
    key = signer.load_key("ed25519", SECRET)
    function.model.core.session = 0
    requests = [(key, n.to_bytes(2, "big")) for n in range(300)]
    for (_, message), signature in zip(requests, signer.sign_many(requests), strict=True):
        assert signer.verify(key, message, signature)


@pytest.mark.parametrize(
    ("space", "queued", "sent"),
    [
        *((0, 0, 0), (0, 9, 0)),
        (10, 0, 0),  # crumbs add up
        (10, 9, 10),  # jobs that wait would take them
        (MOST, 0, MOST),
        (MOST + 1, 9, MOST),
    ],
)
def test_a_burst_takes_room_for_many_or_what_others_would_take(space, queued, sent):
    session = SimpleNamespace(space=space, submit_group=lambda part, bodies, now: bodies)
    ring = SimpleNamespace(queued=queued, touched=lambda entry, count: None)
    entry = Entry(ECDSA.curve, bytearray(SECRET), Future(), state=Residency.RESIDENT)
    bursts = Bursts(ring, session)
    batch = Batch(2 * MOST)
    bursts.add(gather([(ECDSA, b"m")] * (2 * MOST), batch, 4096), entry)
    assert len(bursts.next(0.0)) == sent
    assert (bursts.waiting, entry.in_flight) == (2 * MOST - sent, sent)


def test_silence_ends_a_burst_in_time_outs(function):
    with DeviceSigner(RingTransport(function), timeout_s=0.2) as signer:
        key = signer.load_key("ed25519", SECRET)
        function.model.bus_master = False
        results = signer.sign_many([(key, bytes([n])) for n in range(40)], return_exceptions=True)
        assert {type(result) for result in results} == {errors.RequestTimeout}
        function.model.bus_master = True


def test_a_closed_signer_ends_bursts(function):
    signer = DeviceSigner(RingTransport(function))
    key = signer.load_key("ed25519", SECRET)
    signer.close()
    results = signer.sign_many([(key, b"m")] * 3, return_exceptions=True)
    assert {type(result) for result in results} == {errors.ClosedError}


def test_the_benchmark_measures(capsys):
    assert rings.main(["--requests", "600", "--json"]) == 0
    assert "digests" in capsys.readouterr().out
    assert rings.main(["--requests", "300"], new_function=TimedModel) == 0
    assert "us of the host for a signature" in capsys.readouterr().out
