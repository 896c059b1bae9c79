"""Processes that sign through libsecp256k1 and nothing else: what threads are compared with."""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from coincurve.context import GLOBAL_CONTEXT


def direct_secp256k1(secret: bytes, digest: bytes) -> Callable[[], bytes]:
    """The library's own calls that sign ``digest``: 64 bytes out, nothing else done."""
    module: Any = importlib.import_module("coincurve._libsecp256k1")
    ffi, lib, context = module.ffi, module.lib, GLOBAL_CONTEXT.ctx
    kept, null, new, buffer = ffi.new("unsigned char[32]", secret), ffi.NULL, ffi.new, ffi.buffer
    internal = ffi.typeof("secp256k1_ecdsa_recoverable_signature *")
    array, integer = ffi.typeof("unsigned char[64]"), ffi.typeof("int *")
    ecdsa_sign = lib.secp256k1_ecdsa_sign_recoverable
    serialize = lib.secp256k1_ecdsa_recoverable_signature_serialize_compact

    def sign() -> bytes:
        made, compact, recid = new(internal), new(array), new(integer)
        ecdsa_sign(context, made, digest, kept, null, null)
        serialize(context, compact, recid, made)
        signature: bytes = buffer(compact)[:]
        return signature

    return sign


def direct_ed25519(secret: bytes, message: bytes) -> Callable[[], bytes]:
    """libsodium's own call that signs ``message``: 64 bytes out, nothing else done."""
    module: Any = importlib.import_module("nacl._sodium")
    ffi, crypto_sign = module.ffi, module.lib.crypto_sign
    pair = ffi.new("unsigned char[64]")
    module.lib.crypto_sign_seed_keypair(ffi.new("unsigned char[32]"), pair, secret)
    array, null, new, buffer, length = (
        ffi.typeof("unsigned char[]"),
        ffi.NULL,
        ffi.new,
        ffi.buffer,
        len(message),
    )

    def sign() -> bytes:
        signed = new(array, 64 + length)
        crypto_sign(signed, null, message, length, pair)
        signature: bytes = buffer(signed, 64)[:]
        return signature

    return sign


def _work(link: Connection, secret: bytes, digest: bytes) -> None:
    """Sign as often as asked for, until asked for nothing."""
    sign = direct_secp256k1(secret, digest)
    link.send(sign())
    while count := link.recv():
        for _ in range(count):
            sign()
        link.send(b"")


class Processes:
    """``count`` processes; :meth:`sign` has them sign together and waits for all."""

    def __init__(self, count: int, secret: bytes, digest: bytes) -> None:
        context = multiprocessing.get_context("spawn")
        self._links: list[Connection] = []
        self._processes = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, secret, digest), daemon=True)
            process.start()
            theirs.close()
            self._links.append(ours)
            self._processes.append(process)
        self.first = {link.recv() for link in self._links}
        """The signature that each made to begin with: one, as all are equal."""

    def sign(self, jobs: int) -> None:
        """Make ``jobs`` signatures, an equal share in each process."""
        for link in self._links:
            link.send(jobs // len(self._links))
        for link in self._links:
            link.recv()

    def close(self) -> None:
        """End the processes; a second call does nothing."""
        links, self._links = self._links, []
        for link in links:
            link.send(0)
            link.close()
        for process in self._processes:
            process.join(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
