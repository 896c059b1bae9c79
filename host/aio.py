"""The asyncio twin of :mod:`intaglio`: the same signer, its verbs as coroutines.

    async with await intaglio.aio.open("sim:") as signer:
        key = await signer.load_key(intaglio.Curve.ED25519, secret)
        signature = await signer.sign(key, message=b"payload")

A task that is cancelled stops waiting. Its request is dropped if it was not yet sent; else the
device ends it, and its tag and its place in the window stay taken until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, overload

import intaglio
from intaglio.curve import Curve
from intaglio.deadline import due_at
from intaglio.errors import InputError, IntaglioError
from intaglio.mailbox import Letter, Mailbox
from intaglio.promise import Promise
from intaglio.queued import MAX_PENDING
from intaglio.signer import Secret, Signer, SignItem
from intaglio.soft import SoftSigner
from intaglio.values import Counters, Identity, Key, Signature, SignRequest
from intaglio.work import parts

MAX_WAITING = 4096
"""Requests of :meth:`AsyncSigner.sign` under way before further tasks wait for their turn."""


async def open(
    url: str = "soft:", *, timeout_s: float | None = None, verify: bool | str = True
) -> AsyncSigner:
    """What :func:`intaglio.open` opens, for asyncio."""
    signer = await asyncio.to_thread(intaglio.open, url, timeout_s=timeout_s, verify=verify)
    return AsyncSigner(signer)


class AsyncSigner:
    """Awaitable verbs over a :class:`intaglio.Signer`; what they do and raise stands there."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._mailbox: Mailbox | None = None
        self._turn: list[tuple[SignItem, Promise[Signature]]] = []

    @property
    def identity(self) -> Identity:
        """As :attr:`intaglio.Signer.identity`."""
        return self._signer.identity

    async def load_key(self, curve: Curve | str, secret: Secret) -> Key:
        """As :meth:`intaglio.Signer.load_key`."""
        return await asyncio.wrap_future(self._signer.submit_load(curve, secret))

    async def load_keys(self, keys: Iterable[tuple[Curve | str, Secret]]) -> list[Key]:
        """As :meth:`intaglio.Signer.load_keys`."""
        return await asyncio.to_thread(self._signer.load_keys, list(keys))

    async def public_key(self, key: Key) -> bytes:
        """As :meth:`intaglio.Signer.public_key`."""
        return await asyncio.wrap_future(self._signer.submit_public_key(key))

    async def sign(
        self,
        key: Key,
        message: bytes | None = None,
        *,
        digest: bytes | None = None,
        deadline: float | None = None,
        timeout_s: float | None = None,
        ordered: bool = False,
    ) -> Signature:
        """As :meth:`intaglio.Signer.sign`. Waits while :data:`MAX_WAITING` others are under way.

        What the tasks of one turn of the loop ask for goes out together.
        """
        deadline = due_at(deadline, timeout_s)
        if isinstance(self._signer, SoftSigner):
            return self._signer.sign(key, message, digest=digest, deadline=deadline)
        await self._room.acquire()
        return await self._start(SignRequest(key, message, digest, deadline, ordered), self._room)

    async def sign_many(
        self,
        requests: Iterable[SignItem] | AsyncIterable[SignItem],
        *,
        return_exceptions: bool = False,
    ) -> list[Signature | IntaglioError]:
        """As :meth:`intaglio.Signer.sign_many`; ``requests`` may come from an async iterator."""
        stream = self.sign_stream(requests, return_exceptions=True)
        results = [result async for result in stream]
        for result in results:
            if isinstance(result, IntaglioError) and not return_exceptions:
                raise result
        return results

    @overload
    def sign_stream(
        self,
        requests: Iterable[SignItem] | AsyncIterable[SignItem],
        *,
        window: int = MAX_PENDING,
        as_completed: Literal[False] = False,
        return_exceptions: Literal[False] = False,
    ) -> AsyncGenerator[Signature]: ...

    @overload
    def sign_stream(
        self,
        requests: Iterable[SignItem] | AsyncIterable[SignItem],
        *,
        window: int = MAX_PENDING,
        as_completed: Literal[False] = False,
        return_exceptions: bool,
    ) -> AsyncGenerator[Signature | IntaglioError]: ...

    @overload
    def sign_stream(
        self,
        requests: Iterable[SignItem] | AsyncIterable[SignItem],
        *,
        window: int = MAX_PENDING,
        as_completed: Literal[True],
        return_exceptions: bool = False,
    ) -> AsyncGenerator[tuple[int, Signature | IntaglioError]]: ...

    async def sign_stream(
        self,
        requests: Iterable[SignItem] | AsyncIterable[SignItem],
        *,
        window: int = MAX_PENDING,
        as_completed: bool = False,
        return_exceptions: bool = False,
    ) -> AsyncGenerator[Any]:
        """Signatures of ``requests`` as they come, in their order, at most ``window`` under way.

        Those that were signed and not yet taken count: a slow consumer stops the reading of
        ``requests``. With ``as_completed`` each comes as soon as it is there, with its number
        (from 0). The first error is raised and ends the stream, unless ``return_exceptions``.
        Leave early through :func:`contextlib.aclosing`, and what is not yet sent is cancelled.
        """
        if window < 1:
            raise InputError(f"window must be at least 1 request, not {window}")
        ready: asyncio.Queue[tuple[int, asyncio.Future[Signature]] | None] = asyncio.Queue()
        room = asyncio.Semaphore(window)
        under_way: set[asyncio.Future[Signature]] = set()

        def arrive(number: int, future: asyncio.Future[Signature]) -> None:
            ready.put_nowait((number, future))

        async def read() -> None:
            number = 0
            gate = asyncio.Semaphore(window)
            try:
                async for item in _each(requests):
                    await room.acquire()
                    await gate.acquire()
                    future = self._start_item(item, gate)
                    under_way.add(future)
                    if as_completed:
                        future.add_done_callback(partial(arrive, number))
                    else:
                        arrive(number, future)
                    number += 1
                if as_completed and under_way:
                    await asyncio.wait(under_way)
            finally:
                ready.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (one := await ready.get()) is not None:
                number, future = one
                result = await _outcome(future)
                under_way.discard(future)
                room.release()
                if isinstance(result, IntaglioError) and not return_exceptions:
                    raise result
                yield (number, result) if as_completed else result
            await reader
        finally:
            reader.cancel()
            for future in under_way:
                future.cancel()

    async def verify(
        self,
        key: Key | bytes,
        message: bytes | None = None,
        signature: Signature | bytes = b"",
        *,
        digest: bytes | None = None,
    ) -> bool:
        """As :meth:`intaglio.Signer.verify`."""
        return self._signer.verify(key, message, signature, digest=digest)

    async def wipe(self, key: Key | None = None) -> None:
        """As :meth:`intaglio.Signer.wipe`."""
        await asyncio.wrap_future(self._signer.submit_wipe(key))

    async def counters(self) -> Counters:
        """As :meth:`intaglio.Signer.counters`."""
        return await asyncio.wrap_future(self._signer.submit_counters())

    async def close(self) -> None:
        """As :meth:`intaglio.Signer.close`."""
        await asyncio.to_thread(self._signer.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def _start(self, request: SignRequest, gate: asyncio.Semaphore) -> asyncio.Future[Signature]:
        """Start ``request`` with this turn's others; ``gate`` is released when it has ended."""
        if self._mailbox is None or self._mailbox.loop is not asyncio.get_running_loop():
            self._mailbox = Mailbox()
            self._turn = []
        letter = Letter(self._mailbox, gate.release, self.identity.name, request.deadline)
        if not self._turn:
            self._mailbox.loop.call_soon(self._flush)
        self._turn.append((request, letter))
        return letter.future

    def _start_item(self, item: SignItem, gate: asyncio.Semaphore) -> asyncio.Future[Signature]:
        try:
            return self._start(parts(item), gate)
        except IntaglioError as error:
            gate.release()
            future: asyncio.Future[Signature] = asyncio.get_running_loop().create_future()
            future.set_exception(error)
            return future

    def _flush(self) -> None:
        turn, self._turn = self._turn, []
        self._signer.start_many(turn)


async def _each(requests: Iterable[SignItem] | AsyncIterable[SignItem]) -> AsyncIterator[SignItem]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield request
    else:
        for request in requests:
            yield request


async def _outcome(future: asyncio.Future[Signature]) -> Signature | IntaglioError:
    try:
        return await future
    except IntaglioError as error:
        return error
