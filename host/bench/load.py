"""Load on a signer, and what its requests cost.

In a closed loop a request follows the end of another: latency counts from when it is made. In an
open loop requests arrive at times fixed beforehand, and latency counts from the intended arrival,
however late a busy signer lets it be made (no coordinated omission). A request that could not even
be sent by the end counts with the time it has waited, and is told apart as ``unsent``.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from intaglio.bench.histogram import Histogram
from intaglio.bench.payloads import Parts
from intaglio.errors import ClosedError, InputError, IntaglioError, LinkError
from intaglio.metrics import STAGES, Times, stats_of
from intaglio.queued import QueuedSigner
from intaglio.signer import Signer
from intaglio.values import Key, Signature

MAX_THREADS = 64
"""Requests in flight at a signer that works in the calling threads."""
GRACE_S = 10.0
"""Least seconds after the last arrival in which an open loop still sends."""
TICK_S = 0.1
"""Seconds between two reports of progress."""

Tick = Callable[[int], None]
_clock = time.perf_counter_ns
_Answer = tuple[int, int, int, Future[Signature]]
"""When a request was due, when its payload was made, when it was answered; and its future."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``offsets``: arrivals of an open loop, in seconds; ``None`` is a closed loop of ``seconds``.

    An open loop goes on to send what waits for ``seconds`` more, or :data:`GRACE_S` if that is
    longer.
    """

    seconds: float
    in_flight: int
    offsets: Sequence[float] | None = None

    def due(self, number: int) -> int | None:
        """Nanoseconds after the start at which request ``number`` is due; ``None``: no more."""
        if self.offsets is None:
            return 0
        return round(self.offsets[number] * 1e9) if number < len(self.offsets) else None

    @property
    def stop(self) -> int:
        """Nanoseconds after the start from which nothing is sent."""
        more_s = 0.0 if self.offsets is None else max(self.seconds, GRACE_S)
        return round((self.seconds + more_s) * 1e9)


@dataclass(slots=True)
class Seen:
    """What became of the requests. Times are nanoseconds."""

    latency: Histogram = field(default_factory=Histogram)
    wait: Histogram = field(default_factory=Histogram)
    """Intended arrival until the request was made: backlog, and the sleep that overshoots."""
    encode: Histogram = field(default_factory=Histogram)
    """Payload made, by the caller."""
    sign: Histogram = field(default_factory=Histogram)
    """Handed to the driver until answered: all that is not ``wait`` and ``encode``."""
    cycles: Histogram = field(default_factory=Histogram)
    """Device cycles."""
    stages: dict[str, Histogram] = field(
        default_factory=lambda: {stage: Histogram() for stage in STAGES if stage != "total"}
    )
    """Parts of ``sign``, as the driver of a device counts them."""
    errors: Counter[str] = field(default_factory=Counter)
    signed: int = 0
    unsent: int = 0
    last: int = 0
    """When the last answer came, after the start."""

    def answered(self, due: int, made: int, now: int, signature: Signature) -> None:
        """Count a request due at ``due``, its payload made at ``made``, answered at ``now``."""
        self.signed += 1
        self.last = max(self.last, now)
        self.latency.record(now - due)
        self.sign.record(now - made)
        if signature.cycles:
            self.cycles.record(signature.cycles)

    def took(self, times: Times) -> None:
        """Count what the driver says of a request."""
        for stage, seconds in times.items():
            if stage != "total":
                self.stages[stage].record(round(seconds * 1e9))

    def failed(self, error: BaseException) -> None:
        """Count an error. Raises those after which no request can succeed."""
        if isinstance(error, LinkError | ClosedError) or not isinstance(error, IntaglioError):
            raise error
        self.errors[type(error).__name__] += 1

    def dropped(self, due: int, now: int) -> None:
        """Count a request due at ``due`` that was not sent by ``now``, the end."""
        self.unsent += 1
        self.latency.record(now - due)

    def add(self, other: Seen) -> None:
        """Count all that ``other`` has counted."""
        for name in ("latency", "wait", "encode", "sign", "cycles"):
            getattr(self, name).add(getattr(other, name))
        for stage, histogram in self.stages.items():
            histogram.add(other.stages[stage])
        self.errors += other.errors
        self.signed += other.signed
        self.unsent += other.unsent
        self.last = max(self.last, other.last)


def run(signer: Signer, key: Key, payload: Callable[[int], Parts], plan: Plan, tick: Tick) -> Seen:
    """Load ``signer`` as ``plan`` says with what ``payload`` makes of 0, 1, ...

    ``tick`` is told the number of answers now and then. Raises :class:`InputError` for more in
    flight than the signer can have, and the error after which no request can succeed.
    """
    if isinstance(signer, QueuedSigner):
        return _Pipelined(signer, key, payload, plan, tick).run()
    if plan.in_flight > MAX_THREADS:
        raise InputError(
            f"{signer.identity.name} signs in the calling threads: "
            f"at most {MAX_THREADS} in flight, not {plan.in_flight}"
        )
    return _Threads(signer, key, payload, plan, tick).run()


class _Load:
    """What both kinds of load are made of; arguments as of :func:`run`."""

    def __init__(
        self,
        signer: Signer,
        key: Key,
        payload: Callable[[int], Parts],
        plan: Plan,
        tick: Tick,
    ) -> None:
        self._signer, self._key, self._payload = signer, key, payload
        self._plan, self._tick = plan, tick


class _Pipelined(_Load):
    """One thread submits and collects; the time of an answer is taken where it arrives."""

    _seen: Seen

    def run(self) -> Seen:
        self._seen = Seen()
        self._open = 0
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._times: deque[Times] = deque()
        devices = stats_of(self._signer)
        for stats in devices:
            stats.tap = self._times.append
        try:
            return self._run()
        finally:
            for stats in devices:
                stats.tap = None

    def _run(self) -> Seen:
        plan, seen = self._plan, self._seen
        closed = plan.offsets is None
        number, due = 0, plan.due(0)
        start = ticked = _clock()
        while due is not None or self._open:
            now = _clock() - start
            if due is not None and now >= plan.stop:
                if closed:
                    due = None
                    continue
                seen.dropped(due, now)
            elif due is not None and now >= due and self._open < plan.in_flight:
                self._send(number, now if closed else due, start)
            else:
                self._take((due - now) / 1e9 if due is not None and due > now else TICK_S)
                if _clock() - ticked > TICK_S * 1e9:
                    ticked = _clock()
                    self._tick(seen.signed)
                continue
            number += 1
            due = plan.due(number)
        self._tick(seen.signed)
        return seen

    def _send(self, number: int, due: int, start: int) -> None:
        seen, answers = self._seen, self._answers
        begun = _clock() - start
        message, digest = self._payload(number)
        made = _clock() - start
        seen.wait.record(begun - due)
        seen.encode.record(made - begun)
        try:
            future = self._signer.submit(self._key, message, digest=digest)
        except IntaglioError as error:
            seen.failed(error)
            return
        self._open += 1
        future.add_done_callback(lambda ended: answers.put((due, made, _clock() - start, ended)))

    def _take(self, wait_s: float) -> None:
        """Count the answers that are here; wait for one if none is."""
        try:
            answer = self._answers.get(timeout=min(wait_s, TICK_S))
            while True:
                due, made, now, future = answer
                self._open -= 1
                error = future.exception()
                if error is None:
                    self._seen.answered(due, made, now, future.result())
                else:
                    self._seen.failed(error)
                while self._times:
                    self._seen.took(self._times.popleft())
                answer = self._answers.get_nowait()
        except queue.Empty:
            return


class _Threads(_Load):
    """As many threads as requests in flight, each signing the next."""

    _error: BaseException | None = None

    def run(self) -> Seen:
        self._lock = threading.Lock()
        self._next = 0
        self._seen = [Seen() for _ in range(self._plan.in_flight)]
        start = _clock()
        threads = [
            threading.Thread(target=self._work, args=(seen, start), daemon=True)
            for seen in self._seen
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(TICK_S)
                self._tick(sum(seen.signed for seen in self._seen))
        if self._error is not None:
            raise self._error
        total = Seen()
        for seen in self._seen:
            total.add(seen)
        return total

    def _work(self, seen: Seen, start: int) -> None:
        try:
            while self._error is None:
                number = self._take_number()
                due = self._plan.due(number)
                if due is None or not self._one(seen, start, number, due):
                    return
        except BaseException as error:
            self._error = error

    def _take_number(self) -> int:
        with self._lock:
            number = self._next
            self._next += 1
        return number

    def _one(self, seen: Seen, start: int, number: int, due: int) -> bool:
        """Do request ``number``; whether more may follow."""
        closed = self._plan.offsets is None
        while (ahead := due - (_clock() - start)) > 0:
            time.sleep(ahead / 1e9)
        begun = _clock() - start
        if begun >= self._plan.stop:
            if not closed:
                seen.dropped(due, begun)
            return not closed
        if closed:
            due = begun
        message, digest = self._payload(number)
        made = _clock() - start
        try:
            signature = self._signer.sign(self._key, message, digest=digest)
        except IntaglioError as error:
            seen.failed(error)
            return True
        now = _clock() - start
        seen.answered(due, made, now, signature)
        seen.wait.record(begun - due)
        seen.encode.record(made - begun)
        return True
