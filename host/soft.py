"""The software signer ``soft:``: libsodium and libsecp256k1 behind the same verbs, no device.

The C functions are called directly through the libraries' cffi modules, which release the GIL for
each call, and the secrets lie in C memory that is overwritten once a key is wiped and the last
signature under way with it is made. What the caller passed in is the caller's to erase.
"""

from __future__ import annotations

import hashlib
import importlib
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal, overload

from coincurve.context import GLOBAL_CONTEXT

from intaglio import check, wire
from intaglio.curve import Curve
from intaglio.deadline import check_due, due_at
from intaglio.errors import ClosedError, FaultError, IntaglioError, InvalidKeyError
from intaglio.signer import Secret, Signer, SignItem, done, failed, unknown_key
from intaglio.transport.base import ParsedUrl
from intaglio.values import (
    Counters,
    Identity,
    Key,
    Signature,
    SignRequest,
    check_payload,
    check_secret,
)

_Sign = Callable[[bytes | None, bytes | None], Signature]

_sodium: Any = importlib.import_module("nacl._sodium")
_secp: Any = importlib.import_module("coincurve._libsecp256k1")

MAX_WORKERS = 64
"""Most threads that one signer's ``sign_many`` may use."""

_ED25519_SECRET_BYTES = 64
_MIN_CHUNK, _MAX_CHUNK, _CHUNKS_PER_WORKER = 4, 64, 4


