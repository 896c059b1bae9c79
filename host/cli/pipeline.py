"""Many signatures through one device: pipelined, answered in order, in bounded memory."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import NamedTuple

from intaglio.cli.common import Payload
from intaglio.curve import Curve
from intaglio.errors import ClosedError, IntaglioError, LinkError
from intaglio.signer import Signer
from intaglio.values import Key, Signature

CHUNK = 64
"""Items read ahead; keys new in a chunk are loaded together."""
MAX_KEYS = 1024
"""Keys held before the one unused for longest is wiped; above ``2 * CHUNK``, so it is idle."""


class Item(NamedTuple):
    """One thing to sign, from line ``where``. With ``error`` set it is passed through unsigned."""

    line: int
    where: str
    label: str
    curve: Curve
    secret: bytes
    payload: Payload
    error: str | None = None

    def __repr__(self) -> str:
        return f"Item(where={self.where!r}, label={self.label!r}, curve={self.curve!r})"


def failed(line: int, where: str, error: str) -> Item:
    """An item that only carries the sentence saying why it cannot be signed."""
    return Item(line, where, "", Curve.ED25519, b"", Payload(None, None), error)


class Outcome(NamedTuple):
    """An item with its key and signature, or with the sentence saying why there is none."""

    item: Item
    key: Key | None
    signature: Signature | None
    error: str | None


class _Pending(NamedTuple):
    item: Item
    key: Key | None
    signature: Future[Signature] | None
    error: str | None


class Pipeline:
    """Signs items through ``signer``, with up to ``2 * CHUNK`` in flight.

    What a device refuses fails its own item only. When the link fails, what is in flight and all
    that follows is answered with a sentence naming the first line that failed.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._keys: OrderedDict[tuple[Curve, bytes], Key | IntaglioError] = OrderedDict()
        self._link_failure: str | None = None

    def run(self, items: Iterable[Item]) -> Iterator[Outcome]:
        """One outcome for each of ``items``, in their order."""
        iterator = iter(items)
        pending: deque[_Pending] = deque()
        while chunk := list(itertools.islice(iterator, CHUNK)):
            self._load(dict.fromkeys((i.curve, i.secret) for i in chunk if i.error is None))
            pending.extend(self._submit(item) for item in chunk)
            while len(pending) > CHUNK:
                yield self._finish(pending.popleft())
        while pending:
            yield self._finish(pending.popleft())

    def _load(self, wanted: Iterable[tuple[Curve, bytes]]) -> None:
        """Load the keys that are not held, all in flight together, and drop the oldest."""
        loading = {}
        for pair in wanted:
            if pair in self._keys:
                self._keys.move_to_end(pair)
            elif self._link_failure is None:
                try:
                    loading[pair] = self._signer.submit_load(*pair)
                except IntaglioError as error:
                    self._note_key(pair, error)
        for pair, future in loading.items():
            try:
                self._keys[pair] = future.result()
            except IntaglioError as error:
                self._note_key(pair, error)
        while len(self._keys) > MAX_KEYS:
            _, oldest = self._keys.popitem(last=False)
            if isinstance(oldest, Key) and self._link_failure is None:
                self._signer.submit_wipe(oldest)

    def _note_key(self, pair: tuple[Curve, bytes], error: IntaglioError) -> None:
        if isinstance(error, LinkError | ClosedError):
            self._link_failure = f"not signed, the key could not be loaded: {error}"
        else:
            self._keys[pair] = error

    def _submit(self, item: Item) -> _Pending:
        if item.error is not None or self._link_failure is not None:
            return _Pending(item, None, None, item.error or self._link_failure)
        key = self._keys[item.curve, item.secret]
        if isinstance(key, IntaglioError):
            return _Pending(item, None, None, str(key))
        message, digest = item.payload
        try:
            return _Pending(item, key, self._signer.submit(key, message, digest=digest), None)
        except IntaglioError as error:
            return _Pending(item, key, None, str(error))

    def _finish(self, pending: _Pending) -> Outcome:
        item, key, future, error = pending
        if future is None:
            return Outcome(item, key, None, error)
        try:
            return Outcome(item, key, future.result(), None)
        except IntaglioError as failure:
            if isinstance(failure, LinkError | ClosedError) and self._link_failure is None:
                self._link_failure = f"not signed, the link failed at {item.where}: {failure}"
            return Outcome(item, key, None, str(failure))
