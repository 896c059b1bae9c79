"""One signature to be made, on its way to a device, and where it goes from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from intaglio import wire
from intaglio.deadline import late
from intaglio.errors import InputError
from intaglio.promise import Promise
from intaglio.values import Key, SignRequest, check_payload

SignItem = SignRequest | tuple[Key, bytes]


@dataclass(slots=True, eq=False)
class Work:
    """What to do with ``key`` and the promise it ends in. Times are monotonic seconds."""

    key: Key
    op: wire.Op
    body: bytes = field(repr=False)
    promise: Promise[Any]
    deadline: float | None = None
    submitted_at: float = 0.0


def parts(item: SignItem) -> SignRequest:
    """``item`` as a request. Raises :class:`InputError` if it is none."""
    if isinstance(item, SignRequest):
        return item
    try:
        key, message = item
    except (TypeError, ValueError):
        raise InputError(
            f"give (key, message) or a SignRequest, not {type(item).__name__}"
        ) from None
    return SignRequest(key, message)


def prepare(name: str, request: SignRequest, promise: Promise[Any], now: float) -> Work:
    """``request`` to ``name`` as work that ends in ``promise``. It does not look who holds the key.

    Raises :class:`InputError` if it is wrong, :class:`DeadlineError` if it is late.
    """
    key, deadline = request.key, request.deadline
    if not isinstance(key, Key):
        raise unknown_key(key)
    op, body = check_payload(key.curve, request.message, request.digest)
    if deadline is not None and deadline <= now:
        raise late(name, deadline, now)
    return Work(key, op, body, promise, deadline, now)


def unknown_key(key: object) -> InputError:
    """The error for a ``key`` that this signer does not hold."""
    if not isinstance(key, Key):
        return InputError(f"a key must be what load_key returned, not {type(key).__name__}")
    return InputError(f"{key!r} is not held here (wiped, or of another signer): load it again")
