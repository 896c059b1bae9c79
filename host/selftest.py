"""Does a signer sign right: published vectors, comparison with the libraries, keys kept apart.

:func:`run` takes any open :class:`intaglio.Signer` and yields one :class:`Result` per check. Random
values come from a seed, so a failure can be repeated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from importlib import resources
from typing import Any, NamedTuple

from intaglio import params, reference, selftest_time
from intaglio.curve import Curve
from intaglio.errors import InputError, IntaglioError, InvalidKeyError
from intaglio.signer import Signer
from intaglio.values import Key, Signature

EDGE_LENGTHS = (0, 1, 55, 56, 63, 64, 111, 112, 127, 128, 129, 255, 256, 4095, 4096)
"""Message lengths in bytes about the boundaries of SHA-256 and SHA-512 blocks and of pages."""
MANY_KEYS = 20
"""Keys held together where the signer tells no number of key slots."""
SAME_SHAPE = 4
"""Lone jobs of one curve and length whose cycles must be equal."""


class Result(NamedTuple):
    """One check: what was tried, whether all of it was right, and a count or what went wrong."""

    check: str
    passed: bool
    detail: str


class Mismatch(Exception):
    """A check found something wrong; its text is the result's detail."""


class _Bench:
    """An open signer with a seeded source of keys and messages."""

    def __init__(self, signer: Signer, seed: int, rounds: int) -> None:
        self.signer = signer
        self.random = random.Random(seed)
        self.rounds = rounds
        self.curves = signer.identity.curves
        self.longest = signer.identity.max_message_bytes

    def secret(self) -> bytes:
        """32 bytes valid on every curve."""
        return self.random.randrange(1, params.P256.order).to_bytes(32, "big")

    def load(self, curve: Curve, secret: bytes) -> Key:
        key = self.signer.load_key(curve, secret)
        self.expect_equal(key.public_key, reference.public_key(curve, secret), "public key")
        return key

    def load_random(self, count: int) -> list[tuple[Key, bytes]]:
        """``count`` random keys, the curves in turn, loaded together."""
        pairs = [(self.curves[i % len(self.curves)], self.secret()) for i in range(count)]
        keys = self.signer.load_keys(pairs)
        for key, (curve, secret) in zip(keys, pairs, strict=True):
            self.expect_equal(key.public_key, reference.public_key(curve, secret), "public key")
        return [(key, secret) for key, (_, secret) in zip(keys, pairs, strict=True)]

    def expect_equal(self, got: Any, expected: Any, what: str) -> None:
        if got != expected:
            raise Mismatch(f"{what} is {_shown(got)}, not {_shown(expected)}")

    def expect_signature(
        self,
        future: Future[Signature],
        key: Key,
        secret: bytes,
        message: bytes | None = None,
        digest: bytes | None = None,
    ) -> Signature:
        """The future's signature, equal to the library's, recovery id included."""
        signature = future.result()
        expected = reference.sign(key.curve, secret, message, digest)
        body = message if digest is None else digest
        what = f"{key.curve.value} signature of {len(body or b'')} bytes"
        self.expect_equal(signature.raw, expected.raw, what)
        self.expect_equal(signature.recid, expected.recid, f"recovery id of the {what}")
        return signature

    def expect_refused(self, what: str, call: Callable[..., object], *given: Any) -> None:
        try:
            call(*given)
        except (InputError, InvalidKeyError):
            return
        raise Mismatch(f"{what} was not refused")


