"""The asyncio twin of :mod:`intaglio`: the same signer, its verbs as coroutines.

    async with await intaglio.aio.open("sim:") as signer:
        key = await signer.load_key(intaglio.Curve.ED25519, secret)
        signature = await signer.sign(key, message=b"payload")

A task that is cancelled stops waiting; its request still ends in the device.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from types import TracebackType
from typing import Self

import intaglio
from intaglio.curve import Curve
from intaglio.errors import IntaglioError
from intaglio.signer import MAX_PENDING, Secret, Signer, SignItem
from intaglio.values import Counters, Identity, Key, Signature, SignRequest


async def open(
    url: str = "soft:", *, timeout_s: float | None = None, verify: bool = True
) -> AsyncSigner:
    """What :func:`intaglio.open` opens, for asyncio."""
    signer = await asyncio.to_thread(intaglio.open, url, timeout_s=timeout_s, verify=verify)
    return AsyncSigner(signer)


class AsyncSigner:
    """Awaitable verbs over a :class:`intaglio.Signer`; what they do and raise stands there."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

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
        self, key: Key, message: bytes | None = None, *, digest: bytes | None = None
    ) -> Signature:
        """As :meth:`intaglio.Signer.sign`."""
        return await asyncio.wrap_future(self._signer.submit(key, message, digest=digest))

    async def sign_many(
        self,
        requests: Iterable[SignItem] | AsyncIterable[SignItem],
        *,
        return_exceptions: bool = False,
    ) -> list[Signature | IntaglioError]:
        """As :meth:`intaglio.Signer.sign_many`; ``requests`` may come from an async iterator."""
        gate = asyncio.Semaphore(MAX_PENDING)
        tasks: list[asyncio.Task[Signature | IntaglioError]] = []
        if isinstance(requests, AsyncIterable):
            async for request in requests:
                await gate.acquire()
                tasks.append(asyncio.create_task(self._outcome(request, gate)))
        else:
            for request in requests:
                await gate.acquire()
                tasks.append(asyncio.create_task(self._outcome(request, gate)))
        results = [await task for task in tasks]
        for result in results:
            if isinstance(result, IntaglioError) and not return_exceptions:
                raise result
        return results

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

    async def _outcome(
        self, request: SignItem, gate: asyncio.Semaphore
    ) -> Signature | IntaglioError:
        try:
            if isinstance(request, SignRequest):
                return await self.sign(request.key, request.message, digest=request.digest)
            key, message = request
            return await self.sign(key, message)
        except IntaglioError as error:
            return error
        finally:
            gate.release()
