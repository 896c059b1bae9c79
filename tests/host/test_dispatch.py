"""Keys, slots and jobs on the golden device, with and without faults, under a clock of our own."""

import random

import coincurve
import nacl.signing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio import errors, frame, wire
from intaglio.curve import Curve
from intaglio.sim.model.link import FaultRates
from intaglio.wire import Op

BOTH = (Curve.ED25519, Curve.SECP256K1)


def secret_of(number):
    return random.Random(number).randbytes(32)


def keys_of(count, first=0):
    return [(BOTH[i % 2], secret_of(first + i)) for i in range(count)]


def right(curve, secret, message=None, digest=None):
    """Signature and recovery id as the libraries give them."""
    if curve is Curve.ED25519:
        return nacl.signing.SigningKey(secret).sign(message).signature, None
    private = coincurve.PrivateKey(secret)
    signed = (
        private.sign_recoverable(message)
        if digest is None
        else private.sign_recoverable(digest, hasher=None)
    )
    return signed[:64], signed[64]


def is_right(signature, *expected, **named):
    return (signature.raw, signature.recid) == right(*expected, **named)


def reset(core):
    """Let ``core`` forget all that a power cycle forgets."""
    core.session = core.last_tag = 0
    core.jobs.clear()
    core._zeroise_all()


def sent_ops(rig):
    """Ops of all the requests that went to the device."""
    payloads = frame.Decoder(wire.MAX_REQUEST_BYTES).feed(bytes(rig.sent))
    return [Op(payload[1]) for payload in payloads]


def test_both_curves_message_and_digest(rig):
    rig = rig()
    keys = keys_of(2)
    ed, secp = rig.load_now(*keys)
    assert ed.public_key == bytes(nacl.signing.SigningKey(keys[0][1]).verify_key)
    public = coincurve.PrivateKey(keys[1][1]).public_key
    assert secp.public_key == public.format()
    assert secp.public_key_uncompressed == public.format(compressed=False)
    digest = bytes(range(32))
    a, b, c = rig.sign(ed, b"m"), rig.sign(secp, b"m"), rig.sign(secp, digest=digest)
    rig.settle(a, b, c)
    assert is_right(a.result(), *keys[0], b"m")
    assert is_right(b.result(), *keys[1], b"m")
    assert is_right(c.result(), *keys[1], digest=digest)
    assert a.result().cycles > 0


def test_more_keys_than_slots(rig):
    rig = rig(key_slots=3, job_slots=8)
    keys = keys_of(11)
    held = rig.load_now(*keys)
    order = [rig.rng.randrange(11) for _ in range(300)]
    futures = [rig.sign(held[i], b"%d" % n) for n, i in enumerate(order)]
    rig.settle(*futures)
    for n, (i, future) in enumerate(zip(order, futures, strict=True)):
        assert is_right(future.result(), *keys[i], b"%d" % n)
    assert rig.core.counters["refused"] == 0


def test_a_batch_loads_each_key_about_once(rig):
    rig = rig(key_slots=4, job_slots=8)
    held = rig.load_now(*keys_of(8))
    rig.sent.clear()
    futures = [rig.sign(held[n % 8], b"%d" % n) for n in range(80)]
    rig.settle(*futures)
    assert sent_ops(rig).count(Op.LOAD_KEY) <= 16


def test_least_recently_used_goes_first(rig):
    rig = rig(key_slots=2)
    a, b = rig.load_now(*keys_of(2))
    rig.settle(rig.sign(a, b"m"))
    rig.load_now((Curve.ED25519, secret_of(9)))
    rig.sent.clear()
    rig.settle(rig.sign(a, b"m"))
    assert Op.LOAD_KEY not in sent_ops(rig)
    rig.settle(rig.sign(b, b"m"))
    assert sent_ops(rig).count(Op.LOAD_KEY) == 1


def test_a_busy_slot_is_never_taken(rig):
    rig = rig(key_slots=1, job_slots=8)
    (a,) = rig.load_now((Curve.ED25519, secret_of(1)))
    busy = [rig.sign(a, b"%d" % n) for n in range(4)]
    waiting = rig.load(Curve.ED25519, secret_of(2))
    assert rig.core.counters["refused"] == 0
    rig.settle(waiting, *busy)
    assert rig.core.counters["refused"] == 0
    assert waiting.result().public_key == bytes(nacl.signing.SigningKey(secret_of(2)).verify_key)


def test_a_waiting_key_is_not_starved(rig):
    rig = rig(key_slots=1, job_slots=2)
    (a,) = rig.load_now((Curve.ED25519, secret_of(1)))
    flood = [rig.sign(a, b"%d" % n) for n in range(40)]
    waiting = rig.load(Curve.ED25519, secret_of(2))
    rig.settle(waiting)
    assert not all(future.done() for future in flood)
    rig.settle(*flood)
    assert all(
        is_right(f.result(), Curve.ED25519, secret_of(1), b"%d" % n) for n, f in enumerate(flood)
    )


