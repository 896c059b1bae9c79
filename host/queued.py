"""A signer whose requests wait for devices: how they are prepared, ordered and handed on."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

from intaglio.deadline import late
from intaglio.errors import BusyError, IntaglioError
from intaglio.promise import Batch, InOrder, Promise, fail
from intaglio.signer import Signer
from intaglio.values import Key, Signature, SignRequest
from intaglio.work import SignItem, Work, parts, prepare

MAX_QUEUED = 1 << 16
"""Requests that a signer holds before it refuses more."""
MAX_PENDING = 2048
"""Requests of one ``sign_many`` that wait at once."""
CHUNK = 512
"""Requests of ``sign_many`` that are handed on together."""
CHUNK_S = 0.001
"""Seconds after which a chunk that fills slowly is handed on as it is."""
_ORDERS_KEPT = 64


class QueuedSigner(Signer):
    """Turns requests into :class:`Work`. ``name`` is what messages call the signer.

    More than ``max_queued`` requests without an answer are refused in :class:`BusyError`.
    """

    def __init__(self, name: str, max_queued: int = MAX_QUEUED) -> None:
        self._name = name
        self._max_queued = max_queued
        self._orders: dict[Key, InOrder] = {}
        self._orders_lock = threading.Lock()

    @property
    @abstractmethod
    def depth(self) -> int:
        """Requests without an answer."""

    @abstractmethod
    def enqueue(self, works: Sequence[Work]) -> None:
        """Take ``works`` on. Raises :class:`ClosedError` or :class:`LinkError` if it takes none."""

    @abstractmethod
    def _admit(self, work: Work) -> None:
        """Raise :class:`InputError` if ``work`` is not for this signer: an unknown key, say."""

    def _submit(self, request: SignRequest) -> Future[Signature]:
        future: Future[Signature] = Future()
        work = self._prepare(request, future, time.monotonic())
        try:
            self.enqueue([work])
        except IntaglioError as error:
            fail(work.promise, error)
            raise
        return future

    def _sign_all(self, requests: Iterable[SignItem]) -> list[Signature | IntaglioError]:
        pending: deque[Batch[Signature]] = deque()
        results: list[Any] = []
        for chunk in chunks(requests):
            if len(pending) >= MAX_PENDING // CHUNK:
                results += pending.popleft().wait()
            batch: Batch[Signature] = Batch(len(chunk))
            pending.append(batch)
            self.start_batch(chunk, batch)
        for batch in pending:
            results += batch.wait()
        return results

    def start_batch(self, requests: Sequence[SignItem], batch: Batch[Signature]) -> None:
        """Start signing all of ``requests``; number ``n`` ends in ``batch.results[n]``."""
        self.start_many(list(zip(requests, batch.slots(), strict=True)))

    def start_many(self, requests: Sequence[tuple[SignItem, Promise[Signature]]]) -> None:
        works = []
        now = time.monotonic()
        for item, promise in requests:
            try:
                works.append(self._prepare(parts(item), promise, now))
            except IntaglioError as error:
                fail(promise, error)
        if not works:
            return
        try:
            self.enqueue(works)
        except IntaglioError as error:
            for work in works:
                fail(work.promise, error)

    def _prepare(self, request: SignRequest, promise: Promise[Signature], now: float) -> Work:
        work = prepare(self._name, request, promise, now)
        self._admit(work)
        if self.depth >= self._max_queued:
            raise BusyError(
                f"{self._name} holds {self.depth} requests already and takes no more than "
                f"{self._max_queued}: wait for answers before sending more"
            )
        if request.ordered:
            self._put_in_order(work)
        return work

    def _put_in_order(self, work: Work) -> None:
        def too_late() -> IntaglioError | None:
            now = time.monotonic()
            if work.deadline is None or now <= work.deadline:
                return None
            return late(self._name, work.deadline, now)

        with self._orders_lock:
            if len(self._orders) > _ORDERS_KEPT:
                self._orders = {key: kept for key, kept in self._orders.items() if not kept.empty}
            order = self._orders.setdefault(work.key, InOrder())
            work.promise = order.hold(work.promise, too_late)


def chunks(requests: Iterable[SignItem]) -> Iterator[list[SignItem]]:
    """``requests`` in lists of up to :data:`CHUNK`; shorter if they come slowly."""
    if isinstance(requests, list | tuple):
        for start in range(0, len(requests), CHUNK):
            yield list(requests[start : start + CHUNK])
        return
    chunk: list[SignItem] = []
    began = 0.0
    for request in requests:
        if not chunk:
            began = time.monotonic()
        chunk.append(request)
        if len(chunk) >= CHUNK or time.monotonic() - began > CHUNK_S:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
