"""Keccak-256 by the fastest C implementation at hand.

OpenSSL from 3.2 on, through hashlib; else pycryptodome, whose C functions are called on a state
that is kept, because a hash object costs four times what the hash itself does; else such objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

from intaglio.orders.extras import load

Keccak = Callable[[bytes], bytes]

_CAPACITY_BYTES, _ROUNDS, _DIGEST_BYTES, _PADDING = 64, 24, 32, 0x01


@cache
def implementation() -> Keccak:
    """The function that hashes ``bytes`` to 32 bytes, with the padding of before FIPS 202.

    Raises :class:`intaglio.InputError` if neither OpenSSL nor pycryptodome offers one.
    """
    try:
        hashlib.new("KECCAK-256")
    except ValueError:
        return _pycryptodome()
    return lambda data: hashlib.new("KECCAK-256", data).digest()


def _pycryptodome() -> Keccak:
    objects = load("Crypto.Hash.keccak")
    api = load("Crypto.Util._raw_api")
    library = getattr(objects, "_raw_keccak_lib", None)
    calls = ("keccak_init", "keccak_reset", "keccak_absorb", "keccak_digest")
    if api.backend == "cffi" and all(hasattr(library, call) for call in calls):
        return _direct(library, api.ffi)
    return lambda data: bytes(objects.new(digest_bits=256, data=data).digest())


def _direct(library: Any, ffi: Any) -> Keccak:
    """Hash with pycryptodome's own C functions; each thread at work has a state to itself."""
    reset, absorb, digest = library.keccak_reset, library.keccak_absorb, library.keccak_digest
    spare: list[tuple[Any, Any, Any, Any]] = []

    def state() -> tuple[Any, Any, Any, Any]:
        pointer = ffi.new("void *[1]")
        if library.keccak_init(pointer, _CAPACITY_BYTES, _ROUNDS):
            raise MemoryError("pycryptodome could not allocate a keccak state")
        out = ffi.new("uint8_t[]", _DIGEST_BYTES)
        owner = ffi.gc(pointer[0], library.keccak_destroy)
        return owner, pointer[0], out, ffi.buffer(out)

    def keccak256(data: bytes) -> bytes:
        try:
            kept = spare.pop()
        except IndexError:
            kept = state()
        _, sponge, out, view = kept
        reset(sponge)
        absorb(sponge, data, len(data))
        digest(sponge, out, _DIGEST_BYTES, _PADDING)
        hashed: bytes = view[:]
        spare.append(kept)
        return hashed

    return keccak256
