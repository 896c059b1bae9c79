"""What every signer can do, on a device or in software."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from intaglio import check
from intaglio.curve import Curve
from intaglio.errors import IntaglioError
from intaglio.promise import Batch, Promise, fail, succeed
from intaglio.values import Counters, Identity, Key, Signature
from intaglio.work import SignItem, parts, unknown_key

Secret = bytes | bytearray | memoryview

T = TypeVar("T")

MAX_PENDING = 1024
"""Requests of one :meth:`Signer.sign_many` that wait at once."""
CHUNK = 256
"""Requests handed on together by :meth:`Signer.sign_many`."""
CHUNK_S = 0.001
"""Seconds after which a chunk that fills slowly is handed on as it is."""

__all__ = ["Secret", "SignItem", "Signer", "done", "failed", "unknown_key"]


class Signer(ABC):
    """Holds keys and signs with them. Made by :func:`intaglio.open`; any thread may use it.

    Verbs block. Each has a ``submit`` twin that returns a future, and the futures are what
    :class:`intaglio.aio.AsyncSigner` awaits. Arguments that are wrong raise
    :class:`intaglio.InputError` before anything is sent; a device's refusal raises the subclass of
    :class:`intaglio.DeviceError` for its status; a link that fails, :class:`intaglio.LinkError`.
    """

    @property
    @abstractmethod
    def identity(self) -> Identity:
        """What the device told of itself when it was opened."""

    @abstractmethod
    def submit_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        """Future of :meth:`load_key`."""

    @abstractmethod
    def submit(
        self,
        key: Key,
        message: bytes | None = None,
        *,
        digest: bytes | None = None,
        deadline: float | None = None,
        timeout_s: float | None = None,
        ordered: bool = False,
    ) -> Future[Signature]:
        """Future of :meth:`sign`. It can be cancelled until the request is sent to a device."""

    @abstractmethod
    def submit_public_key(self, key: Key) -> Future[bytes]:
        """Future of :meth:`public_key`."""

    @abstractmethod
    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        """Future of :meth:`wipe`."""

    @abstractmethod
    def submit_counters(self) -> Future[Counters]:
        """Future of :meth:`counters`."""

    @abstractmethod
    def close(self) -> None:
        """Wipe all keys and let the device go; a second call does nothing.

        Requests that are still open end in :class:`intaglio.ClosedError`.
        """

    def load_key(self, curve: Curve | str, secret: Secret) -> Key:
        """Key with the 32 bytes ``secret``: an Ed25519 seed (RFC 8032) or a secp256k1 scalar.

        Any number of keys can be held; a device's key slots are a cache of them. Raises
        :class:`intaglio.InvalidKeyError` if a secp256k1 secret is 0 or not below the group order.
        """
        return self.submit_load(curve, secret).result()

    def load_keys(self, keys: Iterable[tuple[Curve | str, Secret]]) -> list[Key]:
        """:meth:`load_key` of many, all in flight together. The first error is raised at the end.

        After an error none of ``keys`` stays loaded.
        """
        futures = [self.submit_load(curve, secret) for curve, secret in keys]
        outcomes: list[Key | IntaglioError] = [_outcome(future) for future in futures]
        for outcome in outcomes:
            if isinstance(outcome, IntaglioError):
                self._forget(outcome for outcome in outcomes if isinstance(outcome, Key))
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Key)]

    def public_key(self, key: Key) -> bytes:
        """Public key in the form of :attr:`Key.public_key`, asked of the device again."""
        return self.submit_public_key(key).result()

    def start_many(self, requests: Sequence[tuple[SignItem, Promise[Signature]]]) -> None:
        """Start signing all of ``requests``; each promise ends in its signature or its error."""
        for item, promise in requests:
            try:
                one = parts(item)
                future = self.submit(
                    one.key,
                    one.message,
                    digest=one.digest,
                    deadline=one.deadline,
                    ordered=one.ordered,
                )
                succeed(promise, future.result())
            except IntaglioError as error:
                fail(promise, error)

    def start_batch(self, requests: Sequence[SignItem], batch: Batch[Signature]) -> None:
        """Start signing all of ``requests``; number ``n`` ends in ``batch.results[n]``."""
        self.start_many(list(zip(requests, batch.slots(), strict=True)))

    def sign(
        self,
        key: Key,
        message: bytes | None = None,
        *,
        digest: bytes | None = None,
        deadline: float | None = None,
        timeout_s: float | None = None,
        ordered: bool = False,
    ) -> Signature:
        """Signature of ``message`` (0..4096 bytes), or of ``digest`` (32 bytes, secp256k1 only).

        Ed25519 is RFC 8032. secp256k1 signs SHA-256 of the message, or the digest as it is, by
        ECDSA with RFC 6979 nonces and low s. Both are deterministic.

        What would not be signed by ``deadline`` (seconds of :func:`time.monotonic`) or within
        ``timeout_s`` seconds is refused in :class:`intaglio.DeadlineError`. Those ``ordered`` are
        given out in the order of their submission, key by key, whatever order devices answer in.
        """
        return self.submit(
            key, message, digest=digest, deadline=deadline, timeout_s=timeout_s, ordered=ordered
        ).result()

    @overload
    def sign_many(
        self, requests: Iterable[SignItem], *, return_exceptions: Literal[False] = False
    ) -> list[Signature]: ...

    @overload
    def sign_many(
        self, requests: Iterable[SignItem], *, return_exceptions: bool
    ) -> list[Signature | IntaglioError]: ...

    def sign_many(
        self, requests: Iterable[SignItem], *, return_exceptions: bool = False
    ) -> list[Signature] | list[Signature | IntaglioError]:
        """Signatures of many ``(key, message)`` or :class:`SignRequest`, in order, pipelined.

        One wrong request does not hold up the others: with ``return_exceptions`` its exception
        stands in its place, else the first is raised after all have ended.
        """
        pending: deque[Batch[Signature]] = deque()
        results: list[Any] = []
        for chunk in chunks(requests):
            if len(pending) >= MAX_PENDING // CHUNK:
                results += pending.popleft().wait()
            batch: Batch[Signature] = Batch(len(chunk))
            pending.append(batch)
            self.start_batch(chunk, batch)
        for batch in pending:
            results += batch.wait()
        if return_exceptions:
            return results
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def verify(
        self,
        key: Key | bytes,
        message: bytes | None = None,
        signature: Signature | bytes = b"",
        *,
        digest: bytes | None = None,
    ) -> bool:
        """Whether ``signature`` is valid, by libsodium or libsecp256k1 on this host.

        ``key`` is a :class:`Key` or a public key: 32 bytes for Ed25519, SEC 1 of 33 or 65 bytes for
        secp256k1. ECDSA signatures with a high s are refused, as libsecp256k1 does.
        """
        return check.verify(key, message, signature, digest=digest)

    def wipe(self, key: Key | None = None) -> None:
        """Zeroise ``key``, or all keys, in the device and here; they cannot be used any more.

        What waits for such a key and is not yet sent ends in :class:`intaglio.InputError`.
        """
        self.submit_wipe(key).result()

    def counters(self) -> Counters:
        """Counts of frames, jobs and faults since the device was opened."""
        return self.submit_counters().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _forget(self, keys: Iterable[Key]) -> None:
        for future in [self.submit_wipe(key) for key in keys]:
            _outcome(future)


def chunks(requests: Iterable[SignItem]) -> Iterator[list[SignItem]]:
    """``requests`` in lists of up to :data:`CHUNK`; shorter if they come slowly."""
    if isinstance(requests, list | tuple):
        for start in range(0, len(requests), CHUNK):
            yield list(requests[start : start + CHUNK])
        return
    chunk: list[SignItem] = []
    began = 0.0
    for request in requests:
        if not chunk:
            began = time.monotonic()
        chunk.append(request)
        if len(chunk) >= CHUNK or time.monotonic() - began > CHUNK_S:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def done(value: T) -> Future[T]:
    """A future that has ended with ``value``."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def failed(error: IntaglioError) -> Future[Any]:
    """A future that has ended with ``error``."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def _outcome(future: Future[Any]) -> Any:
    """What ``future`` ended with: its value, or its :class:`IntaglioError` as a value."""
    try:
        return future.result()
    except IntaglioError as error:
        return error