def _shown(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _published(bench: _Bench, curve: Curve) -> str:
    text = (resources.files("intaglio") / "selftest_vectors.json").read_text()
    vectors = [v for v in json.loads(text)["vectors"] if v["curve"] == curve.value]
    for vector in vectors:
        key = bench.signer.load_key(curve, bytes.fromhex(vector["secret"]))
        bench.expect_equal(key.public_key.hex(), vector["public_key"], f"{vector['name']}: key")
        signature = bench.signer.sign(key, bytes.fromhex(vector["message"]))
        bench.expect_equal(signature.raw.hex(), vector["signature"], vector["name"])
        bench.signer.wipe(key)
    return f"{len(vectors)} vectors"


def _random(bench: _Bench, curve: Curve) -> str:
    jobs = []
    key, secret = None, b""
    for turn in range(bench.rounds):
        if key is None or turn % 8 == 0:
            secret = bench.secret()
            key = bench.load(curve, secret)
        message = bench.random.randbytes(bench.random.randrange(0, 512))
        jobs.append((bench.signer.submit(key, message), key, secret, message))
    for job in jobs:
        bench.expect_signature(*job)
    return f"{len(jobs)} messages"


def _lengths(bench: _Bench, curve: Curve) -> str:
    secret = bench.secret()
    key = bench.load(curve, secret)
    lengths = [n for n in EDGE_LENGTHS if n <= bench.longest]
    messages = [bench.random.randbytes(length) for length in lengths]
    futures = [bench.signer.submit(key, message) for message in messages]
    for future, message in zip(futures, messages, strict=True):
        bench.expect_signature(future, key, secret, message)
    too_long = bytes(bench.longest + 1)
    refused = f"a message of {len(too_long)} bytes"
    bench.expect_refused(refused, bench.signer.sign, key, too_long)
    return f"{len(lengths)} lengths of 0..{lengths[-1]}; {len(too_long)} refused"


def _digests(bench: _Bench, curve: Curve) -> str:
    order = curve.order
    secret = bench.secret()
    key = bench.load(curve, secret)
    values = (
        0,
        1,
        order - 1,
        order,
        order + 1,
        2**256 - 1,
        *map(bench.random.getrandbits, [256] * 4),
    )
    digests = [value.to_bytes(32, "big") for value in values]
    futures = [bench.signer.submit(key, digest=digest) for digest in digests]
    for future, digest in zip(futures, digests, strict=True):
        bench.expect_signature(future, key, secret, digest=digest)
    for size in (0, 31, 33):
        sign = partial(bench.signer.sign, key, digest=bytes(size))
        bench.expect_refused(f"a digest of {size} bytes", sign)
    return f"{len(digests)} digests, 0 and n and 2^256-1 among them"


def _edge_keys(bench: _Bench, curve: Curve) -> str:
    order = curve.order
    good = (1, 2, order - 2, order - 1)
    for scalar in good:
        secret = scalar.to_bytes(32, "big")
        key = bench.load(curve, secret)
        bench.expect_signature(bench.signer.submit(key, b"edge"), key, secret, b"edge")
    for scalar in (0, order, 2**256 - 1):
        secret = scalar.to_bytes(32, "big")
        refused = f"a {curve.value} key of 0 or not below n"
        bench.expect_refused(refused, bench.signer.load_key, curve, secret)
    return f"{len(good)} keys at the ends of 1..n-1; 0, n and 2^256-1 refused"


def _isolation(bench: _Bench) -> str:
    slots = bench.signer.identity.key_slots
    held = bench.load_random(slots + 2 if slots else MANY_KEYS)
    jobs = []
    for _ in range(2):
        bench.random.shuffle(held)
        for key, secret in held:
            message = bench.random.randbytes(40)
            jobs.append((bench.signer.submit(key, message), key, secret, message))
    for job in jobs:
        bench.expect_signature(*job)
    for key, _ in held:
        bench.signer.wipe(key)
    return f"{len(held)} keys in {slots or 'no'} slots, {len(jobs)} signatures in mixed order"


def _wiped(bench: _Bench) -> str:
    for curve in bench.curves:
        secret = bench.secret()
        key, other = bench.load(curve, secret), bench.load(curve, bench.secret())
        bench.signer.wipe(key)
        bench.expect_refused("a wiped key", bench.signer.sign, key, b"wiped")
        bench.signer.sign(other, b"not wiped")
        again = bench.load(curve, secret)
        bench.expect_signature(bench.signer.submit(again, b"again"), again, secret, b"again")
    return "a wiped key is refused, its neighbour signs, loading it again works"


def _wrong_use(bench: _Bench) -> str:
    key = bench.load(Curve.ED25519, bench.secret())
    digest = partial(bench.signer.sign, key, digest=bytes(32))
    bench.expect_refused("a digest under an Ed25519 key", digest)
    bench.expect_refused("a key of 31 bytes", bench.signer.load_key, key.curve, bytes(31))
    stranger = Key(Curve.ED25519, key.public_key)
    bench.expect_refused("a key never loaded", bench.signer.sign, stranger, b"stranger")
    return "digest for Ed25519, short key, key never loaded"


def _same_cycles(bench: _Bench) -> str:
    told = []
    for curve in bench.curves:
        cycles = set()
        for _ in range(SAME_SHAPE):
            key = bench.load(curve, bench.secret())
            cycles.add(bench.signer.sign(key, bench.random.randbytes(100)).cycles)
        if len(cycles) > 1:
            raise Mismatch(f"{curve.value}: a lone job of 100 bytes took {sorted(cycles)} cycles")
        told.append(f"{curve.value} {cycles.pop():,}")
    return "lone jobs of 100 bytes, other keys and data: " + ", ".join(told)


def _counters(bench: _Bench) -> str:
    before = bench.signer.counters()
    key = bench.load(bench.curves[0], bench.secret())
    for _ in range(3):
        bench.signer.sign(key, b"count me")
    after = bench.signer.counters()
    bench.expect_equal(after.jobs_done - before.jobs_done, 4, "jobs_done after 1 load and 3 jobs")
    bench.expect_equal(after.faults, 0, "the count of faults")
    bench.expect_equal(after.frames_bad, 0, "the count of frames that reached the device damaged")
    bench.expect_equal(after.host_frames_bad, 0, "the count of frames that arrived here damaged")
    return f"{after.jobs_done:,} jobs; no fault, no damaged frame in either direction"


def _timed(bench: _Bench, measure: Callable[[Signer, dict[Curve, Key]], str]) -> str:
    keys = {curve: bench.load(curve, bench.secret()) for curve in bench.curves}
    try:
        return measure(bench.signer, keys)
    except selftest_time.ClockError as error:
        raise Mismatch(str(error)) from None


def _checks(bench: _Bench) -> Iterator[tuple[str, Callable[[], str]]]:
    for curve in bench.curves:
        rfc = "RFC 8032" if curve is Curve.ED25519 else "RFC 6979"
        yield f"{curve.value}: {rfc} vectors", partial(_published, bench, curve)
        yield f"{curve.value}: equal to {reference.LIBRARY[curve]}", partial(_random, bench, curve)
        yield f"{curve.value}: lengths", partial(_lengths, bench, curve)
        if curve is not Curve.ED25519:
            yield f"{curve.value}: digests", partial(_digests, bench, curve)
            yield f"{curve.value}: edge keys", partial(_edge_keys, bench, curve)
    yield "keys kept apart", partial(_isolation, bench)
    yield "wiping", partial(_wiped, bench)
    if Curve.ED25519 in bench.curves:
        yield "wrong use refused", partial(_wrong_use, bench)
    if bench.signer.identity.key_slots:
        yield "time does not tell", partial(_same_cycles, bench)
        yield "clock", partial(_timed, bench, selftest_time.clock)
    yield "speed", partial(_timed, bench, selftest_time.speed)
    yield "counters", partial(_counters, bench)


def run(signer: Signer, *, seed: int = 1, rounds: int = 32) -> Iterator[Result]:
    """Results of all checks that apply to ``signer``, in order, each as soon as it is known.

    ``rounds``: random messages per curve. A check that raises an error of the device has failed and
    the next goes on.
    """
    for name, check in _checks(_Bench(signer, seed, rounds)):
        try:
            yield Result(name, True, check())
        except (Mismatch, IntaglioError) as error:
            yield Result(name, False, str(error))