def test_other_keys_go_on_while_one_loads(rig):
    rig = rig(key_slots=2)
    (a,) = rig.load_now((Curve.ED25519, secret_of(1)))
    loading, signing = rig.load(Curve.ED25519, secret_of(2)), rig.sign(a, b"m")
    sent = frame.Decoder(wire.MAX_REQUEST_BYTES).feed(bytes(rig.dispatcher.output))
    assert [payload[1] for payload in sent] == [Op.LOAD_KEY, Op.SIGN_MESSAGE]
    rig.settle(loading, signing)


def test_the_window_is_kept(rig):
    rig = rig(job_slots=3, pool_bytes=4096)
    (a,) = rig.load_now((Curve.ED25519, secret_of(1)))
    lengths = [4096, 1, 4000, 96, 0, 128, 127, 129, 4096]
    futures = [rig.sign(a, bytes(n)) for n in lengths]
    decoder = frame.Decoder(wire.MAX_REQUEST_BYTES)
    while not all(future.done() for future in futures):
        for payload in decoder.feed(bytes(rig.dispatcher.output)):
            assert rig.core.has_room(payload)
            rig.core.accept(payload)
        rig.dispatcher.output.clear()
        rig.dispatcher.feed(frame.encode(rig.core.finish_one()), rig.now)
        rig.dispatcher.poll(rig.now)
    for length, future in zip(lengths, futures, strict=True):
        assert is_right(future.result(), Curve.ED25519, secret_of(1), bytes(length))


@pytest.mark.parametrize("scalar", [0, 2**256 - 1])
def test_an_invalid_key_is_one_error_and_frees_its_slot(rig, scalar):
    rig = rig(key_slots=1)
    bad = rig.load(Curve.SECP256K1, scalar.to_bytes(32, "big"))
    good = rig.load(Curve.SECP256K1, secret_of(1))
    rig.settle(bad, good)
    assert isinstance(bad.exception(), errors.InvalidKeyError)
    assert good.result().curve is Curve.SECP256K1


def test_a_reset_device_is_opened_again_and_its_keys_loaded_again(rig):
    rig = rig()
    keys = keys_of(3)
    held = rig.load_now(*keys)
    futures = [rig.sign(held[n % 3], b"%d" % n) for n in range(30)]
    rig.step()
    reset(rig.core)
    rig.settle(*futures)
    for n, future in enumerate(futures):
        assert is_right(future.result(), *keys[n % 3], b"%d" % n)
    assert sent_ops(rig).count(Op.OPEN) == 2


def test_a_device_that_keeps_losing_its_session_is_an_error(rig):
    rig = rig()
    (a,) = rig.load_now((Curve.ED25519, secret_of(1)))
    future = rig.sign(a, b"m")
    for _ in range(200):
        rig.core.session = 0
        rig.step()
        rig.now = max(rig.now, rig.dispatcher.next_deadline or 0.0)
    assert isinstance(future.exception(timeout=0), errors.StaleSessionError)


def test_a_key_gone_from_its_slot_is_loaded_again(rig):
    rig = rig()
    (a,) = rig.load_now((Curve.SECP256K1, secret_of(1)))
    rig.core.slots[0].zeroise()
    futures = [rig.sign(a, b"%d" % n) for n in range(5)]
    rig.settle(*futures)
    assert all(
        is_right(f.result(), Curve.SECP256K1, secret_of(1), b"%d" % n)
        for n, f in enumerate(futures)
    )


def test_a_silent_device_ends_each_request_and_may_come_back(rig):
    rig = rig(silent_after=3)
    keys = keys_of(2)
    a, b = rig.load_now(*keys)
    dead = [rig.sign(a, b"%d" % n) for n in range(200)]
    rig.settle(*dead)
    assert all(isinstance(future.exception(), errors.RequestTimeout) for future in dead)
    rig.device._frames_left = None
    alive = rig.sign(b, b"m")
    rig.settle(alive)
    assert is_right(alive.result(), *keys[1], b"m")
    assert sent_ops(rig)[-3:] == [Op.OPEN, Op.LOAD_KEY, Op.SIGN_MESSAGE]


def test_opening_a_silent_device_is_a_timeout(rig):
    rig = rig(silent_after=0)
    rig.settle(rig.identity)
    assert isinstance(rig.identity.exception(), errors.RequestTimeout)


def test_opening_a_device_of_another_version(rig):
    rig = rig(version=9)
    rig.settle(rig.identity)
    assert isinstance(rig.identity.exception(), errors.ProtocolError)
    assert "version 9" in str(rig.identity.exception())


def test_faults_are_errors_of_their_own_requests(rig):
    rig = rig(fault_rate=0.0)
    (a,) = rig.load_now((Curve.ED25519, secret_of(1)))
    rig.core._fault_rate = 0.3
    futures = [rig.sign(a, b"%d" % n) for n in range(60)]
    rig.settle(*futures)
    failed = [future for future in futures if future.exception()]
    assert 5 < len(failed) < 40
    assert all(isinstance(future.exception(), errors.FaultError) for future in failed)
    assert rig.core.counters["faults"] == len(failed)


