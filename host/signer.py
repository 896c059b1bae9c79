"""What every signer can do, on a device or in software."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, overload

from intaglio import check
from intaglio.curve import Curve
from intaglio.deadline import due_at
from intaglio.errors import IntaglioError
from intaglio.promise import Promise, fail, succeed
from intaglio.values import Counters, Identity, Key, Signature, SignRequest
from intaglio.work import SignItem, parts, unknown_key

Secret = bytes | bytearray | memoryview

T = TypeVar("T")

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
    def _submit(self, request: SignRequest) -> Future[Signature]:
        """Start ``request``. Raises :class:`InputError` for one that is wrong."""

    @abstractmethod
    def _sign_all(self, requests: Iterable[SignItem]) -> list[Signature | IntaglioError]:
        """What became of each of ``requests``."""

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
        """Key with the 32 bytes ``secret``: an Ed25519 seed (RFC 8032) or an ECDSA scalar.

        Any number of keys can be held; a device's key slots are a cache of them. Raises
        :class:`intaglio.InvalidKeyError` if a scalar is 0 or not below the group order,
        :class:`intaglio.BadCurveError` for a curve that the device does not have.
        """
        return self.submit_load(curve, secret).result()

    def load_keys(self, keys: Iterable[tuple[Curve | str, Secret]]) -> list[Key]:
        """:meth:`load_key` of many, all in flight together. The first error is raised at the end.

        After an error none of ``keys`` stays loaded.
        """
        futures = [self._start_load(curve, secret) for curve, secret in keys]
        outcomes: list[Key | IntaglioError] = [_outcome(future) for future in futures]
        for outcome in outcomes:
            if isinstance(outcome, IntaglioError):
                self._forget(outcome for outcome in outcomes if isinstance(outcome, Key))
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Key)]

    def public_key(self, key: Key) -> bytes:
        """Public key in the form of :attr:`Key.public_key`, asked of the device again."""
        return self.submit_public_key(key).result()

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
        due = due_at(deadline, timeout_s)
        return self._submit(SignRequest(key, message, digest, due, ordered))

    def start_many(self, requests: Sequence[tuple[SignItem, Promise[Signature]]]) -> None:
        """Start signing all of ``requests``; each promise ends in its signature or its error."""
        for item, promise in requests:
            try:
                succeed(promise, self._submit(parts(item)).result())
            except IntaglioError as error:
                fail(promise, error)

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
        """Signature of ``message`` (0..4096 bytes), or of ``digest`` (32 bytes, not for Ed25519).

        Ed25519 is RFC 8032. The others sign SHA-256 of the message, or the digest as it is, by
        ECDSA with RFC 6979 nonces; on secp256k1 s is low. All are deterministic.

        What would not be signed by ``deadline`` (seconds of :func:`time.monotonic`) or within
        ``timeout_s`` seconds is refused in :class:`intaglio.DeadlineError`. Those ``ordered`` are
        given out in the order of their submission, key by key, whatever order devices answer in.
        """
        due = deadline if timeout_s is None else due_at(deadline, timeout_s)
        return self._sign(key, message, digest, due, ordered)

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
        results: list[Any] = self._sign_all(requests)
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
        """Whether ``signature`` is valid, by the libraries of this host.

        ``key`` is a :class:`Key` or a public key: 32 bytes for Ed25519, SEC 1 of 33 or 65 bytes for
        ECDSA, on the curve that a :class:`Signature` names, else secp256k1. There a high s is
        refused, as libsecp256k1 does.
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

    def _sign(
        self,
        key: Key,
        message: bytes | None,
        digest: bytes | None,
        deadline: float | None,
        ordered: bool,
    ) -> Signature:
        return self._submit(SignRequest(key, message, digest, deadline, ordered)).result()

    def _start_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        try:
            return self.submit_load(curve, secret)
        except IntaglioError as error:
            return failed(error)

    def _forget(self, keys: Iterable[Key]) -> None:
        for future in [self.submit_wipe(key) for key in keys]:
            _outcome(future)


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
