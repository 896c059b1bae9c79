"""What all adapters share: signers opened by URL once, and handles that stand for keys.

A *handle* is 32 bytes that fit where a library wants a private key but say nothing of it: adapters
that are given a handle sign with the key it stands for, in whatever device that is.

>>> from intaglio import Curve
>>> from intaglio.adapters import devices
>>> signer = devices.device("soft:")
>>> handle = devices.handle(signer, signer.load_key(Curve.ED25519, bytes(range(32))))
>>> devices.held_for(Curve.ED25519, handle).key
<Key ed25519 03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8>
>>> devices.forget(handle)
"""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import intaglio
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.signer import Secret, Signer
from intaglio.values import Key

DEVICE_VARIABLE = "INTAGLIO_DEVICE"
"""Environment variable with the URL of the device to use where no signer was named."""

MAX_KEYS = 256
"""Secrets that :func:`held_for` keeps loaded; the one used longest ago is wiped for another."""

_HANDLE_PREFIX = b"Intaglio handle\0"

_lock = threading.RLock()
_opened: dict[str, Signer] = {}
_handles: dict[bytes, Held] = {}
_loaded: OrderedDict[tuple[Curve, bytes], Held] = OrderedDict()


class Held(NamedTuple):
    """A key and the signer that holds it."""

    signer: Signer
    key: Key


def device(signer: Signer | str | None = None) -> Signer:
    """``signer`` itself, or the one for a device URL: opened once, closed when Python ends.

    ``None`` stands for the URL in ``INTAGLIO_DEVICE``, or ``soft:`` if that is not set.
    """
    if isinstance(signer, Signer):
        return signer
    url = signer if signer is not None else os.environ.get(DEVICE_VARIABLE, "soft:")
    with _lock:
        if url not in _opened:
            _opened[url] = intaglio.open(url)
        return _opened[url]


def hold(signer: Signer | str | None, curve: Curve, key: Key | Secret) -> Held:
    """``key`` in ``signer``: one it holds already, or 32 secret bytes, which are loaded.

    Raises :class:`InputError` for a key of another curve, and what ``load_key`` raises.
    """
    where = device(signer)
    if not isinstance(key, Key):
        return Held(where, where.load_key(curve, key))
    if key.curve is not curve:
        raise InputError(f"this needs a {curve.value} key, not {key!r}")
    return Held(where, key)


def handle(signer: Signer | str | None, key: Key) -> bytes:
    """A new handle for ``key``: 32 bytes below the secp256k1 group order, random in half of them.

    Adapters of this process take it for the private key until :func:`forget`.
    """
    held = Held(device(signer), key)
    name = _HANDLE_PREFIX + os.urandom(16)
    with _lock:
        _handles[name] = held
    return name


def forget(name: bytes) -> None:
    """Let a handle go; its key stays loaded. Raises :class:`InputError` if there is none."""
    with _lock:
        if _handles.pop(name, None) is None:
            raise InputError("there is no such handle: it was forgotten, or made elsewhere")


def is_handle(secret: bytes) -> bool:
    """Whether ``secret`` is a handle, still good or not, and no private key."""
    return secret[: len(_HANDLE_PREFIX)] == _HANDLE_PREFIX


def held_for(
    curve: Curve,
    secret: bytes,
    signer: Signer | str | None = None,
    *,
    parse: Callable[[bytes], bytes] = bytes,
) -> Held:
    """The key that ``secret`` stands for: a handle's, else one with the 32 bytes ``parse(secret)``.

    Secrets are loaded into ``signer`` when first seen and looked up by their SHA-256 afterwards.
    """
    if is_handle(secret):
        with _lock:
            held = _handles.get(secret)
        if held is None:
            raise InputError("this key handle is unknown: it was forgotten, or made elsewhere")
        if held.key.curve is not curve:
            raise InputError(f"this needs a {curve.value} key; the handle is of {held.key!r}")
        return held
    where = device(signer)
    name = curve, hashlib.sha256(secret + id(where).to_bytes(8, "big")).digest()
    with _lock:
        held = _loaded.get(name)
        if held is None or held.signer is not where:
            held = Held(where, where.load_key(curve, parse(secret)))
            _loaded[name] = held
            if len(_loaded) > MAX_KEYS:
                _, oldest = _loaded.popitem(last=False)
                oldest.signer.submit_wipe(oldest.key)
        else:
            _loaded.move_to_end(name)
    return held


def in_device() -> PermissionError:
    """The error for whoever asks for a private key that stays where it is."""
    return PermissionError("this private key is in a device, which signs with it; it stays there")


@atexit.register
def close_all() -> None:
    """Close what :func:`device` opened by URL, wiping its keys; handles to them end."""
    with _lock:
        signers = list(_opened.values())
        _opened.clear()
        for name, held in list(_handles.items()):
            if held.signer in signers:
                del _handles[name]
        for loaded, held in list(_loaded.items()):
            if held.signer in signers:
                del _loaded[loaded]
    for signer in signers:
        signer.close()
