"""Which member of a pool gets which request; data only, under the pool's lock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Protocol

from intaglio.config import Limits
from intaglio.deadline import Deadlines
from intaglio.errors import (
    ClosedError,
    DeadlineError,
    IntaglioError,
    LinkError,
    VerifyError,
)
from intaglio.lane import Lane
from intaglio.member import Member, State
from intaglio.promise import begin
from intaglio.values import Key
from intaglio.work import Work

SCAN = 64
"""Waiting requests that are looked at for one that a member with room may take."""


class PoolCore(Protocol):
    """What attempts and the router ask of their pool."""

    def settle(self, attempt: Attempt, value: Any, error: BaseException | None) -> None:
        """Take what became of ``attempt``."""
        ...

    def holds(self, key: Key) -> bool:
        """Whether ``key`` is held."""
        ...


class Task:
    """A request that the pool accepted, until its promise has ended."""

    __slots__ = ("begun", "queued_at", "tried", "tries", "work")

    def __init__(self, work: Work, now: float) -> None:
        self.work = work
        self.queued_at = now
        self.tries = 0
        self.tried: set[Member] | None = None
        self.begun = False


class Attempt:
    """One try of a task by one member; the promise that the member ends, once."""

    __slots__ = ("_ended", "_pool", "began_at", "member", "task")

    def __init__(self, pool: PoolCore, task: Task, member: Member, now: float) -> None:
        self._pool = pool
        self._ended = False
        self.task = task
        self.member = member
        self.began_at = now

    def done(self) -> bool:
        return self._ended

    def cancelled(self) -> bool:
        return not self.task.begun and self.task.work.promise.cancelled()

    def set_running_or_notify_cancel(self) -> bool:
        if not self.task.begun:
            if not begin(self.task.work.promise):
                self._end(None, ClosedError("nobody waits for it any more"))
                return False
            self.task.begun = True
        return True

    def set_result(self, value: Any, /) -> None:
        self._end(value, None)

    def set_exception(self, error: BaseException | None, /) -> None:
        self._end(None, error)

    def _end(self, value: Any, error: BaseException | None) -> None:
        if not self._ended:
            self._ended = True
            self._pool.settle(self, value, error)


class Router:
    """The queue of a pool and its members."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.members: list[Member] = []
        self.waiting: deque[Task] = deque()
        self.deadlines = Deadlines("pool")
        self.open = 0
        """Requests without an answer: waiting or with a member."""
        self.pumping = self.again = False

    def add(self, works: Iterable[Work]) -> bool:
        """Queue ``works``; whether the next deadline is nearer now."""
        now = time.monotonic()
        before = self.deadlines.next
        for work in works:
            self.waiting.append(Task(work, now))
            self.open += 1
            if work.deadline is not None:
                self.deadlines.add(work.deadline, work.promise)
        return self.deadlines.next != before or not any(
            one.state is State.UP for one in self.members
        )

    def drop_all(self) -> list[Task]:
        """Take out all that waits."""
        tasks = list(self.waiting)
        self.waiting.clear()
        self.open -= len(tasks)
        return tasks

    def assign(self, pool: PoolCore) -> tuple[list[tuple[Lane, list[Work]]], list[Task]]:
        """Take out what members can do now, by member, and tasks not to be done any more."""
        batches: dict[Member, list[Work]] = {}
        dropped: list[Task] = []
        passed: list[Task] = []
        now = time.monotonic()
        while self.waiting and len(passed) < SCAN:
            task = self.waiting.popleft()
            if task.work.promise.done() or not pool.holds(task.work.key):
                self.open -= 1
                dropped.append(task)
                continue
            member = self._choose(task)
            if member is None:
                passed.append(task)
                if not self._has_room():
                    break
                continue
            work = task.work
            attempt = Attempt(pool, task, member, now)
            theirs = Work(
                member.keys[work.key],
                work.op,
                work.body,
                attempt,
                work.deadline,
                work.submitted_at,
            )
            member.outstanding += 1
            member.stats.fallbacks += member.tier > 0
            task.tries += 1
            batches.setdefault(member, []).append(theirs)
        self.waiting.extendleft(reversed(passed))
        lanes = [(member.lane, works) for member, works in batches.items() if member.lane]
        return lanes, dropped

    def judge(self, attempt: Attempt, error: BaseException | None) -> bool:
        """Whether a try that ended in ``error`` is followed by another; then it is queued."""
        task, member = attempt.task, attempt.member
        if isinstance(error, VerifyError):
            member.trouble(error, State.QUARANTINED)
        elif isinstance(error, LinkError):
            member.trouble(error)
        final = isinstance(error, DeadlineError)
        if final or not isinstance(error, IntaglioError) or task.tries >= self._limits.max_tries:
            return False
        task.tried = (task.tried or set()) | {member}
        task.queued_at = time.monotonic()
        self.waiting.appendleft(task)
        return True

    def stranded(self, now: float) -> list[Task]:
        """Take out what has waited too long while nobody is up who could do it."""
        since = now - self._limits.patience_s
        stranded = [
            task
            for task in self.waiting
            if task.queued_at < since and not self._candidates(task, tried=True)
        ]
        if stranded:
            gone = set(stranded)
            self.waiting = deque(task for task in self.waiting if task not in gone)
            self.open -= len(stranded)
        return stranded

    def _has_room(self) -> bool:
        return any(one.state is State.UP and one.outstanding < one.capacity for one in self.members)

    def _choose(self, task: Task) -> Member | None:
        """Who is to do ``task``; ``None`` if it has to wait."""
        candidates = self._candidates(task, tried=False) or self._candidates(task, tried=True)
        free = [one for one in candidates if one.outstanding < one.capacity]
        return min(free, key=Member.score, default=None)

    def _candidates(self, task: Task, *, tried: bool) -> list[Member]:
        """Members of the best tier that hold the key; without ``tried``, not those that failed."""
        best: list[Member] = []
        for member in self.members:
            if member.state is not State.UP or task.work.key not in member.keys:
                continue
            if not tried and task.tried and member in task.tried:
                continue
            if not best or member.tier < best[0].tier:
                best = [member]
            elif member.tier == best[0].tier:
                best.append(member)
        return best
