"""The keys held for callers, their queues of jobs, and which of the device's slots each is in.

The slots are a cache of the keys: the least recently used goes first, but never a key with jobs in
flight, and not one with jobs waiting unless it was told to make room. Keys with jobs take turns.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from intaglio import wire
from intaglio.curve import Curve
from intaglio.errors import EmptySlotError, IntaglioError, StaleKeyError, WrongCurveError
from intaglio.promise import Promise, fail, succeed
from intaglio.values import Key

GONE = (StaleKeyError, EmptySlotError, WrongCurveError)
"""What a device says of a job whose key is no longer in the slot it names."""


PATIENCE = 4
"""Windows of jobs on other keys that may pass a key that wants a slot before one must make room."""


class Residency(enum.Enum):
    """Where a key is."""

    ABSENT = enum.auto()
    """In host memory only."""
    LOADING = enum.auto()
    """Its load is in flight."""
    RESIDENT = enum.auto()
    """In its slot, with the generation that its load was answered with."""


@dataclass(slots=True, eq=False)
class Job:
    """Something to be done with a key: a signature, or its public key read back."""

    op: wire.Op
    body: bytes = field(repr=False)
    promise: Promise[Any]
    entry: Entry
    deadline: float | None = None
    """Seconds; ``None``: whenever."""
    submitted_at: float = 0.0
    sent_at: float = 0.0
    """When it was sent first."""
    begun: bool = False
    """Whether it was sent, so that nobody can cancel it any more."""
    generation: int = 0
    """Generation under which it was sent last."""
    reloads: int = 0
    """Times it came back because its key was no longer in the slot."""
    reopened: bool = False
    """Whether it came back because the session was lost."""


@dataclass(slots=True, eq=False)
class Entry:
    """A key held for the caller, its secret, and what waits for it."""

    curve: Curve
    secret: bytearray = field(repr=False)
    load_future: Future[Key]
    """Ends with the first load."""
    point: bytes = b""
    """Public key that the first load was answered with, as :class:`Key` takes it."""
    key: Key | None = None
    """Given out once the first load was answered."""
    state: Residency = Residency.ABSENT
    slot: int = 0
    generation: int = 0
    in_flight: int = 0
    queue: deque[Job] = field(default_factory=deque)
    draining: bool = False
    """Told to make room: its jobs are not sent until the key that wants a slot has one."""
    ready: bool = False
    """Whether it stands in the dispatcher's round of keys with jobs to send."""
    wanted_at: int = 0
    """Count of uses of all keys when it began to want a slot."""
    reopened: bool = False
    wiped: bool = False
    wipe_future: Future[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether the device has nothing of it in hand."""
        return not self.in_flight and self.state is not Residency.LOADING

    @property
    def public_key(self) -> bytes:
        """Public key in the form of :attr:`Key.public_key`."""
        return Key(self.curve, self.point).public_key


class Keyring:
    """The keys of one device: held, wanting a slot, in a slot, with jobs to send."""

    def __init__(self) -> None:
        self.entries: dict[Entry, None] = {}
        self.by_key: dict[Key, Entry] = {}
        self.wanted: deque[Entry] = deque()
        self._slots: OrderedDict[int, Entry | None] = OrderedDict()
        self._ready: deque[Entry] = deque()
        self._uses = 0
        self.queued = 0
        """Jobs that wait for their turn, of all keys."""

    @property
    def has_work(self) -> bool:
        """Whether a key has to be loaded or has jobs to send."""
        return bool(self.wanted or self._ready)

    def add(self, entry: Entry) -> None:
        """Hold a new key and queue it for a slot."""
        self.entries[entry] = None
        self.want(entry)

    def give_out(self, entry: Entry) -> None:
        """Make the :class:`Key` of an entry whose first load was answered."""
        entry.key = Key(entry.curve, entry.point)
        self.by_key[entry.key] = entry
        succeed(entry.load_future, entry.key)

    def discard(self, entry: Entry, error: IntaglioError) -> None:
        """Forget a key; what waits for it ends in ``error``. Its slot, if any, stays taken."""
        self.fail_queue(entry, error)
        entry.secret[:] = bytes(len(entry.secret))
        if entry in self.wanted:
            self.wanted.remove(entry)
        self.entries.pop(entry, None)
        if entry.key is not None:
            self.by_key.pop(entry.key, None)
        fail(entry.load_future, error)

    def push(self, job: Job, *, first: bool = False) -> None:
        """Have ``job`` wait for its turn; ``first`` of its key's jobs if it was sent before."""
        self.queued += 1
        if first:
            job.entry.queue.appendleft(job)
        else:
            job.entry.queue.append(job)
        self.line_up(job.entry)

    def pop(self, entry: Entry) -> Job:
        """The job of ``entry`` whose turn it is, taken out."""
        self.queued -= 1
        return entry.queue.popleft()

    def fail_queue(self, entry: Entry, error: IntaglioError) -> None:
        """End the jobs that wait for ``entry`` in ``error``."""
        while entry.queue:
            fail(self.pop(entry).promise, error)

    def line_up(self, entry: Entry) -> None:
        """Put ``entry``, which has jobs, where its turn will come."""
        if entry.state is not Residency.RESIDENT:
            self.want(entry)
        elif not entry.ready:
            entry.ready = True
            self._ready.append(entry)

    def next_ready(self) -> Entry | None:
        """The key whose turn it is to send a job; see :meth:`used`."""
        for _ in range(len(self._ready)):
            entry = self._ready[0]
            if entry.state is not Residency.RESIDENT or not entry.queue:
                entry.ready = False
                self._ready.popleft()
                continue
            entry.draining = entry.draining and bool(self.wanted)
            if not entry.draining:
                return entry
            self._ready.rotate(-1)
        return None

    def reset(self, slots: int) -> None:
        """Start with ``slots`` empty slots; keys that had jobs waiting want one again."""
        tenants = self._tenants()
        self._slots = OrderedDict((slot, None) for slot in range(slots))
        for tenant in tenants:
            self._evict(tenant)

    def want(self, entry: Entry) -> None:
        """Queue ``entry`` for a slot, once."""
        if entry.state is Residency.ABSENT and entry not in self.wanted:
            entry.wanted_at = self._uses
            self.wanted.append(entry)

    def claim(self) -> bool:
        """Give the first that wants one a slot to load into, if one is free or can be freed."""
        for slot, tenant in self._slots.items():
            if tenant is None or _may_go(tenant):
                entry = self.wanted.popleft()
                self._slots[slot] = entry
                self._slots.move_to_end(slot)
                entry.slot = slot
                entry.state = Residency.LOADING
                if tenant is not None:
                    self._evict(tenant)
                for other in self._tenants():
                    other.draining = False
                return True
        return False

    def used(self, entry: Entry) -> None:
        """Note that a job of ``entry``, whose turn it was, goes out now."""
        self._uses += 1
        self._ready.rotate(-1)
        self._slots.move_to_end(entry.slot)

    def touched(self, entry: Entry, jobs: int) -> None:
        """Note that ``jobs`` of ``entry``, which did not wait for a turn, go out now."""
        self._uses += jobs
        self._slots.move_to_end(entry.slot)

    def release(self, entry: Entry) -> None:
        """Take ``entry`` out of its slot, which becomes the first to be claimed."""
        if self._slots.get(entry.slot) is entry:
            self._slots[entry.slot] = None
            self._slots.move_to_end(entry.slot, last=False)
        self._evict(entry)

    def make_room(self, window: int) -> None:
        """Tell the least recently used key to make room for the first that wants a slot.

        Does so only if :data:`PATIENCE` times ``window`` jobs have passed it, and to one at a time.
        """
        if self._uses - self.wanted[0].wanted_at < PATIENCE * window:
            return
        tenants = self._tenants()
        if any(tenant.draining for tenant in tenants):
            return
        for tenant in tenants:
            if tenant.state is Residency.RESIDENT and not tenant.wiped:
                tenant.draining = True
                return

    def _tenants(self) -> list[Entry]:
        return [tenant for tenant in self._slots.values() if tenant is not None]

    def _evict(self, tenant: Entry) -> None:
        tenant.state = Residency.ABSENT
        tenant.draining = False
        if tenant.queue:
            self.want(tenant)


def _may_go(tenant: Entry) -> bool:
    if tenant.wiped or not tenant.idle:
        return False
    return tenant.draining or not tenant.queue
