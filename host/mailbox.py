"""Answers from drivers' threads into an event loop, many for each time the loop is woken."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from intaglio.deadline import check_due
from intaglio.errors import DeadlineError


class Mailbox:
    """Where the :class:`Letter` of one event loop arrive; made inside that loop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._arrived: deque[tuple[Letter, Any, BaseException | None]] = deque()
        self._called = False

    def put(self, letter: Letter, value: Any, error: BaseException | None) -> None:
        """Deliver ``letter``, from any thread: at once in the loop's own, else at its next turn."""
        if threading.get_ident() == self._thread:
            letter.deliver(value, error)
            return
        self._arrived.append((letter, value, error))
        if not self._called:
            self._called = True
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._called = False
        while self._arrived:
            letter, value, error = self._arrived.popleft()
            letter.deliver(value, error)


class Letter:
    """A promise that ends :attr:`future`, an asyncio one, and then calls ``on_end``.

    ``on_end`` is called in the loop once the driver is done with the request, also when nobody
    waits for it any more.
    """

    __slots__ = ("_deadline", "_ended", "_mailbox", "_name", "_on_end", "future")

    def __init__(
        self, mailbox: Mailbox, on_end: Callable[[], object], name: str, deadline: float | None
    ) -> None:
        self.future: asyncio.Future[Any] = mailbox.loop.create_future()
        self._mailbox = mailbox
        self._on_end = on_end
        self._name = name
        self._deadline = deadline
        self._ended = False

    def done(self) -> bool:
        return self._ended

    def cancelled(self) -> bool:
        return self.future.cancelled()

    def set_running_or_notify_cancel(self) -> bool:
        if self.future.cancelled():
            self._end(None, None)
            return False
        return True

    def set_result(self, value: Any, /) -> None:
        self._end(value, None)

    def set_exception(self, error: BaseException | None, /) -> None:
        self._end(None, error)

    def deliver(self, value: Any, error: BaseException | None) -> None:
        """End the future, in its loop."""
        self._on_end()
        if self.future.done():
            return
        if error is None:
            try:
                check_due(self._name, self._deadline)
            except DeadlineError as late:
                error = late
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)

    def _end(self, value: Any, error: BaseException | None) -> None:
        if not self._ended:
            self._ended = True
            self._mailbox.put(self, value, error)