def test_public_key_and_counters_come_from_the_device(rig):
    rig = rig()
    (a,) = rig.load_now((Curve.SECP256K1, secret_of(1)))
    public = rig.ask("start", a, Op.PUBLIC_KEY, b"")
    counters = rig.ask("counters")
    rig.settle(public, counters)
    assert public.result() == a.public_key
    assert counters.result().jobs_done == 1
    assert counters.result().frames_bad == 0


def test_wipe_one_key(rig):
    rig = rig(job_slots=2)
    a, b = rig.load_now(*keys_of(2))
    entry = rig.dispatcher._ring.by_key[a]
    in_flight = rig.sign(a, b"in flight")
    unsent = [rig.sign(a, b"%d" % n) for n in range(5)]
    wiped = rig.ask("wipe", a)
    assert bytes(entry.secret) == bytes(32)
    later = rig.sign(a, b"later")
    other = rig.sign(b, b"other")
    rig.settle(in_flight, wiped, later, other, *unsent)
    assert wiped.result() is None
    assert is_right(in_flight.result(), Curve.ED25519, secret_of(0), b"in flight")
    assert isinstance(later.exception(), errors.InputError)
    assert any(isinstance(future.exception(), errors.InputError) for future in unsent)
    assert is_right(other.result(), Curve.SECP256K1, secret_of(1), b"other")
    assert [bool(slot.secret) for slot in rig.core.slots].count(True) == 1


def test_wipe_all_keys(rig):
    rig = rig(key_slots=2, job_slots=4)
    held = rig.load_now(*keys_of(4))
    futures = [rig.sign(held[n % 4], b"%d" % n) for n in range(20)]
    loading = rig.load(Curve.ED25519, secret_of(7))
    wiped = rig.ask("wipe_all")
    after = rig.load(Curve.ED25519, secret_of(8))
    rig.settle(wiped, loading, after, *futures)
    assert wiped.result() is None
    assert isinstance(loading.exception(), errors.InputError)
    assert any(isinstance(future.exception(), errors.InputError) for future in futures)
    assert [slot.secret for slot in rig.core.slots if slot.secret] == [secret_of(8)]
    again = rig.sign(after.result(), b"m")
    rig.settle(again)
    assert is_right(again.result(), Curve.ED25519, secret_of(8), b"m")


def test_stop_ends_everything(rig):
    rig = rig(key_slots=1, job_slots=2)
    a, b = rig.load_now(*keys_of(2))
    futures = [rig.sign(key, b"%d" % n) for n in range(5) for key in (a, b)]
    futures += [rig.ask("counters"), rig.ask("wipe", a), rig.load(Curve.ED25519, secret_of(3))]
    rig.dispatcher.stop(errors.ClosedError("gone"))
    futures += [rig.ask("wipe_all"), rig.ask("counters"), rig.sign(b, b"m")]
    kinds = {type(future.exception(timeout=0)) for future in futures}
    assert kinds <= {errors.ClosedError, errors.InputError}
    assert not rig.dispatcher._ring.entries


TYPED = (errors.RequestTimeout, errors.FaultError, errors.StaleSessionError)
RATES = st.builds(FaultRates, *[st.sampled_from([0.0, 0.02, 0.1, 0.25])] * 4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rates=RATES,
    key_slots=st.integers(1, 4),
    job_slots=st.integers(1, 9),
    fault_rate=st.sampled_from([0.0, 0.0, 0.1]),
    reset_rate=st.sampled_from([0.0, 0.0, 0.05]),
)
def test_each_request_ends_in_one_right_answer_or_one_typed_error(
    rig, seed, rates, key_slots, job_slots, fault_rate, reset_rate
):
    rig = rig(
        seed=seed, rates=rates, key_slots=key_slots, job_slots=job_slots, fault_rate=fault_rate
    )
    rng = random.Random(seed)
    rig.settle(rig.identity)
    if rig.identity.exception() is not None:
        assert isinstance(rig.identity.exception(), errors.RequestTimeout)
    keys = keys_of(6, seed)
    loads = [rig.load(*key) for key in keys]
    rig.settle(*loads)
    held = [
        (key, load.result())
        for key, load in zip(keys, loads, strict=True)
        if load.exception() is None
    ]
    ends = []
    futures = []
    for _ in range(40 if held else 0):
        (curve, secret), key = rng.choice(held)
        if curve is Curve.SECP256K1 and rng.random() < 0.5:
            what = {"digest": rng.randbytes(32)}
        else:
            what = {"message": rng.randbytes(rng.choice([0, 1, 64, 127, 128, 129, 1000]))}
        future = rig.sign(key, **what)
        future.add_done_callback(ends.append)
        futures.append((future, right(curve, secret, **what)))
        if rng.random() < 0.3:
            rig.step()
        if rng.random() < reset_rate:
            reset(rig.core)
    rig.settle(*(future for future, _ in futures))
    assert len(ends) == len(futures)
    for future, expected in futures:
        if future.exception() is None:
            assert (future.result().raw, future.result().recid) == expected
        else:
            assert isinstance(future.exception(), TYPED)
    if rates == FaultRates() and not fault_rate + reset_rate:
        assert all(future.exception() is None for future, _ in futures)
