"""The software signer ``soft:``: the libraries of :mod:`intaglio.softkey` behind the same verbs.

Ed25519 is libsodium's, secp256k1 libsecp256k1's, and P-256, which no device has, OpenSSL's. What
the caller passed in is the caller's to erase.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

from intaglio import check
from intaglio.curve import Curve
from intaglio.deadline import check_due
from intaglio.errors import ClosedError, DeadlineError, InputError, IntaglioError, InvalidKeyError
from intaglio.metrics import DeviceStats
from intaglio.signer import Secret, Signer, SignItem, done, failed, unknown_key
from intaglio.softkey import Sign, SoftKey, soft_key
from intaglio.transport.base import ParsedUrl
from intaglio.values import Counters, Identity, Key, Signature, SignRequest, check_secret
from intaglio.work import parts

MAX_WORKERS = 64
"""Most threads that one signer's ``sign_many`` may use."""

_MIN_CHUNK, _MAX_CHUNK, _CHUNKS_PER_WORKER = 4, 64, 4


class SoftSigner(Signer):
    """Signs in the calling thread; its futures have ended when they are returned.

    ``workers``: threads that :meth:`sign_many` spreads over, the calling one included; by default
    one for each core this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._identity = Identity(name="soft", curves=_curves(), profile="soft")
        self._keys: dict[Key, SoftKey] = {}
        self.stats = DeviceStats("soft")
        """Signatures by curve, and what was late. Times are not taken: that would cost some."""
        self._loads = 0
        self._lock = threading.Lock()
        self._closed = False
        self._workers = min(workers or _cores(), MAX_WORKERS)
        self._pool: ThreadPoolExecutor | None = None

    @property
    def identity(self) -> Identity:
        return self._identity

    def submit_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        self._check_open()
        curve = Curve(curve)
        data = check_secret(curve, secret)
        try:
            key = check.key_of(curve, data)
        except InvalidKeyError as error:
            return failed(error)
        self._keys[key] = soft_key(curve, data)
        with self._lock:
            self._loads += 1
        return done(key)

    def _sign(
        self,
        key: Key,
        message: bytes | None,
        digest: bytes | None,
        deadline: float | None,
        ordered: bool,
    ) -> Signature:
        held = self._keys.get(key)
        if held is None:
            raise self._refusal(key)
        if deadline is not None:
            self._check_due(deadline)
        signature = held.sign(message, digest)
        if deadline is not None:
            self._check_due(deadline)
        with self._lock:
            self.stats.ops[key.curve] += 1
        return signature

    def _submit(self, request: SignRequest) -> Future[Signature]:
        key, message, digest = request.key, request.message, request.digest
        return done(self._sign(key, message, digest, request.deadline, request.ordered))

    def submit_public_key(self, key: Key) -> Future[bytes]:
        if key not in self._keys:
            raise self._refusal(key)
        return done(key.public_key)

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        self._check_open()
        if key is None:
            self._keys.clear()
        elif self._keys.pop(key, None) is None:
            raise unknown_key(key)
        return done(None)

    def submit_counters(self) -> Future[Counters]:
        self._check_open()
        return done(Counters(jobs_done=self._loads + self.stats.signatures))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        self._keys.clear()
        if pool is not None:
            pool.shutdown()

    def _sign_all(self, requests: Iterable[SignItem]) -> list[Signature | IntaglioError]:
        """What became of each of ``requests``.

        The calling thread works too and takes whatever no other thread has begun, so that a pool
        that is busy, or that did not survive a fork, holds nothing up.
        """
        items = list(requests)
        share = math.ceil(len(items) / (self._workers * _CHUNKS_PER_WORKER))
        size = max(_MIN_CHUNK, min(_MAX_CHUNK, share))
        starts = deque(range(0, len(items), size))
        outcomes: list[Any] = [None] * len(items)

        def work() -> None:
            while starts:
                try:
                    at = starts.popleft()
                except IndexError:
                    return
                outcomes[at : at + size] = self._sign_chunk(items[at : at + size])

        helpers = self._start(work, min(self._workers, len(starts)) - 1)
        try:
            work()
        finally:
            starts.clear()
            running = [helper for helper in helpers if not helper.cancel()]
        for helper in running:
            helper.result()
        return outcomes

    def _start(self, work: Callable[[], None], count: int) -> list[Future[None]]:
        if count < 1:
            return []
        with self._lock:
            if self._closed:
                return []
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers - 1, "intaglio-soft")
            return [self._pool.submit(work) for _ in range(count)]

    def _sign_chunk(self, items: list[SignItem]) -> list[Signature | IntaglioError]:
        keys = self._keys
        runs: dict[SoftKey, Sign] = {}
        outcomes: list[Signature | IntaglioError] = []
        signed: list[Curve] = []
        for item in items:
            try:
                if type(item) is not tuple or len(item) != 2:
                    one = parts(item)
                    key, message, digest, deadline = one.key, one.message, one.digest, one.deadline
                else:
                    (key, message), digest, deadline = item, None, None
                held = keys.get(key)
                if held is None:
                    raise self._refusal(key)
                sign = runs.get(held)
                if sign is None:
                    sign = runs[held] = held.run()
                if deadline is not None:
                    self._check_due(deadline)
                signature = sign(message, digest)
                if deadline is not None:
                    self._check_due(deadline)
                outcomes.append(signature)
                signed.append(signature.curve)
            except IntaglioError as error:
                outcomes.append(error)
        with self._lock:
            self.stats.ops.update(signed)
        return outcomes

    def _check_due(self, deadline: float) -> None:
        try:
            check_due("soft", deadline)
        except DeadlineError:
            with self._lock:
                self.stats.late += 1
            raise

    def _refusal(self, key: object) -> IntaglioError:
        return _closed() if self._closed else unknown_key(key)

    def _check_open(self) -> None:
        if self._closed:
            raise _closed()


def open_soft(url: ParsedUrl) -> SoftSigner:
    """Signer for ``soft:``; ``soft:?workers=2`` sets the threads of ``sign_many`` (1..64)."""
    url.allow("workers")
    if url.path:
        raise InputError(f"device URL {url.text!r}: write soft: or soft:?workers=N")
    return SoftSigner(url.integer("workers", min(_cores(), MAX_WORKERS), 1, MAX_WORKERS))


def _closed() -> ClosedError:
    return ClosedError("this signer was closed: open it again")


def _curves() -> tuple[Curve, ...]:
    """The curves whose libraries are installed."""
    openssl = find_spec("cryptography") is not None
    return tuple(curve for curve in Curve if openssl or curve is not Curve.P256)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
