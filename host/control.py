"""Requests of a device that are no jobs: its counters, and the wiping of slots."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from intaglio import wire
from intaglio.errors import IntaglioError
from intaglio.keyring import Entry, Job, Keyring
from intaglio.outcome import Reply, Request
from intaglio.promise import Promise, fail, succeed
from intaglio.session import Session
from intaglio.values import Counters


@dataclass(slots=True, eq=False)
class Control:
    """A request that is no job: COUNTERS, WIPE_KEY, WIPE_ALL."""

    request: Request
    future: Future[Any]
    entry: Entry | None = None
    reopened: bool = False


class Controls:
    """Those that wait. WIPE_ALL waits until nothing is in flight, and all else until it is done."""

    def __init__(self, ring: Keyring, session: Session) -> None:
        self._ring = ring
        self._session = session
        self._line: deque[Control] = deque()
        self.barrier = False
        """Whether a WIPE_ALL is in flight."""

    def __bool__(self) -> bool:
        return bool(self._line)

    @property
    def first(self) -> bool:
        """Whether nothing else may be sent now."""
        return self.barrier or bool(self._line)

    def add(self, control: Control) -> None:
        """Have ``control`` wait for its turn."""
        self._line.append(control)

    def next(self) -> tuple[Request, Control] | None:
        """The one to send now, if there is one and room for it."""
        if not self._line:
            return None
        request = self._line[0].request
        alone = request.op is wire.Op.WIPE_ALL
        if not self._session.room(request) or (alone and self._session.outstanding):
            return None
        self.barrier = alone
        return request, self._line.popleft()

    def fail_all(self, error: IntaglioError) -> None:
        """End those that wait in ``error``."""
        while self._line:
            fail(self._line.popleft().future, error)

    def take_back(self, control: Control, error: IntaglioError) -> None:
        """Have one that was in flight wait first, once; the second time it ends in ``error``."""
        if control.reopened:
            self.settle(control, None, error)
        else:
            control.reopened = True
            self._line.appendleft(control)

    def settle(self, control: Control, reply: Reply | None, error: IntaglioError | None) -> None:
        """End ``control`` as it was answered."""
        if control.request.op is wire.Op.WIPE_ALL:
            self.barrier = False
            self._ring.reset(self._session.identity.key_slots if self._session.identity else 0)
        elif control.entry is not None:
            self._ring.release(control.entry)
        if reply is None:
            fail(control.future, error)
        elif control.request.op is wire.Op.COUNTERS:
            counts = wire.COUNTERS.unpack(reply.body) | self._session.link_counts
            succeed(control.future, Counters(**counts))
        else:
            succeed(control.future, None)


def promises_of(handle: object) -> list[Promise[Any] | None]:
    """What ends when the request with ``handle`` (job, key to load, control) ends."""
    match handle:
        case Job():
            return [handle.promise, handle.entry.wipe_future]
        case Entry():
            return [handle.load_future, handle.wipe_future]
        case Control():
            return [handle.future]
    return []
