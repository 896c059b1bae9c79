"""Deadlines: an order that would be late is refused, not signed late.

A deadline is a time of :func:`time.monotonic` in seconds. It is looked at when a request is
submitted, while it waits, before it is sent and once more before its signature is given out.
"""

from __future__ import annotations

import heapq
import time
from typing import Any

from intaglio.errors import DeadlineError, InputError
from intaglio.promise import Promise, fail

COMPACT_ABOVE = 256
"""Deadlines kept before those of ended requests are looked for and forgotten."""


def due_at(deadline: float | None, timeout_s: float | None) -> float | None:
    """The deadline that ``deadline=`` or ``timeout_s=`` (seconds from now, above 0) asks for."""
    if timeout_s is None:
        return deadline
    if deadline is not None:
        raise InputError("give either deadline= or timeout_s=, not both")
    if not timeout_s > 0:
        raise InputError(f"timeout_s must be above 0 seconds, not {timeout_s}")
    return time.monotonic() + timeout_s


def late(name: str, deadline: float, now: float) -> DeadlineError:
    """The error for a request to ``name`` that cannot end by ``deadline``."""
    return DeadlineError(
        f"not signed by {name}: the deadline is {(deadline - now) * 1e3:.3f} ms from now and would "
        "be missed: allow more time, or sign less at once"
    )


def check_due(name: str, deadline: float | None) -> None:
    """Raise :class:`DeadlineError` if ``deadline`` has passed."""
    if deadline is not None:
        now = time.monotonic()
        if now > deadline:
            raise late(name, deadline, now)


class Deadlines:
    """Promises with deadlines; those whose time has come end in :class:`DeadlineError`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._heap: list[tuple[float, int, Promise[Any]]] = []
        self._added = 0
        self._compact_at = COMPACT_ABOVE

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, deadline: float, promise: Promise[Any]) -> None:
        """Watch ``promise`` until ``deadline``."""
        self._added += 1
        heapq.heappush(self._heap, (deadline, self._added, promise))
        if len(self._heap) > self._compact_at:
            self._heap = [watched for watched in self._heap if not watched[2].done()]
            heapq.heapify(self._heap)
            self._compact_at = max(COMPACT_ABOVE, 2 * len(self._heap))

    @property
    def next(self) -> float | None:
        """When to call :meth:`expire`; ``None`` if nothing is watched."""
        while self._heap and self._heap[0][2].done():
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[tuple[float, Promise[Any]]]:
        """What was due at ``now`` and has not ended, with its deadline; forgotten here."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            deadline, _, promise = heapq.heappop(self._heap)
            if not promise.done():
                due.append((deadline, promise))
        return due

    def expire(self, now: float) -> int:
        """End what was due at ``now``; how many that were."""
        due = self.take_due(now)
        for deadline, promise in due:
            fail(promise, late(self._name, deadline, now))
        return len(due)
