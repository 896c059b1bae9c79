"""Many signatures through one device: pipelined, answered in order, in bounded memory."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple

import intaglio
from intaglio.cli.common import Payload
from intaglio.errors import ClosedError, IntaglioError, LinkError

CHUNK = 64
"""Items read ahead; keys new in a chunk are loaded together."""
MAX_KEYS = 1024
"""Keys remembered before the one unused for longest is loaded anew."""

_Loaded = OrderedDict[tuple[str, bytes], "intaglio.Key | IntaglioError"]


class Item(NamedTuple):
    """One thing to sign. With ``error`` set it is passed through unsigned."""

    line: int
    label: str
    curve: str
    secret: bytes
    payload: Payload
    error: str | None = None

    def __repr__(self) -> str:
        return f"Item(line={self.line}, label={self.label!r}, curve={self.curve!r})"


def failed(line: int, error: str, label: str = "") -> Item:
    """An item that only carries the sentence saying why it cannot be signed."""
    return Item(line, label, "", b"", Payload(None, None), error)


class Outcome(NamedTuple):
    """An item with its signature and public key, or with the sentence saying why there is none."""

    item: Item
    signature: intaglio.Signature | None
    public_key: bytes
    error: str | None


def sign_in_order(signer: intaglio.Signer, items: Iterable[Item]) -> Iterator[Outcome]:
    """One outcome for each of ``items``, in their order, with up to 2 * CHUNK in flight.

    A signature refused by the device fails its own item only. When the link fails, what is in
    flight and all that follows is answered with a sentence naming the first line that failed.
    """
    iterator = iter(items)
    keys: _Loaded = OrderedDict()
    pending: deque[tuple[Item, intaglio.Key | None, Future[intaglio.Signature] | str]] = deque()
    dead: str | None = None
    while chunk := list(itertools.islice(iterator, CHUNK)):
        if dead is None:
            dead = _load_new(signer, keys, chunk)
        for item in chunk:
            pending.append(_submit(signer, keys, item, dead))
        while len(pending) > CHUNK:
            outcome, dead = _finish(*pending.popleft(), dead)
            yield outcome
    while pending:
        outcome, dead = _finish(*pending.popleft(), dead)
        yield outcome


def _load_new(signer: intaglio.Signer, keys: _Loaded, chunk: list[Item]) -> str | None:
    """Loads the keys that ``chunk`` needs and ``keys`` has not; returns why the link failed."""
    wanted = dict.fromkeys((i.curve, i.secret) for i in chunk if i.error is None)
    new = [pair for pair in wanted if pair not in keys]
    for pair in wanted:
        if pair in keys:
            keys.move_to_end(pair)
    try:
        loaded = signer.load_keys([(intaglio.Curve(curve), secret) for curve, secret in new])
        keys.update(zip(new, loaded, strict=True))
    except (LinkError, ClosedError) as error:
        return f"not signed, the keys could not be loaded: {error}"
    except IntaglioError:
        for pair in new:
            keys[pair] = _load_alone(signer, *pair)
    while len(keys) > max(MAX_KEYS, len(wanted)):
        keys.popitem(last=False)
    return None


def _load_alone(signer: intaglio.Signer, curve: str, secret: bytes) -> intaglio.Key | IntaglioError:
    try:
        return signer.load_key(intaglio.Curve(curve), secret)
    except IntaglioError as error:
        return error


def _submit(
    signer: intaglio.Signer, keys: _Loaded, item: Item, dead: str | None
) -> tuple[Item, intaglio.Key | None, Future[intaglio.Signature] | str]:
    if item.error is not None or dead is not None:
        return item, None, item.error or str(dead)
    key = keys[item.curve, item.secret]
    if isinstance(key, IntaglioError):
        return item, None, str(key)
    try:
        future = signer.submit(key, message=item.payload.message, digest=item.payload.digest)
    except IntaglioError as error:
        return item, key, str(error)
    return item, key, future


def _finish(
    item: Item,
    key: intaglio.Key | None,
    future: Future[intaglio.Signature] | str,
    dead: str | None,
) -> tuple[Outcome, str | None]:
    if isinstance(future, str) or key is None:
        return Outcome(item, None, b"", str(future)), dead
    try:
        return Outcome(item, future.result(), key.public_key, None), dead
    except (LinkError, ClosedError) as error:
        reason = dead or f"not signed, the link failed at line {item.line}: {error}"
        return Outcome(item, None, b"", str(error)), reason
    except IntaglioError as error:
        return Outcome(item, None, b"", str(error)), dead
