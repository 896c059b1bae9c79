"""A signer on a device: one thread owns the transport and the dispatcher, callers hold futures.

All that was submitted since the thread's last turn goes out together (:mod:`intaglio.batch`).
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from intaglio import wire
from intaglio.batch import BATCH_BYTES, DELAY_US, Batcher
from intaglio.burst import gather
from intaglio.check import VerifyPolicy
from intaglio.curve import Curve
from intaglio.dispatch import Dispatcher
from intaglio.errors import (
    BadCurveError,
    ClosedError,
    InputError,
    IntaglioError,
    LinkError,
)
from intaglio.metrics import DeviceStats, log
from intaglio.promise import Batch, running
from intaglio.queued import MAX_QUEUED, QueuedSigner
from intaglio.session import SILENT_TRIES
from intaglio.signer import Secret
from intaglio.transport.base import Transport
from intaglio.values import Counters, Identity, Key, Signature, check_secret
from intaglio.work import SignItem, Work, unknown_key

WRITE_BYTES = 1 << 18
"""Most bytes handed to a transport at once. Rings take whole blocks only, so no block is longer."""


class DeviceSigner(QueuedSigner):
    """Signs on the device behind ``transport``, which it owns from now on.

    ``timeout_s`` and ``verify`` as in :func:`intaglio.open`; ``batch_bytes`` and ``delay_us`` as
    in :class:`Batcher`; ``max_queued`` as in :class:`QueuedSigner`; ``stats`` are counted on.
    Raises what opening it raises.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_s: float | None = None,
        verify: bool | str | VerifyPolicy = True,
        rng: random.Random | None = None,
        batch_bytes: int = BATCH_BYTES,
        delay_us: float = DELAY_US,
        max_queued: int = MAX_QUEUED,
        stats: DeviceStats | None = None,
    ) -> None:
        super().__init__(transport.name, max_queued)
        self._transport = transport
        codec = transport.codec()
        self._bulk = codec.runs is not None
        self._retry_s = (timeout_s or transport.default_timeout_s) / SILENT_TRIES
        self._dispatcher = Dispatcher(
            transport.name,
            retry_s=self._retry_s,
            verify=VerifyPolicy.parse(verify),
            rng=rng,
            clock=time.monotonic,
            stats=stats,
            codec=codec,
        )
        self._batcher = Batcher(batch_bytes, delay_us)
        self._commands: deque[Callable[[float], None]] = deque()
        self._lock = threading.Lock()
        self._ended: IntaglioError | None = None
        self._stopping = False
        self._asleep = False
        self._posted = self._started = self._sent_before = 0
        opened = self._dispatcher.open(time.monotonic())
        self._thread = threading.Thread(
            target=self._work, name=f"intaglio {transport.name}", daemon=True
        )
        self._thread.start()
        try:
            self._identity = opened.result()
        except BaseException:
            self._stop()
            raise

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def stats(self) -> DeviceStats:
        """What was counted and measured."""
        return self._dispatcher.stats

    @property
    def depth(self) -> int:
        return self._dispatcher.depth + self._posted - self._started

    @property
    def ended(self) -> IntaglioError | None:
        """Why it takes no more requests; ``None`` while it does."""
        return self._ended

    def submit_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        curve = Curve(curve)
        data = check_secret(curve, secret)
        has = self._identity.curves
        if curve not in has:
            raise BadCurveError(
                f"{self._identity.name} has no {curve.value}, only {', '.join(has)}: "
                "use another profile, or soft:"
            )
        future = running()
        self._post(lambda now: self._dispatcher.load(curve, data, future, now))
        return future

    def enqueue(self, works: Sequence[Work]) -> None:
        def start(now: float) -> None:
            self._started += len(works)
            self._dispatcher.start_many(works, now)

        self._post(start, len(works))

    def start_batch(self, requests: Sequence[SignItem], batch: Batch[Signature]) -> None:
        burst = None
        if self._bulk and self.depth + len(requests) <= self._max_queued:
            burst = gather(requests, batch, self._identity.max_message_bytes)
        if burst is None or self._ended is not None or not self._dispatcher.holds(burst.key):
            super().start_batch(requests, batch)
            return
        burst.submitted_at = time.monotonic()

        def start(now: float) -> None:
            self._started += len(requests)
            self._dispatcher.start_burst(burst, now)

        try:
            self._post(start, len(requests))
        except IntaglioError:
            super().start_batch(requests, batch)

    def submit_public_key(self, key: Key) -> Future[bytes]:
        self._check_key(key)
        future: Future[bytes] = Future()
        op = wire.Op.PUBLIC_KEY
        self._post(lambda now: self._dispatcher.start(key, op, b"", future, now))
        return future

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        future = running()
        if key is None:
            self._post(lambda now: self._dispatcher.wipe_all(future, now))
        else:
            self._check_key(key)
            self._post(lambda now: self._dispatcher.wipe(key, future, now))
        return future

    def submit_counters(self) -> Future[Counters]:
        future = running()
        self._post(lambda now: self._dispatcher.counters(future, now))
        return future

    def close(self) -> None:
        """Wipe all keys and let the device go; a second call does nothing.

        Waits for the device to confirm the wipe for as long as it waits before sending again.
        """
        closed = ClosedError("this signer was closed: open it again")
        wiped = running()

        with contextlib.suppress(IntaglioError, TimeoutError):
            self._post(lambda now: self._dispatcher.shut(closed, wiped, now))
            wiped.result(self._retry_s)
        self._stop()

    def _admit(self, work: Work) -> None:
        self._check_key(work.key)
        if len(work.body) > self._identity.max_message_bytes:
            raise InputError(
                f"a message of {len(work.body)} bytes is too long for {self._identity.name}: "
                f"at most {self._identity.max_message_bytes}"
            )

    def _check_key(self, key: Key) -> None:
        self._check_open()
        if not self._dispatcher.holds(key):
            raise unknown_key(key)

    def _check_open(self) -> None:
        if self._ended is not None:
            raise type(self._ended)(*self._ended.args)

    def _post(self, command: Callable[[float], None], works: int = 0) -> None:
        """Have the device's thread call ``command``, which starts ``works``, with the time."""
        with self._lock:
            self._check_open()
            self._posted += works
            self._commands.append(command)
            if self._asleep:
                self._asleep = False
                self._transport.wake()

    def _stop(self) -> None:
        self._stopping = True
        with self._lock:
            if self._ended is None:
                self._transport.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        end: IntaglioError = ClosedError("this signer was closed: open it again")
        try:
            while not self._stopping:
                self._turn()
        except LinkError as error:
            end = error
            log.warning("link lost", extra={"device": self._name, "error": str(error)})
        except BaseException as error:
            end = LinkError(f"the thread of {self._transport.name} failed: report this error")
            end.__cause__ = error
            raise
        finally:
            with self._lock:
                self._ended = end
            self._dispatcher.stop(end)
            while self._commands:
                self._commands.popleft()(time.monotonic())
            with self._lock:
                self._transport.close()

    def _turn(self) -> None:
        """One round: commands in, bytes out, bytes in, what is due."""
        dispatcher, transport = self._dispatcher, self._transport
        while self._commands:
            self._commands.popleft()(time.monotonic())
        hold_s = self._write()
        now = time.monotonic()
        deadline = dispatcher.next_deadline
        waits = [] if deadline is None else [deadline - now]
        waits += [hold_s] if hold_s else []
        self._asleep = True
        if self._commands:
            waits.append(0.0)
        wait_s = max(0.0, min(waits)) if waits else None
        data = transport.read(wait_s, or_writable=bool(dispatcher.output) and not hold_s)
        self._asleep = False
        now = time.monotonic()
        if data:
            dispatcher.feed(data, now)
        dispatcher.poll(now)

    def _write(self) -> float:
        """Hand bytes to the link, or say how many seconds they should wait for more."""
        output = self._dispatcher.output
        outstanding, sent = self._dispatcher.in_device
        at_work = outstanding - (sent - self._sent_before)
        idle = 2 * at_work < self._dispatcher.window
        now = time.monotonic()
        hold_s = self._batcher.wait_s(len(output), idle=idle, now=now)
        if output and not hold_s:
            taken = self._transport.write(bytes(output[:WRITE_BYTES]))
            del output[:taken]
            if taken:
                self._batcher.sent()
                self._dispatcher.moved(now)
            if not output:
                self._sent_before = sent
        return hold_s
