"""What to ask of a device next: keys into slots, jobs into the window, answers into futures.

Sans-IO like :mod:`intaglio.session`, which it drives; one thread owns it. Bytes to send collect in
:attr:`Dispatcher.output`. A job waits for its key's load and for room in the window; jobs on other
keys go on meanwhile, and keys with jobs take turns.

A device that was reset or opened by someone else (STALE_SESSION) is opened again, its keys are
loaded again and what was in flight is sent again, once; signing is deterministic, so the answers
are the same. A device that fell silent is opened again before the next request.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from intaglio import wire
from intaglio.answers import read_key
from intaglio.burst import Burst, Bursts, Part
from intaglio.check import VerifyPolicy
from intaglio.codec import Codec
from intaglio.control import Control, Controls, promises_of
from intaglio.curve import Curve
from intaglio.deadline import Deadlines
from intaglio.errors import (
    InputError,
    IntaglioError,
    ProtocolError,
    RequestTimeout,
    StaleSessionError,
)
from intaglio.gate import Gate
from intaglio.keyring import GONE, Entry, Job, Keyring, Residency
from intaglio.metrics import DeviceStats
from intaglio.outcome import Outcome, Reply, Request, Taken
from intaglio.promise import Promise, fail, succeed
from intaglio.session import SILENT_TRIES, Session
from intaglio.values import Counters, Identity, Key
from intaglio.work import Work, unknown_key

RELOADS = 3
"""Times a job may find its key gone from the slot and have it loaded again."""
WIPED = "the key was wiped before this was done: load it again"


class Dispatcher:
    """The work of one device. ``name`` and ``retry_s`` as in :class:`intaglio.session.Session`.

    ``verify`` says which signatures are checked on the host before they are given out. ``clock``
    (seconds) refines the times that :attr:`stats` and deadlines go by.
    """

    def __init__(
        self,
        name: str,
        *,
        retry_s: float,
        verify: bool | VerifyPolicy = True,
        rng: random.Random | None = None,
        clock: Callable[[], float] | None = None,
        stats: DeviceStats | None = None,
        codec: Codec | None = None,
    ) -> None:
        self._name = name
        self._timeout_s = retry_s * SILENT_TRIES
        self._verify = VerifyPolicy.parse(verify)
        self.stats = stats or DeviceStats(name)
        self._gate = Gate(name, self._verify, self.stats, clock)
        self._deadlines = Deadlines(name)
        self._session = Session(name, retry_s, rng, codec)
        self._ring = Keyring()
        self._bursts = Bursts(self._ring, self._session)
        self._control = Controls(self._ring, self._session)
        self._opened: Future[Identity] = Future()
        self._lost = True
        self._dead: IntaglioError | None = None
        self.output = bytearray()

    @property
    def next_deadline(self) -> float | None:
        """When to call :meth:`poll` next; ``None`` if nothing waits."""
        times = (self._session.next_deadline, self._deadlines.next)
        return min((time for time in times if time is not None), default=None)

    @property
    def depth(self) -> int:
        """Requests that wait or are in the device."""
        return self._ring.queued + self._bursts.waiting + self._session.outstanding

    @property
    def in_device(self) -> tuple[int, int]:
        """Requests sent and not answered, and requests sent so far."""
        return self._session.outstanding, self._session.submitted

    @property
    def window(self) -> int:
        """Jobs the device and its link hold at once; 1 before it has told."""
        return self._session.window

    def holds(self, key: object) -> bool:
        """Whether ``key`` was loaded here and not wiped."""
        return key in self._ring.by_key

    def open(self, now: float) -> Future[Identity]:
        """Open the device; ends in its identity."""
        self._open(now)
        return self._opened

    def load(self, curve: Curve, secret: bytes, future: Future[Key], now: float) -> None:
        """Hold a new key and load it; ``future`` ends in its :class:`Key`."""
        if self._dead is not None:
            fail(future, self._dead)
        else:
            self._ring.add(Entry(curve, bytearray(secret), future))
            self._issue(now)

    def start(self, key: Key, op: wire.Op, body: bytes, promise: Promise[Any], now: float) -> None:
        """Do SIGN_MESSAGE, SIGN_DIGEST or PUBLIC_KEY with ``key``."""
        self.start_many([Work(key, op, body, promise, submitted_at=now)], now)

    def start_many(self, works: Iterable[Work], now: float) -> None:
        """:meth:`start` of many; what has a deadline ends in :class:`DeadlineError` once late."""
        for work in works:
            entry = self._ring.by_key.get(work.key)
            if self._dead is not None or entry is None:
                fail(work.promise, self._dead or unknown_key(work.key))
                continue
            job = Job(work.op, work.body, work.promise, entry, work.deadline, work.submitted_at)
            if job.deadline is not None:
                self._deadlines.add(job.deadline, job.promise)
            self._ring.push(job)
        self._issue(now)

    def start_burst(self, burst: Burst, now: float) -> None:
        """Sign all of ``burst``."""
        entry = self._ring.by_key.get(burst.key)
        if self._dead is not None or entry is None:
            for slot in burst.batch.slots():
                fail(slot, self._dead or unknown_key(burst.key))
            return
        self._bursts.add(burst, entry)
        self._issue(now)

    def counters(self, future: Future[Counters], now: float) -> None:
        """Ask for the device's counters."""
        self._ask(Control(Request(wire.Op.COUNTERS), future), now)

    def wipe(self, key: Key, future: Future[None], now: float) -> None:
        """Zeroise ``key`` here at once and in the device as soon as its jobs have ended."""
        self._bursts.dissolve()
        entry = self._ring.by_key.get(key)
        if self._dead is not None or entry is None:
            fail(future, self._dead or unknown_key(key))
        else:
            entry.wipe_future = future
            self._drop(entry, InputError(WIPED))
            self._wipe_slot(entry)
            self._issue(now)

    def wipe_all(self, future: Future[None], now: float) -> None:
        """Zeroise all keys here at once and in the device when nothing is in flight."""
        self._bursts.dissolve()
        for entry in list(self._ring.entries):
            self._drop(entry, InputError(WIPED))
        self._ask(Control(Request(wire.Op.WIPE_ALL), future), now)

    def cancel_waiting(self, error: IntaglioError) -> None:
        """End all that is not in flight with ``error``."""
        self._bursts.dissolve()
        self._control.fail_all(error)
        self._ring.wanted.clear()
        for entry in list(self._ring.entries):
            self._ring.fail_queue(entry, error)
            if entry.key is None and entry.state is Residency.ABSENT:
                self._ring.discard(entry, error)

    def shut(self, error: IntaglioError, future: Future[None], now: float) -> None:
        """End all that is not being signed with ``error``, then :meth:`wipe_all`."""
        self.cancel_waiting(error)
        for entry in list(self._ring.entries):
            self._drop(entry, error)
        self.wipe_all(future, now)

    def stop(self, error: IntaglioError) -> None:
        """End everything with ``error``, now and from now on, and forget the keys."""
        self._dead = error
        for handle in self._session.abandon():
            for promise in promises_of(handle):
                fail(promise, error)
        fail(self._opened, error)
        self.cancel_waiting(error)
        for entry in list(self._ring.entries):
            self._ring.discard(entry, error)

    def moved(self, now: float) -> None:
        """Note that the link took bytes from :attr:`output`."""
        self._session.moved(now, drained=not self.output)

    def feed(self, data: bytes, now: float) -> None:
        """Take in bytes from the device."""
        self._settle(self._session.feed(data, now), now)

    def poll(self, now: float) -> None:
        """Do what is due at ``now``; call after :meth:`feed` and at :attr:`next_deadline`."""
        self.stats.late += self._deadlines.expire(now)
        data, outcomes = self._session.poll(now)
        self.output += data
        self._settle(outcomes, now)
        self._issue(now)

    # What goes out

    def _issue(self, now: float) -> None:
        if self._lost:
            self._bursts.dissolve()
            idle = self._dead is None and not self._session.outstanding
            if idle and (self._control or self._ring.has_work):
                self._open(now)
            return
        while self._session.identity is not None and not self._control.barrier:
            self._bursts.sort_out()
            step = self._control.next() or self._next_load() or self._next_job(now)
            if step is not None:
                self.output += self._session.submit(*step, now)
            many = b"" if self._control.first else self._bursts.next(now)
            if step is None and not many:
                return
            self.output += many

    def _next_load(self) -> tuple[Request, object] | None:
        if self._control.first or not self._ring.wanted:
            return None
        entry = self._ring.wanted[0]
        request = Request(wire.Op.LOAD_KEY, bytes(entry.secret), 0, entry.curve.wire_id)
        if not self._session.room(request):
            return None
        if not self._ring.claim():
            self._ring.make_room(self.window)
            if not self._ring.claim():
                return None
        return replace(request, slot=entry.slot), entry

    def _next_job(self, now: float) -> tuple[Request, object] | None:
        while entry := None if self._control.first else self._ring.next_ready():
            job = entry.queue[0]
            request = Request(job.op, job.body, entry.slot, entry.curve.wire_id, entry.generation)
            if not self._session.room(request):
                return None
            if not self._gate.wanted(job, now, busy=self._session.outstanding > 0):
                self._ring.pop(entry)
                continue
            self._ring.used(entry)
            job.generation = entry.generation
            entry.in_flight += 1
            return request, self._ring.pop(entry)
        return None

    def _open(self, now: float) -> None:
        self._lost = self._control.barrier = False
        self._ring.reset(0)
        self.output += self._session.open(None, now)

    def _reopen(self, stale: list[object], error: IntaglioError, now: float) -> None:
        """Open again after STALE_SESSION; all that is in flight goes out again, once."""
        for handle in reversed(stale + self._session.abandon()):
            self._take_back(handle, error)
        self._open(now)

    def _take_back(self, handle: object, error: IntaglioError) -> None:
        match handle:
            case Job(entry=entry):
                entry.in_flight -= 1
                if handle.reopened or entry.wiped:
                    fail(handle.promise, error)
                else:
                    handle.reopened = True
                    self._ring.push(handle, first=True)
                self._wipe_slot(entry)
            case Entry():
                if handle.reopened or handle.wiped:
                    self._settle_load(handle, None, error)
                else:
                    handle.reopened = True
                    self._ring.release(handle)
                    self._ring.want(handle)
            case Control():
                self._control.take_back(handle, error)

    # What comes back

    def _settle(self, outcomes: Iterable[Outcome | Taken], now: float) -> None:
        stale: list[object] = []
        refusal: IntaglioError | None = None
        for outcome in outcomes:
            if isinstance(outcome, Taken):
                self._settle_many(outcome, now)
                continue
            handle, reply, error = outcome.handle, outcome.reply, outcome.error
            if isinstance(error, RequestTimeout):
                self._lost |= not self._session.heard_since(now - self._timeout_s)
            elif reply is not None:
                self._lost = False
            if isinstance(error, StaleSessionError) and handle is not None:
                stale.append(handle)
                refusal = error
            elif handle is None:
                self._settle_open(error)
            elif isinstance(handle, Entry):
                self._settle_load(handle, reply, error)
            elif isinstance(handle, Job):
                self._settle_job(handle, reply, error, now)
            elif isinstance(handle, Control):
                self._control.settle(handle, reply, error)
        if refusal is not None:
            self._reopen(stale, refusal, now)

    def _settle_open(self, error: IntaglioError | None) -> None:
        identity = self._session.identity
        if error is not None or identity is None:
            self._lost = True
            failure = error or ProtocolError(f"{self._name} did not tell what it is")
            fail(self._opened, failure)
            self.cancel_waiting(failure)
        else:
            self._ring.reset(identity.key_slots)
            succeed(self._opened, identity)

    def _settle_load(self, entry: Entry, reply: Reply | None, error: IntaglioError | None) -> None:
        if reply is not None and not entry.wiped:
            try:
                entry.generation, entry.point = read_key(
                    self._name, entry, reply.body, self._verify.some
                )
            except IntaglioError as refused:
                error = refused
        if error is not None:
            self._ring.fail_queue(entry, error)
            self._ring.release(entry)
            if entry.key is None:
                self._ring.discard(entry, error)
        else:
            entry.state = Residency.RESIDENT
            entry.reopened = False
            if entry.key is None and not entry.wiped:
                self._ring.give_out(entry)
            if entry.queue:
                self._ring.line_up(entry)
        self._wipe_slot(entry)

    def _settle_job(
        self, job: Job, reply: Reply | None, error: IntaglioError | None, now: float
    ) -> None:
        entry = job.entry
        entry.in_flight -= 1
        if isinstance(error, GONE) and job.reloads < RELOADS and not entry.wiped:
            job.reloads += 1
            if entry.state is Residency.RESIDENT and entry.generation == job.generation:
                self._ring.release(entry)
            self._ring.push(job, first=True)
        elif reply is None:
            self.stats.failed(error)
            fail(job.promise, error)
        else:
            self._gate.release(job, reply, now, self._session.identity)
        self._wipe_slot(entry)

    def _settle_many(self, taken: Taken, now: float) -> None:
        part = taken.group
        assert isinstance(part, Part)
        part.entry.in_flight -= len(taken.indices)
        self._lost = False
        self._gate.release_many(taken, part, now, self._session.identity)
        self._wipe_slot(part.entry)

    def _drop(self, entry: Entry, error: IntaglioError) -> None:
        entry.wiped = True
        self._ring.discard(entry, error)

    def _wipe_slot(self, entry: Entry) -> None:
        """Wipe the slot of an entry that is to be wiped, once nothing of it is in flight."""
        future = entry.wipe_future
        if future is None or not entry.idle:
            return
        entry.wipe_future = None
        if entry.state is Residency.RESIDENT:
            request = Request(wire.Op.WIPE_KEY, slot=entry.slot)
            self._control.add(Control(request, future, entry))
        else:
            succeed(future, None)

    def _ask(self, control: Control, now: float) -> None:
        if self._dead is not None:
            fail(control.future, self._dead)
        else:
            self._control.add(control)
            self._issue(now)
