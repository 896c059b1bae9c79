"""Many devices behind one signer: the least loaded gets the next request, none is lost.

    with intaglio.open_pool("pool.toml") as pool:
        signature = pool.sign(pool.keys["trading"], message=b"payload")

Requests wait in one queue and go, a window or two at a time, to the member that is expected to
answer first. What a member had accepted when it died goes back to the head of the queue and to
another one; signing is deterministic, so the answer is the very same. A member that answers
something wrong is put in quarantine. Fallbacks work only while no device is up that holds the key.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from intaglio import check
from intaglio.config import DeviceConfig, PoolConfig
from intaglio.curve import Curve
from intaglio.deadline import late
from intaglio.device import DeviceSigner
from intaglio.errors import ClosedError, InputError, IntaglioError, InvalidKeyError, LinkError
from intaglio.keysource import read_key
from intaglio.lane import Lane, SoftLane
from intaglio.member import HeldKey, Member, MemberStatus, State
from intaglio.metrics import DeviceStats, log
from intaglio.promise import begin, fail, succeed, when_all
from intaglio.queued import QueuedSigner
from intaglio.router import Attempt, Router
from intaglio.signer import Secret, done, failed
from intaglio.soft import open_soft
from intaglio.transport.base import ParsedUrl, Transport, open_transport
from intaglio.values import Counters, Identity, Key, check_secret
from intaglio.wire import ReleaseCheck
from intaglio.work import Work, unknown_key

TICK_S = 0.5
"""How often, at least, it is looked whether requests wait in vain, in seconds."""


class Pool(QueuedSigner):
    """Signs on the devices of ``config``; see the module. ``opener`` connects to a device's URL.

    Opening waits until every member was tried once; :class:`LinkError` if none of them is up,
    :class:`InputError` if a URL makes no sense.
    :attr:`keys` are the configured keys by name; more can be loaded as on every signer.
    """

    def __init__(
        self, config: PoolConfig, *, opener: Callable[[ParsedUrl], Transport] = open_transport
    ) -> None:
        super().__init__("pool", config.limits.max_queued)
        self.lock = threading.Lock()
        self.keys: dict[str, Key] = {}
        self._config = config
        self._opener = opener
        self._held: dict[Key, HeldKey] = {}
        self._closed = False
        self._alarm = threading.Event()
        self._router = Router(config.limits)
        for named in config.keys:
            secret = read_key(named.name, named.source, named.reference, config.folder)
            self.keys[named.name] = self._hold(named.curve, bytes(secret), named.devices).key
            secret[:] = bytes(len(secret))
        for device in config.devices:
            self._admit_member(device, 0)
        for tier, url in enumerate(config.fallback, 1):
            self._admit_member(DeviceConfig(url, url), tier)
        self._supervisor = threading.Thread(
            target=self._supervise, name="intaglio pool", daemon=True
        )
        self._supervisor.start()
        for member in self._router.members:
            member.tried.wait()
            if member.wrong is not None:
                self.close()
                raise member.wrong
        if not any(member.state is State.UP for member in self._router.members):
            reasons = "; ".join(member.last_error for member in self._router.members)
            self.close()
            raise LinkError(f"no device of the pool could be opened: {reasons}")

    @property
    def identity(self) -> Identity:
        with self.lock:
            lanes = [one.lane for one in self._router.members if one.lane is not None]
        known = [lane.identity for lane in lanes]
        return Identity(
            name="pool",
            curves=tuple(curve for curve in Curve if any(curve in one.curves for one in known)),
            profile="pool",
            release_check=min(
                (one.release_check for one in known if one.job_slots), default=ReleaseCheck.NONE
            ),
            key_slots=min((one.key_slots for one in known if one.key_slots), default=0),
            job_slots=sum(one.job_slots for one in known),
            pool_bytes=sum(one.pool_bytes for one in known),
        )

    @property
    def depth(self) -> int:
        return self._router.open

    @property
    def stats(self) -> list[DeviceStats]:
        """What was counted and measured of each member."""
        return [member.stats for member in self._router.members]

    def members(self) -> list[MemberStatus]:
        """How each member is doing."""
        with self.lock:
            return [member.status() for member in self._router.members]

    def add(self, url: str, *, name: str = "", weight: float = 1.0) -> None:
        """Take one more device into the pool while it works; it gets its keys first."""
        config = DeviceConfig(url, name or url, weight)
        with self.lock:
            self._check_open()
            if any(one.config.name == config.name for one in self._router.members):
                raise InputError(f"the pool has a member {config.name!r} already: name another")
        member = self._admit_member(config, 0)
        member.tried.wait()
        if member.wrong is not None:
            self.remove(config.name, drain=False)
            raise member.wrong

    def remove(self, name: str, *, drain: bool = True, timeout_s: float | None = None) -> None:
        """Take the member ``name`` out, once its work has ended; without ``drain``, at once.

        What it had in hand then goes to others. Raises :class:`LinkError` after ``timeout_s``.
        """
        member = self._member(name)
        with self.lock:
            if drain:
                member.drain()
            else:
                member.remove()
        if not member.join(timeout_s):
            raise LinkError(f"{name} still has work after {timeout_s} s: wait, or do not drain")
        with self.lock:
            self._router.members.remove(member)

    def readmit(self, name: str) -> None:
        """Open the member ``name`` again, which is in quarantine."""
        member = self._member(name)
        with self.lock:
            member.readmit()

    def submit_load(
        self, curve: Curve | str, secret: Secret, *, devices: Iterable[str] = ()
    ) -> Future[Key]:
        """Future of :meth:`load_key`: loaded by every member that is up, or by ``devices``."""
        self._check_open()
        curve, devices = Curve(curve), tuple(devices)
        for name in devices:
            self._member(name)
        try:
            held = self._hold(curve, check_secret(curve, secret), devices)
        except InvalidKeyError as error:
            return failed(error)
        loads = []
        for member in self._holders(held):
            load = member.load(held)
            if load is not None:
                loads.append(load)
        return when_all(loads, held.key)

    def submit_public_key(self, key: Key) -> Future[bytes]:
        """The pool computes it from the secret; what devices compute is compared at loading."""
        self._known(key)
        return done(key.public_key)

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        self._check_open()
        if key is not None:
            self._known(key)
        wiped = []
        with self.lock:
            for held in [self._held[key]] if key is not None else list(self._held.values()):
                del self._held[held.key]
                held.wipe()
                for member in self._router.members:
                    theirs = member.keys.pop(held.key, None)
                    if theirs is not None and member.lane is not None:
                        wiped.append((member.lane, theirs))
        futures = []
        for lane, theirs in wiped:
            try:
                futures.append(lane.submit_wipe(theirs))
            except IntaglioError as error:
                log.info("not wiped, the device is gone", extra={"error": type(error).__name__})
        self.pump()
        return when_all(futures, None)

    def submit_counters(self) -> Future[Counters]:
        """The sums of what all members that are up count."""
        self._check_open()
        with self.lock:
            lanes = [one.lane for one in self._router.members if one.lane is not None]
        total: Future[Counters] = Future()
        futures = []
        for lane in lanes:
            try:
                futures.append(lane.submit_counters())
            except IntaglioError:
                continue

        def add_up(_: Future[None]) -> None:
            parts = [one.result() for one in futures if one.exception() is None]
            names = Counters.__dataclass_fields__
            sums = {name: sum(getattr(part, name) for part in parts) for name in names}
            total.set_result(Counters(**sums))

        when_all(futures, None).add_done_callback(add_up)
        return total

    def close(self) -> None:
        """Wipe all keys and let all devices go; a second call does nothing."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
            waiting = self._router.drop_all()
            for held in self._held.values():
                held.wipe()
            self._held.clear()
            for member in self._router.members:
                member.remove()
        for task in waiting:
            fail(task.work.promise, _closed())
        self._alarm.set()
        for member in self._router.members:
            member.join()
        if threading.current_thread() is not self._supervisor:
            self._supervisor.join()

    # Work

    def enqueue(self, works: Sequence[Work]) -> None:
        with self.lock:
            self._check_open()
            if self._router.add(works):
                self._alarm.set()
        self.pump()

    def pump(self) -> None:
        """Give waiting work to members that can take it."""
        router = self._router
        with self.lock:
            if router.pumping:
                router.again = True
                return
            router.pumping = True
        while True:
            with self.lock:
                router.again = False
                batches, dropped = router.assign(self)
            for task in dropped:
                if task.work.promise.done() and not task.begun:
                    begin(task.work.promise)
                fail(task.work.promise, unknown_key(task.work.key))
            for lane, works in batches:
                try:
                    lane.enqueue(works)
                except IntaglioError as error:
                    for work in works:
                        fail(work.promise, error)
            with self.lock:
                if not batches and not router.again:
                    router.pumping = False
                    return

    def settle(self, attempt: Attempt, value: Any, error: BaseException | None) -> None:
        """Take what became of ``attempt``: give it out, or try elsewhere."""
        task, member = attempt.task, attempt.member
        with self.lock:
            if error is None:
                member.answered(time.monotonic() - attempt.began_at)
            else:
                member.outstanding -= 1
            if member.state is State.DRAINING and not member.outstanding:
                member.nudge()
            wanted = error is not None and not task.work.promise.done() and not self._closed
            retry = wanted and task.work.key in self._held and self._router.judge(attempt, error)
            if not retry:
                self._router.open -= 1
            more = retry or bool(self._router.waiting)
        if error is None:
            succeed(task.work.promise, value)
        elif not retry:
            fail(task.work.promise, _closed() if self._closed else error)
        if more:
            self.pump()

    def _supervise(self) -> None:
        """End what waits too long."""
        tick_s = min(TICK_S, self._config.limits.patience_s / 4)
        while not self._closed:
            now = time.monotonic()
            with self.lock:
                late_ones = self._router.deadlines.take_due(now)
                stranded = self._router.stranded(now)
                next_at = self._router.deadlines.next
            waits = [tick_s]
            for deadline, promise in late_ones:
                fail(promise, late("pool", deadline, now))
            for task in stranded:
                patience_s = self._config.limits.patience_s
                fail(
                    task.work.promise,
                    LinkError(
                        f"no device of the pool that holds this {task.work.key.curve.value} key "
                        f"was up for {patience_s:g} s: see members(), or give the pool a fallback"
                    ),
                )
            if next_at is not None:
                waits.append(max(0.0, next_at - time.monotonic()))
            self._alarm.wait(min(waits))
            self._alarm.clear()

    # Members and keys

    def keys_of(self, member: Member) -> list[HeldKey]:
        """Keys that ``member`` is to hold; the lock is held."""
        return [held for held in self._held.values() if _is_for(held, member)]

    def _holders(self, held: HeldKey) -> list[Member]:
        with self.lock:
            return [member for member in self._router.members if _is_for(held, member)]

    def _admit_member(self, config: DeviceConfig, tier: int) -> Member:
        member = Member(config, tier, self, self._config.health, self._open)
        with self.lock:
            self._router.members.append(member)
        member.start()
        return member

    def _member(self, name: str) -> Member:
        with self.lock:
            for member in self._router.members:
                if member.config.name == name:
                    return member
            known = ", ".join(one.config.name for one in self._router.members)
        raise InputError(f"the pool has no member {name!r}: it has {known}")

    def _open(self, config: DeviceConfig, stats: DeviceStats) -> Lane:
        url = ParsedUrl.parse(config.url)
        if url.scheme == "soft":
            return SoftLane(open_soft(url), stats)
        limits = self._config.limits
        return DeviceSigner(
            self._opener(url),
            timeout_s=config.timeout_s,
            verify=self._config.verify,
            batch_bytes=limits.batch_bytes,
            delay_us=limits.delay_us,
            max_queued=limits.max_queued,
            stats=stats,
        )

    def _hold(self, curve: Curve, secret: bytes, devices: tuple[str, ...]) -> HeldKey:
        held = HeldKey(check.key_of(curve, secret), bytearray(secret), devices)
        with self.lock:
            self._held[held.key] = held
        return held

    def _admit(self, work: Work) -> None:
        self._known(work.key)

    def _known(self, key: Key) -> None:
        self._check_open()
        if key not in self._held:
            raise unknown_key(key)

    def holds(self, key: Key) -> bool:
        """Whether ``key`` is held; the lock is held."""
        return key in self._held

    def _check_open(self) -> None:
        if self._closed:
            raise _closed()


def open_pool(config: str | Path | PoolConfig) -> Pool:
    """The pool that ``config``, a TOML file's path or a :class:`PoolConfig`, describes."""
    return Pool(config if isinstance(config, PoolConfig) else PoolConfig.load(config))


def _is_for(held: HeldKey, member: Member) -> bool:
    return not held.devices or member.tier > 0 or member.config.name in held.devices


def _closed() -> ClosedError:
    return ClosedError("this pool was closed: open it again")
