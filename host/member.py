"""One device of a pool and the thread that keeps it: opens, loads keys, watches, opens again."""

from __future__ import annotations

import enum
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from intaglio.config import DeviceConfig, Health
from intaglio.errors import BadCurveError, ClosedError, InputError, IntaglioError, VerifyError
from intaglio.lane import Lane
from intaglio.metrics import DeviceStats, log
from intaglio.values import Counters, Key

SOFT_CAPACITY = 64
"""Requests that software is given at once."""
DEPTH = 2
"""Windows of requests that a device is given at once, so that it never waits for more."""
RATE_WEIGHT = 1 / 16
"""Share of the last answer in the measured speed."""


class State(enum.Enum):
    """What a member of a pool is doing."""

    DOWN = "down"
    """Being opened, or waiting to be opened again."""
    UP = "up"
    DRAINING = "draining"
    """Takes no more work and is removed once it has none."""
    QUARANTINED = "quarantined"
    """It answered something wrong; it takes no work until it is readmitted."""
    REMOVED = "removed"


@dataclass(slots=True, eq=False)
class HeldKey:
    """A key that a pool holds: for the members in ``devices``, or for all if that is empty."""

    key: Key
    secret: bytearray = field(repr=False)
    devices: tuple[str, ...] = ()
    wiped: bool = False

    def wipe(self) -> None:
        """Overwrite the secret."""
        self.wiped = True
        self.secret[:] = bytes(len(self.secret))


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """How a member of a pool is doing, for people."""

    name: str
    url: str
    state: str
    fallback: bool
    outstanding: int
    signatures: int
    signatures_per_s: float
    """Measured speed, by Little's law; 0 before the first signature."""
    reconnects: int
    last_error: str
    counters: Counters | None
    """From the last heartbeat."""


class Owner(Protocol):
    """What a member asks of its pool. ``lock`` guards the state of the pool and its members."""

    lock: threading.Lock

    def keys_of(self, member: Member) -> list[HeldKey]:
        """Keys that ``member`` is to hold; the lock is held."""
        ...

    def pump(self) -> None:
        """Give work to whoever can take it; the lock is not held."""
        ...