class SoftSigner(Signer):
    """Signs in the calling thread; its futures have ended when they are returned.

    ``workers``: threads that :meth:`sign_many` spreads over, the calling one included; by default
    one for each core this process may use.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._identity = Identity(name="soft", curves=tuple(Curve), profile="soft")
        self._sign_with: dict[Key, _Sign] = {}
        self._jobs_done = 0
        self._lock = threading.Lock()
        self._closed = False
        self._workers = min(workers or _cores(), MAX_WORKERS)
        self._pool: ThreadPoolExecutor | None = None

    @property
    def identity(self) -> Identity:
        return self._identity

    def submit_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        self._check_open()
        curve = Curve(curve)
        data = check_secret(curve, secret)
        point = check.public_point(curve, data)
        if point is None:
            return failed(invalid_key())
        key = Key(curve, point)
        self._sign_with[key] = _ed25519(data) if curve is Curve.ED25519 else _secp256k1(data)
        self._count(1)
        return done(key)

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
        if deadline is not None or timeout_s is not None:
            return self._sign_by(due_at(deadline, timeout_s), key, message, digest)
        signer = self._sign_with.get(key)
        if signer is None:
            raise self._refusal(key)
        signature = signer(message, digest)
        self._count(1)
        return signature

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
        return done(self.sign(key, message, digest=digest, deadline=deadline, timeout_s=timeout_s))

    @overload
    def sign_many(
        self, requests: Iterable[SignItem], *, return_exceptions: Literal[False] = False
    ) -> list[Signature]: ...

    @overload
    def sign_many(
        self, requests: Iterable[SignItem], *, return_exceptions: bool
    ) -> list[Signature | IntaglioError]: ...

    def sign_many(self, requests: Iterable[SignItem], *, return_exceptions: bool = False) -> Any:
        items = list(requests)
        outcomes, errors = self._sign_all(items)
        if errors and not return_exceptions:
            raise next(outcome for outcome in outcomes if isinstance(outcome, IntaglioError))
        return outcomes

    def submit_public_key(self, key: Key) -> Future[bytes]:
        if key not in self._sign_with:
            raise self._refusal(key)
        return done(key.public_key)

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        self._check_open()
        if key is None:
            self._sign_with.clear()
        elif self._sign_with.pop(key, None) is None:
            raise unknown_key(key)
        return done(None)

    def submit_counters(self) -> Future[Counters]:
        self._check_open()
        return done(Counters(jobs_done=self._jobs_done))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        self._sign_with.clear()
        if pool is not None:
            pool.shutdown()

    def _sign_all(self, items: list[SignItem]) -> tuple[list[Any], int]:
        """What became of each of ``items``, and how many are errors.

        The calling thread works too and takes whatever no other thread has begun, so that a pool
        that is busy, or that did not survive a fork, holds nothing up.
        """
        share = math.ceil(len(items) / (self._workers * _CHUNKS_PER_WORKER))
        size = max(_MIN_CHUNK, min(_MAX_CHUNK, share))
        starts = deque(range(0, len(items), size))
        outcomes: list[Any] = [None] * len(items)
        errors: list[int] = []

        def work() -> None:
            while starts:
                try:
                    at = starts.popleft()
                except IndexError:
                    return
                chunk, wrong = self._sign_chunk(items[at : at + size])
                outcomes[at : at + size] = chunk
                errors.append(wrong)

        helpers = self._start(work, min(self._workers, len(starts)) - 1)
        try:
            work()
        finally:
            starts.clear()
            running = [helper for helper in helpers if not helper.cancel()]
        for helper in running:
            helper.result()
        return outcomes, sum(errors)

    def _sign_by(
        self, deadline: float | None, key: Key, message: bytes | None, digest: bytes | None
    ) -> Signature:
        check_due("soft", deadline)
        signature = self.sign(key, message, digest=digest)
        check_due("soft", deadline)
        return signature

    def _start(self, work: Callable[[], None], count: int) -> list[Future[None]]:
        if count < 1:
            return []
        with self._lock:
            if self._closed:
                return []
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers - 1, "intaglio-soft")
            return [self._pool.submit(work) for _ in range(count)]

    def _sign_chunk(self, items: list[SignItem]) -> tuple[list[Signature | IntaglioError], int]:
        sign_with = self._sign_with
        outcomes: list[Signature | IntaglioError] = []
        errors = 0
        for item in items:
            if isinstance(item, SignRequest):
                key, message, digest, deadline = item.key, item.message, item.digest, item.deadline
            else:
                key, message = item
                digest = deadline = None
            try:
                signer = sign_with.get(key)
                if signer is None:
                    raise self._refusal(key)
                if deadline is not None:
                    check_due("soft", deadline)
                signature = signer(message, digest)
                if deadline is not None:
                    check_due("soft", deadline)
                outcomes.append(signature)
            except IntaglioError as error:
                errors += 1
                outcomes.append(error)
        self._count(len(items) - errors)
        return outcomes, errors

    def _count(self, jobs: int) -> None:
        with self._lock:
            self._jobs_done += jobs

    def _refusal(self, key: object) -> IntaglioError:
        return _closed() if self._closed else unknown_key(key)

    def _check_open(self) -> None:
        if self._closed:
            raise _closed()


def open_soft(url: ParsedUrl) -> SoftSigner:
    """Signer for ``soft:``; ``soft:?workers=2`` sets the threads of ``sign_many`` (1..64)."""
    url.allow("workers")
    return SoftSigner(url.integer("workers", min(_cores(), MAX_WORKERS), 1, MAX_WORKERS))


def invalid_key() -> InvalidKeyError:
    """The error for a secp256k1 secret out of range."""
    return InvalidKeyError("the secp256k1 secret is 0 or not below the group order: use another")


def _closed() -> ClosedError:
    return ClosedError("this signer was closed: open it again")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _held(ffi: Any, size: int) -> Any:
    """C memory for a secret, overwritten with zeros when nothing refers to it any more."""
    zeros = bytes(size)
    return ffi.gc(ffi.new(f"unsigned char[{size}]"), lambda data: ffi.memmove(data, zeros, size))


def _ed25519(seed: bytes) -> _Sign:
    ffi, crypto_sign = _sodium.ffi, _sodium.lib.crypto_sign
    new, buffer, null = ffi.new, ffi.buffer, ffi.NULL
    array = ffi.typeof("unsigned char[]")
    secret = _held(ffi, _ED25519_SECRET_BYTES)
    if _sodium.lib.crypto_sign_seed_keypair(new("unsigned char[32]"), secret, seed):
        raise FaultError("libsodium did not derive the Ed25519 key: check its installation")
    size, longest, curve = wire.SIGNATURE_BYTES, wire.MAX_MESSAGE_BYTES, Curve.ED25519

    def sign(message: bytes | None, digest: bytes | None) -> Signature:
        if digest is not None or type(message) is not bytes or len(message) > longest:
            _, message = check_payload(curve, message, digest)
        length = len(message)
        signed = new(array, size + length)
        if crypto_sign(signed, null, message, length, secret):
            raise FaultError("libsodium did not sign: check its installation")
        return Signature(buffer(signed, size)[:], curve)

    return sign


def _secp256k1(scalar: bytes) -> _Sign:
    ffi, lib, context = _secp.ffi, _secp.lib, GLOBAL_CONTEXT.ctx
    new, buffer, null, sha256 = ffi.new, ffi.buffer, ffi.NULL, hashlib.sha256
    ecdsa_sign = lib.secp256k1_ecdsa_sign_recoverable
    serialize = lib.secp256k1_ecdsa_recoverable_signature_serialize_compact
    internal = ffi.typeof("secp256k1_ecdsa_recoverable_signature *")
    array, integer = ffi.typeof("unsigned char[64]"), ffi.typeof("int *")
    secret = _held(ffi, wire.KEY_BYTES)
    ffi.memmove(secret, scalar, wire.KEY_BYTES)
    width, curve = wire.DIGEST_BYTES, Curve.SECP256K1

    def sign(message: bytes | None, digest: bytes | None) -> Signature:
        if message is not None or type(digest) is not bytes or len(digest) != width:
            op, body = check_payload(curve, message, digest)
            digest = body if op is wire.Op.SIGN_DIGEST else sha256(body).digest()
        made, compact, recid = new(internal), new(array), new(integer)
        if not ecdsa_sign(context, made, digest, secret, null, null):
            raise FaultError("libsecp256k1 did not sign: check its installation")
        serialize(context, compact, recid, made)
        return Signature(buffer(compact)[:], curve, recid[0])

    return sign
