"""What a pool gives its work to: a device's signer, or threads that sign in software."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Protocol

from intaglio import wire
from intaglio.curve import Curve
from intaglio.deadline import check_due
from intaglio.errors import ClosedError, IntaglioError
from intaglio.metrics import DeviceStats
from intaglio.promise import begin, fail, succeed
from intaglio.signer import Secret, Signer
from intaglio.values import Counters, Identity, Key
from intaglio.work import Work

SOFT_THREADS = 2
"""Threads of a :class:`SoftLane`; the libraries release the interpreter's lock while they sign."""


class Lane(Protocol):
    """The part of :class:`intaglio.device.DeviceSigner` that a pool uses."""

    @property
    def identity(self) -> Identity:
        """What the device told of itself."""
        ...

    @property
    def ended(self) -> IntaglioError | None:
        """Why it takes no more work; ``None`` while it does."""
        ...

    def enqueue(self, works: Sequence[Work]) -> None:
        """Take ``works`` on; each promise ends. Raises :class:`IntaglioError` if it takes none."""
        ...

    def submit_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        """Hold a key."""
        ...

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        """Forget a key."""
        ...

    def submit_counters(self) -> Future[Counters]:
        """Ask for a sign of life."""
        ...

    def close(self) -> None:
        """End all that is under way and let the device go."""
        ...


class SoftLane:
    """Signs with ``signer``, whose :meth:`Signer.sign` works in the calling thread."""

    def __init__(self, signer: Signer, stats: DeviceStats, threads: int = SOFT_THREADS) -> None:
        self._signer = signer
        self._stats = stats
        self._works: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._ended: IntaglioError | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"intaglio {stats.device} {n}", daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def identity(self) -> Identity:
        return self._signer.identity

    @property
    def ended(self) -> IntaglioError | None:
        return self._ended

    def enqueue(self, works: Sequence[Work]) -> None:
        with self._lock:
            if self._ended is not None:
                raise ClosedError(*self._ended.args)
            for work in works:
                self._works.put(work)

    def submit_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        return self._signer.submit_load(curve, secret)

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        return self._signer.submit_wipe(key)

    def submit_counters(self) -> Future[Counters]:
        return self._signer.submit_counters()

    def close(self) -> None:
        with self._lock:
            if self._ended is not None:
                return
            self._ended = ClosedError(f"{self._stats.device} was closed: open it again")
            for _ in self._threads:
                self._works.put(None)
        for thread in self._threads:
            thread.join()
        self._signer.close()

    def _run(self) -> None:
        while (work := self._works.get()) is not None:
            if begin(work.promise):
                self._sign(work)

    def _sign(self, work: Work) -> None:
        began_at = time.monotonic()
        digest = work.body if work.op is wire.Op.SIGN_DIGEST else None
        message = work.body if digest is None else None
        try:
            check_due(self._stats.device, work.deadline)
            signature = self._signer.sign(work.key, message, digest=digest)
            check_due(self._stats.device, work.deadline)
        except IntaglioError as error:
            with self._lock:
                self._stats.failed(error)
            fail(work.promise, error)
            return
        ended_at = time.monotonic()
        with self._lock:
            self._stats.signed(
                signature.curve, queue_s=began_at - work.submitted_at, link_s=ended_at - began_at
            )
        succeed(work.promise, signature)