class Member:
    """A device of a pool. ``tier`` 0 is a device; fallbacks follow in their order.

    What is not private is guarded by the owner's lock.
    """

    def __init__(
        self,
        config: DeviceConfig,
        tier: int,
        owner: Owner,
        health: Health,
        opener: Callable[[DeviceConfig, DeviceStats], Lane],
    ) -> None:
        self.config = config
        self.tier = tier
        self.state = State.DOWN
        self.lane: Lane | None = None
        self.keys: dict[Key, Key] = {}
        self.outstanding = 0
        self.rate = 0.0
        self.capacity = 0
        self.last_error = ""
        self.wrong: InputError | None = None
        """What is wrong with its configuration, so that it can never be opened."""
        self.counters: Counters | None = None
        self.stats = DeviceStats(config.name)
        self.tried = threading.Event()
        """Set once it was up, or could not be opened, for the first time."""
        self._owner = owner
        self._health = health
        self._opener = opener
        self._wake = threading.Event()
        self._thread = threading.Thread(
            target=self._keep, name=f"intaglio pool {config.name}", daemon=True
        )
        self._refused: set[Key] = set()

    def start(self) -> None:
        """Begin to open the device."""
        self._thread.start()

    def status(self) -> MemberStatus:
        """How it is doing; the lock is held."""
        return MemberStatus(
            self.config.name,
            self.config.url,
            self.state.value,
            self.tier > 0,
            self.outstanding,
            self.stats.signatures,
            self.rate,
            self.stats.reconnects,
            self.last_error,
            self.counters,
        )

    def score(self) -> float:
        """Expected time to an answer, least for who is to get the next request."""
        return (self.outstanding + 1) / ((self.rate or 1e9) * self.config.weight)

    def answered(self, took_s: float) -> None:
        """Note an answer after ``took_s``; by Little's law, speed is requests over time."""
        speed = self.outstanding / max(took_s, 1e-6)
        self.rate += (speed - self.rate) * (RATE_WEIGHT if self.rate else 1.0)
        self.outstanding -= 1

    def trouble(self, error: BaseException, state: State = State.DOWN) -> None:
        """Take it out of service because of ``error``; the lock is held."""
        if self.state in (State.UP, State.DRAINING):
            draining = self.state is State.DRAINING
            self.state = State.REMOVED if draining else state
            self.last_error = str(error)
            self._wake.set()

    def drain(self) -> None:
        """Take no more work, and leave once there is none; the lock is held."""
        self.state = State.DRAINING if self.state is State.UP else State.REMOVED
        self._wake.set()

    def remove(self) -> None:
        """Leave at once; the lock is held."""
        self.state = State.REMOVED
        self._wake.set()

    def readmit(self) -> None:
        """Open it again after a quarantine; the lock is held."""
        if self.state is State.QUARANTINED:
            self.state = State.DOWN
            self._wake.set()

    def nudge(self) -> None:
        """Have the thread look at what has changed."""
        self._wake.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the thread has ended; whether it has."""
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def load(self, held: HeldKey) -> Future[Any] | None:
        """Load one more key while up; ``None`` if there is nothing to wait for."""
        with self._owner.lock:
            lane = self.lane if self.state is State.UP and not held.wiped else None
            secret = bytes(held.secret)
        if lane is None:
            return None
        try:
            future = lane.submit_load(held.key.curve, secret)
        except IntaglioError as error:
            self._not_loaded(held, error)
            return None
        done: Future[Any] = Future()

        def loaded(ended: Future[Key]) -> None:
            error = ended.exception()
            if error is None:
                error = self._take(lane, held, ended.result())
            if error is not None:
                self._not_loaded(held, error)
            done.set_result(None)
            self._owner.pump()

        future.add_done_callback(loaded)
        return done

    # The thread

    def _keep(self) -> None:
        health = self._health
        wait_s = health.reconnect_s
        while self._state() is not State.REMOVED:
            opened_at = time.monotonic()
            self._serve()
            self.tried.set()
            self._owner.pump()
            if time.monotonic() - opened_at > health.reconnect_max_s:
                wait_s = health.reconnect_s
            until = time.monotonic() + wait_s * random.uniform(0.75, 1.25)
            wait_s = min(2 * wait_s, health.reconnect_max_s)
            while self._state() is State.DOWN and (left := until - time.monotonic()) > 0:
                self._sleep(left)
            while self._state() is State.QUARANTINED:
                self._sleep(None)
        self.tried.set()

    def _serve(self) -> None:
        """Open the device, have it work until it is out of service, close it."""
        lane: Lane | None = None
        try:
            lane = self._opener(self.config, self.stats)
            self._bring_up(lane)
            self._watch(lane)
        except Exception as error:
            self._out(error)
        finally:
            with self._owner.lock:
                self.lane = None
                self.keys = {}
                if self.state in (State.UP, State.DRAINING):
                    self.trouble(ClosedError(f"{self.config.name} is closed"))
            if lane is not None:
                lane.close()
                log.info("device down", extra=self._about(error=self.last_error))

    def _out(self, error: Exception) -> None:
        with self._owner.lock:
            wrong = isinstance(error, VerifyError)
            if isinstance(error, InputError):
                self.wrong = error
            if self.state is State.DOWN:
                self.state = State.QUARANTINED if wrong else State.DOWN
                self.last_error = str(error)
                self.stats.failed(error)
            else:
                self.trouble(error, State.QUARANTINED if wrong else State.DOWN)
        log.warning("device failed", extra=self._about(error=str(error)))

    def _bring_up(self, lane: Lane) -> None:
        """Load every key that it is to hold, then take work."""
        self._refused.clear()
        while True:
            with self._owner.lock:
                missing = [
                    (held, bytes(held.secret))
                    for held in self._owner.keys_of(self)
                    if held.key not in self.keys and held.key not in self._refused
                ]
                if not missing:
                    if self.state is State.DOWN:
                        self.state = State.UP
                        self.lane = lane
                    jobs = lane.identity.job_slots
                    self.capacity = DEPTH * jobs if jobs else SOFT_CAPACITY
                    break
            loading: list[tuple[HeldKey, Future[Key]]] = []
            for held, secret in missing:
                try:
                    loading.append((held, lane.submit_load(held.key.curve, secret)))
                except BadCurveError:
                    self._refused.add(held.key)
            for held, future in loading:
                error = self._take(lane, held, future.result())
                if error is not None:
                    raise error
        self.stats.reconnects += self.tried.is_set()
        self.tried.set()
        log.info("device up", extra=self._about(keys=len(self.keys)))
        self._owner.pump()

    def _take(self, lane: Lane, held: HeldKey, key: Key) -> IntaglioError | None:
        """Note that ``key`` is ``held`` in ``lane``; the error if it is another."""
        if key.public_key != held.key.public_key and not held.wiped:
            return VerifyError(
                f"{self.config.name} computed a wrong {held.key.curve.value} public key; "
                "it is in quarantine: run its self-test"
            )
        with self._owner.lock:
            wiped = held.wiped
            if not wiped:
                self.keys[held.key] = key
        if wiped:
            lane.submit_wipe(key)
        return None

    def _not_loaded(self, held: HeldKey, error: BaseException) -> None:
        with self._owner.lock:
            if isinstance(error, BadCurveError):
                self._refused.add(held.key)
            else:
                wrong = isinstance(error, VerifyError)
                self.trouble(error, State.QUARANTINED if wrong else State.DOWN)

    def _watch(self, lane: Lane) -> None:
        """Ask for counters now and then until it is out of service."""
        beat: Future[Counters] | None = None
        next_at = time.monotonic() + self._health.heartbeat_s
        while True:
            self._sleep(None if beat else max(0.0, next_at - time.monotonic()))
            with self._owner.lock:
                state, idle = self.state, not self.outstanding
                if state is State.DRAINING and idle:
                    self.state = state = State.REMOVED
            if state not in (State.UP, State.DRAINING):
                return
            if lane.ended is not None:
                raise lane.ended
            if beat is not None and beat.done():
                counters = beat.result()
                with self._owner.lock:
                    self.counters = counters
                beat, next_at = None, time.monotonic() + self._health.heartbeat_s
            elif beat is None and time.monotonic() >= next_at:
                beat = lane.submit_counters()
                beat.add_done_callback(lambda _: self._wake.set())

    def _state(self) -> State:
        with self._owner.lock:
            return self.state

    def _sleep(self, seconds: float | None) -> None:
        self._wake.wait(seconds)
        self._wake.clear()

    def _about(self, **more: object) -> dict[str, object]:
        return {"device": self.config.name, "url": self.config.url, **more}
