"""The software signer: threads, forks, and secrets that are overwritten."""

import gc
import multiprocessing
import threading
from collections.abc import Iterator

import coincurve
import nacl.signing
import pytest

import intaglio
from intaglio import Curve, SignRequest, errors, softkey
from intaglio.curve import DEVICE_CURVES

SECRET = bytes(range(1, 33))
REQUESTS = 300


@pytest.fixture(params=[1, 2, 5])
def signer(request) -> Iterator[intaglio.Signer]:
    with intaglio.open(f"soft:?workers={request.param}") as signer:
        yield signer


def messages(count: int = REQUESTS) -> list[bytes]:
    return [i.to_bytes(2, "big") * (i % 40) for i in range(count)]


def expected(messages: list[bytes]) -> list[bytes]:
    ed, secp = nacl.signing.SigningKey(SECRET), coincurve.PrivateKey(SECRET)
    return [
        ed.sign(m).signature if i % 2 else secp.sign_recoverable(m)[:64]
        for i, m in enumerate(messages)
    ]


def test_sign_many_over_threads_equals_the_libraries(signer):
    keys = [signer.load_key(curve, SECRET) for curve in (Curve.SECP256K1, Curve.ED25519)]
    items = [(keys[i % 2], m) for i, m in enumerate(messages())]
    assert [s.raw for s in signer.sign_many(iter(items))] == expected(messages())
    assert [s.raw for s in signer.sign_many(items)] == expected(messages())
    assert signer.counters().jobs_done == 2 + 2 * REQUESTS
    assert signer.sign_many([]) == []


def test_sign_many_puts_errors_in_their_places(signer):
    key = signer.load_key(Curve.ED25519, SECRET)
    with intaglio.open() as other:
        foreign = other.load_key(Curve.ED25519, SECRET)
    wrong = {7: (foreign, b""), 100: SignRequest(key, digest=bytes(32)), 299: (key, bytes(5000))}
    items = [wrong.get(i, (key, m)) for i, m in enumerate(messages())]
    outcomes = signer.sign_many(items, return_exceptions=True)
    assert {i for i, o in enumerate(outcomes) if isinstance(o, errors.InputError)} == set(wrong)
    with pytest.raises(errors.InputError, match="not held here"):
        signer.sign_many(items)


def test_an_item_that_is_no_request_is_the_callers_error(signer):
    key = signer.load_key(Curve.ED25519, SECRET)
    for item in (None, (key,), (key, b"", b"")):
        with pytest.raises(errors.InputError, match=r"give \(key, message\) or"):
            signer.sign_many([(key, b"")] * REQUESTS + [item])
    assert signer.sign_many([[key, b""]]) == signer.sign_many([(key, b"")])
    assert len(signer.sign_many([(key, b"")] * REQUESTS)) == REQUESTS


def test_many_threads_share_one_pool():
    with intaglio.open("soft:?workers=2") as signer:
        key = signer.load_key(Curve.ED25519, SECRET)
        right = nacl.signing.SigningKey(SECRET).sign(b"m").signature
        seen: list[set[bytes]] = []

        def run() -> None:
            seen.append({s.raw for s in signer.sign_many([(key, b"m")] * REQUESTS)})

        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [{right}] * 6
    assert not [t for t in threading.enumerate() if t.name.startswith("intaglio-soft")]


def test_a_signer_still_signs_after_a_fork():
    with intaglio.open("soft:?workers=2") as signer:
        key = signer.load_key(Curve.ED25519, SECRET)
        right = [s.raw for s in signer.sign_many([(key, m) for m in messages()])]
        context = multiprocessing.get_context("fork")
        receive, send = context.Pipe(duplex=False)

        def child() -> None:
            send.send([s.raw for s in signer.sign_many([(key, m) for m in messages()])] == right)

        process = context.Process(target=child)
        process.start()
        assert receive.poll(30)
        assert receive.recv()
        process.join()


@pytest.mark.parametrize("workers", ["0", "65", "two"])
def test_workers_out_of_range_are_refused(workers):
    with pytest.raises(errors.InputError, match=r"1\.\.64"):
        intaglio.open(f"soft:?workers={workers}")


def test_closed(signer):
    key = signer.load_key(Curve.ED25519, SECRET)
    signer.sign_many([(key, b"")] * REQUESTS)
    signer.close()
    signer.close()
    with pytest.raises(errors.ClosedError):
        signer.sign(key, b"")
    outcomes = signer.sign_many([(key, b"")] * REQUESTS, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {errors.ClosedError}


class Keeping:
    """A cffi module's ffi whose allocations outlive their owners, to be looked at."""

    def __init__(self, ffi, kept):
        self._ffi, self._kept = ffi, kept

    def new(self, *arguments):
        self._kept.append(self._ffi.buffer(self._ffi.new(*arguments)))
        return self._ffi.from_buffer(self._kept[-1])

    def __getattr__(self, name):
        return getattr(self._ffi, name)


@pytest.mark.parametrize("curve", DEVICE_CURVES)
def test_a_secret_is_overwritten_when_its_last_user_lets_go(monkeypatch, curve):
    kept, held = [], softkey._held
    monkeypatch.setattr(softkey, "_held", lambda ffi, size: held(Keeping(ffi, kept), size))
    with intaglio.open() as signer:
        key = signer.load_key(curve, SECRET)
        (memory,) = kept
        assert memory[:32] == SECRET
        under_way = signer._keys[key]
        signer.wipe(key)
        gc.collect()
        assert memory[:32] == SECRET, "a signature under way must keep its key"
        assert signer.verify(key, b"m", under_way.sign(b"m", None))
        del under_way
        gc.collect()
        assert memory[:] == bytes(len(memory))
