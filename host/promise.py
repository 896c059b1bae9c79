"""What a request ends in: futures, and cheaper things that a driver can end in the same way.

A driver ends every promise exactly once, in a value or in an error. A future of
:mod:`concurrent.futures` is one kind; a :class:`Slot` of a :class:`Batch` is another, without a
lock of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Promise(Protocol[T_contra]):
    """What :class:`concurrent.futures.Future` offers to who does the work."""

    def done(self) -> bool:
        """Whether it has ended; a cancelled one too."""
        ...

    def cancelled(self) -> bool:
        """Whether it was cancelled before its work began."""
        ...

    def set_running_or_notify_cancel(self) -> bool:
        """Say that the work begins now; ``False`` if it was cancelled and is not wanted."""
        ...

    def set_result(self, value: T_contra, /) -> None:
        """End in ``value``."""
        ...

    def set_exception(self, error: BaseException | None, /) -> None:
        """End in ``error``."""
        ...


class Batch(Generic[T]):
    """Many results, in order, that one thread waits for together.

    ``size`` is how many; each is ended through its :class:`Slot`, by one thread at a time or many.
    """

    def __init__(self, size: int) -> None:
        self.results: list[T | BaseException | None] = [None] * size
        self._left = [None] * size
        self._ended = threading.Event()
        if not size:
            self._ended.set()

    def slots(self) -> list[Slot[T]]:
        """One promise for each result, in order."""
        return [Slot(self, index) for index in range(len(self.results))]

    def wait(self) -> list[T | BaseException | None]:
        """The results, once all have ended."""
        self._ended.wait()
        return self.results

    def end(self, index: int, outcome: T | BaseException | None) -> None:
        """Note how request ``index`` ended."""
        self.results[index] = outcome
        self._left.pop()
        if not self._left:
            self._ended.set()

    def end_many(self, indices: Sequence[int], values: Iterable[T]) -> None:
        """Note that the requests ``indices`` ended in ``values``."""
        results = self.results
        for index, value in zip(indices, values, strict=True):
            results[index] = value
        del self._left[len(self._left) - len(indices) :]
        if not self._left:
            self._ended.set()


class Slot(Generic[T]):
    """One result of a :class:`Batch`; it cannot be cancelled."""

    __slots__ = ("_batch", "_index")

    def __init__(self, batch: Batch[T], index: int) -> None:
        self._batch = batch
        self._index = index

    def done(self) -> bool:
        return self._batch.results[self._index] is not None

    def cancelled(self) -> bool:
        return False

    def set_running_or_notify_cancel(self) -> bool:
        return True

    def set_result(self, value: T, /) -> None:
        self._batch.end(self._index, value)

    def set_exception(self, error: BaseException | None, /) -> None:
        self._batch.end(self._index, error)


class InOrder:
    """Ends promises in the order they were given to :meth:`hold`, whatever order the work ends in.

    Any thread may end them. What ended early is kept until its turn.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: deque[_Held] = deque()
        self._releasing = False

    @property
    def empty(self) -> bool:
        """Whether nothing is held."""
        return not self._line and not self._releasing

    def hold(self, promise: Promise[Any], late: Callable[[], BaseException | None]) -> _Held:
        """A promise to be ended in place of ``promise``, which ends in its turn.

        ``late`` is asked at its turn; the error it returns, if any, takes the value's place.
        """
        held = _Held(self, promise, late)
        with self._lock:
            self._line.append(held)
        return held

    def release(self) -> None:
        """End those whose turn has come; one thread at a time does so for all."""
        with self._lock:
            if self._releasing:
                return
            self._releasing = True
        while True:
            with self._lock:
                if not self._line or not self._line[0].ended:
                    self._releasing = False
                    return
                held = self._line.popleft()
            held.settle()


class _Held:
    """A promise in the line of an :class:`InOrder`."""

    __slots__ = ("_error", "_late", "_order", "_promise", "_value", "ended")

    def __init__(
        self, order: InOrder, promise: Promise[Any], late: Callable[[], BaseException | None]
    ) -> None:
        self._late = late
        self._order = order
        self._promise = promise
        self._value: Any = None
        self._error: BaseException | None = None
        self.ended = False

    def done(self) -> bool:
        return self.ended

    def cancelled(self) -> bool:
        return self._promise.cancelled()

    def set_running_or_notify_cancel(self) -> bool:
        wanted = self._promise.set_running_or_notify_cancel()
        if not wanted:
            self._end(None, None)
        return wanted

    def set_result(self, value: Any, /) -> None:
        self._end(value, None)

    def set_exception(self, error: BaseException | None, /) -> None:
        self._end(None, error)

    def settle(self) -> None:
        """End the promise behind this one as this one ended."""
        error = self._error or self._late()
        if error is not None:
            fail(self._promise, error)
        elif self._value is not None:
            succeed(self._promise, self._value)

    def _end(self, value: Any, error: BaseException | None) -> None:
        self._value, self._error = value, error
        self.ended = True
        self._order.release()


def begin(promise: Promise[Any]) -> bool:
    """Whether the work for ``promise`` is still wanted; if so it can't be cancelled any more."""
    if promise.done() and not promise.cancelled():
        return False
    return promise.set_running_or_notify_cancel()


def succeed(promise: Promise[Any], value: object) -> None:
    """End ``promise`` with ``value`` unless it has ended."""
    if not promise.done():
        try:
            promise.set_result(value)
        except InvalidStateError:
            return


def fail(promise: Promise[Any] | None, error: BaseException | None) -> None:
    """End ``promise`` with a copy of ``error`` unless there is none or it has ended.

    One error may end many promises, and raising an exception changes its traceback.
    """
    if promise is not None and error is not None and not promise.done():
        try:
            promise.set_exception(type(error)(*error.args))
        except InvalidStateError:
            return


def when_all(futures: Sequence[Future[Any]], value: Any) -> Future[Any]:
    """A future that ends in ``value`` once all ``futures`` have ended, however they did."""
    result: Future[Any] = Future()
    left = deque(futures)
    if not left:
        result.set_result(value)

    def ended(_: Future[Any]) -> None:
        left.popleft()
        if not left:
            succeed(result, value)

    for future in futures:
        future.add_done_callback(ended)
    return result


def running() -> Future[Any]:
    """A future that cannot be cancelled: what it stands for will be done."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future
