"""Signatures asked for together over rings: laid out, sent and taken in together.

A request by itself costs the driver tens of microseconds, most of them in Python objects. Those of
one key that :meth:`intaglio.Signer.sign_many` asks for together are one :class:`Burst` here, their
descriptors and completions arrays (:mod:`intaglio.ring`). What does not go smoothly leaves the
burst and goes on as a job of its own (:class:`intaglio.keyring.Job`), as if never in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from intaglio import wire
from intaglio.curve import Curve
from intaglio.keyring import Entry, Job, Keyring, Residency
from intaglio.outcome import Request
from intaglio.promise import Batch, Slot
from intaglio.session import Session
from intaglio.values import Key, Signature, SignRequest
from intaglio.work import SignItem

MOST = 512
"""Requests sent together; fewer than a link with bursts takes beyond the device's window."""


@dataclass(slots=True, eq=False)
class Burst:
    """Bodies to be signed with one key by one op; number ``n`` ends in ``batch.results[n]``."""

    key: Key
    op: wire.Op
    bodies: Sequence[bytes] = field(repr=False)
    batch: Batch[Signature]
    submitted_at: float = 0.0


@dataclass(slots=True, eq=False)
class Part:
    """What of a burst was sent together, from ``start``: a :class:`.Group` of the session."""

    burst: Burst
    entry: Entry
    start: int
    count: int
    sent_at: float
    generation: int

    def job(self, index: int) -> Job:
        """Request ``index`` of the part, which is in the device, as a job of its own."""
        job = single(self.burst, self.entry, self.start + index)
        job.begun, job.sent_at, job.generation = True, self.sent_at, self.generation
        return job

    def request(self, index: int) -> Request:
        """What was sent for request ``index``."""
        entry, burst = self.entry, self.burst
        body = burst.bodies[self.start + index]
        return Request(burst.op, body, entry.slot, entry.curve.wire_id, self.generation)


def single(burst: Burst, entry: Entry, number: int) -> Job:
    """Request ``number`` of ``burst`` as a job of ``entry``."""
    slot: Slot[Signature] = Slot(burst.batch, number)
    return Job(burst.op, burst.bodies[number], slot, entry, submitted_at=burst.submitted_at)


def gather(items: Sequence[SignItem], batch: Batch[Signature], most_bytes: int) -> Burst | None:
    """``items`` as one burst; ``None`` if they are not all right and alike.

    They are if they name one key, have no deadlines and no order, and all sign digests or all sign
    messages of at most ``most_bytes``.
    """
    first = items[0]
    bodies: list[Any]
    if isinstance(first, SignRequest):
        key = first.key
        digests = first.digest is not None
        for item in items:
            if (
                type(item) is not SignRequest
                or item.key is not key
                or item.deadline is not None
                or item.ordered
                or (item.message is None) != digests
            ):
                return None
        bodies = [item.digest if digests else item.message for item in items]  # type: ignore[union-attr]
    else:
        if any(type(item) is not tuple or len(item) != 2 for item in items):
            return None
        key, digests = first[0], False
        bodies = [body for of, body in items if of is key]  # type: ignore[misc]
        if len(bodies) != len(items):
            return None
    if not isinstance(key, Key) or set(map(type, bodies)) != {bytes}:
        return None
    if digests:
        good = key.curve is Curve.SECP256K1 and set(map(len, bodies)) == {wire.DIGEST_BYTES}
    else:
        good = max(map(len, bodies)) <= most_bytes
    op = wire.Op.SIGN_DIGEST if digests else wire.Op.SIGN_MESSAGE
    return Burst(key, op, bodies, batch) if good else None


class Bursts:
    """The bursts that wait for a device, whose keys are in ``ring``."""

    def __init__(self, ring: Keyring, session: Session) -> None:
        self._ring = ring
        self._session = session
        self._line: deque[tuple[Burst, Entry]] = deque()
        self._begun = 0
        self.waiting = 0
        """Requests that wait."""

    def add(self, burst: Burst, entry: Entry) -> None:
        """Have ``burst`` wait for its turn."""
        self._line.append((burst, entry))
        self.waiting += len(burst.bodies)

    def dissolve(self) -> None:
        """Make jobs of all that waits."""
        while self._line:
            self._dissolve_first()

    def sort_out(self) -> None:
        """Make jobs of the bursts whose turn it is and whose key is not in a slot, or is to go."""
        while self._line:
            entry = self._line[0][1]
            if entry.state is Residency.RESIDENT and not entry.draining:
                return
            self._dissolve_first()

    def next(self, now: float) -> bytes:
        """What is to be sent now, after :meth:`sort_out`; nothing if there is no room.

        Crumbs of room are left until they add up, unless jobs wait that would take them.
        """
        if not self._line or self._line[0][1].state is not Residency.RESIDENT:
            return b""
        burst, entry = self._line[0]
        count = min(MOST, len(burst.bodies) - self._begun)
        room = min(self._session.space, count)
        if room <= 0 or (room < count and not self._ring.queued):
            return b""
        return self._send(burst, entry, room, now)

    def _send(self, burst: Burst, entry: Entry, count: int, now: float) -> bytes:
        part = Part(burst, entry, self._begun, count, now, entry.generation)
        entry.in_flight += count
        self._ring.touched(entry, count)
        self.waiting -= count
        self._begun += count
        bodies = burst.bodies[part.start : self._begun]
        if self._begun == len(burst.bodies):
            self._line.popleft()
            self._begun = 0
        return self._session.submit_group(part, bodies, now)

    def _dissolve_first(self) -> None:
        burst, entry = self._line.popleft()
        for number in range(self._begun, len(burst.bodies)):
            self._ring.push(single(burst, entry, number))
        self.waiting -= len(burst.bodies) - self._begun
        self._begun = 0
