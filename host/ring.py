"""Descriptor rings: a session's requests as descriptors in host memory, its replies as completions.

Sans-IO like :mod:`intaglio.session`: :class:`RingCodec` says what a session's bytes are,
:class:`Rings` moves them into and out of memory that a device reads and writes too. Registers and
waiting are a transport's (:mod:`intaglio.transport.pcie`).

Between session and rings bytes go in blocks: see :mod:`intaglio.blocks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from intaglio import wire
from intaglio.blocks import HEAD, Completion, Descriptor, encode_many, one_block, padded
from intaglio.outcome import Group, Request, Taken
from intaglio.wire_ring import COMPLETION, DESCRIPTOR, INLINE_BYTES, Body

RING_LOG2 = 11
"""log2 of the entries of both rings."""
RING_ENTRIES = 1 << RING_LOG2
BODY_BYTES = 1 << 20
"""Room for bodies that do not fit into their descriptors: 256 of the longest."""

_Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Memory:
    """Host memory that a device can reach: ``view`` of bytes, at ``address`` for the device."""

    view: memoryview
    address: int


class RingCodec:
    """Blocks of descriptors as a session's :class:`intaglio.codec.Codec`."""

    opening = b""
    lossless = True
    queue = RING_ENTRIES // 2
    frames_bad = 0

    def __init__(self) -> None:
        self.runs = Runs()

    def encode(self, payload: bytes) -> bytes:
        """A block of one descriptor."""
        body = payload[wire.REQUEST.size :]
        head = payload[: wire.REQUEST.size]
        if len(body) <= INLINE_BYTES:
            fill = DESCRIPTOR.offset("body") - len(head)
            return one_block(head + bytes(fill) + body.ljust(INLINE_BYTES, b"\0"))
        rest = bytes([Body.MEMORY]).ljust(DESCRIPTOR.size - len(head), b"\0")
        return one_block(head + rest, body.ljust(padded(len(body)), b"\0"))

    def decode(self, data: bytes) -> list[bytes]:
        """Replies in the completions ``data``. One that tells an impossible length comes whole."""
        at, end = wire.REPLY.offset("length"), COMPLETION.offset("descriptor")
        payloads = []
        for start in range(0, len(data), COMPLETION.size):
            length = int.from_bytes(data[start + at : start + at + 2], "little")
            payloads.append(data[start : start + min(wire.REPLY.size + length, end)])
        return payloads


class _Run(NamedTuple):
    """Requests under ``size`` tags from ``first``."""

    group: Group
    request: Request
    first: int
    size: int


class Runs:
    """Requests that were sent together and are unanswered. A run takes a range of tags."""

    def __init__(self) -> None:
        self._number_of_tag = np.full(1 << wire.TAG_BITS, -1, np.int64)
        self._runs: dict[int, list[Any]] = {}
        self._made = 0
        self.open = 0
        """Requests unanswered."""

    def add(self, run: _Run) -> None:
        """Wait for the replies to ``run``."""
        tags = np.arange(run.first, run.first + run.size) % (1 << wire.TAG_BITS)
        self._number_of_tag[tags] = self._made
        self._runs[self._made] = [run, run.size]
        self._made += 1
        self.open += run.size

    def send(
        self, group: Group, header: dict[str, int], first: int, bodies: Sequence[bytes]
    ) -> bytes:
        """Blocks that carry ``bodies`` under tags from ``first``, and :meth:`add`."""
        self.add(_Run(group, group.request(0), first, len(bodies)))
        return encode_many(header, first, bodies)

    def take(self, data: bytes) -> tuple[bytes, list[Taken], list[tuple[Group, int, int]]]:
        """What the completions ``data`` answer.

        Returns the completions that are not OK replies to runs, the replies that are, and of the
        runs' requests whose completions are among the former the group, index and tag.
        """
        entries = np.frombuffer(data, Completion)
        tags = entries["tag"]
        numbers = self._number_of_tag[tags]
        first = int(numbers[0]) if data else -1
        alike = bool((numbers == first).all())
        if alike and first < 0:
            return data, [], []
        self._number_of_tag[tags] = -1
        if alike and _is_signature(entries, (run := self._runs[first][0]).request).all():
            self._close(first, len(entries))
            return b"", [_taken(entries, run)], []
        taken, strays = [], []
        rest = numbers < 0
        for number in np.unique(numbers[~rest]).tolist():
            run = self._runs[number][0]
            mine = numbers == number
            good = mine & _is_signature(entries, run.request)
            taken.append(_taken(entries if good.all() else entries[good], run))
            bad = mine & ~good
            rest |= bad
            strays += [(run.group, _index(tag, run), tag) for tag in tags[bad].tolist()]
            self._close(number, int(mine.sum()))
        return entries[rest].tobytes(), [one for one in taken if one.indices], strays

    def clear(self) -> list[tuple[Group, int, int]]:
        """Forget all that is unanswered: group, index and tag of each, in order of sending."""
        left = []
        for number, (run, _) in self._runs.items():
            for index in range(run.size):
                tag = (run.first + index) % (1 << wire.TAG_BITS)
                if self._number_of_tag[tag] == number:
                    left.append((run.group, index, tag))
        self._number_of_tag[:] = -1
        self._runs.clear()
        self.open = 0
        return left

    def _close(self, number: int, count: int) -> None:
        self.open -= count
        self._runs[number][1] -= count
        if not self._runs[number][1]:
            del self._runs[number]


def _index(tag: int, run: _Run) -> int:
    return (tag - run.first) % (1 << wire.TAG_BITS)


def _is_signature(entries: _Array, request: Request) -> _Array:
    """Which of ``entries`` are OK replies to ``request`` with a signature of its curve."""
    recids = entries["recid"]
    ecdsa = request.curve is wire.CurveId.SECP256K1
    good: _Array = (
        (entries["version"] == wire.VERSION)
        & (entries["op"] == request.op)
        & (entries["status"] == wire.Status.OK)
        & (entries["length"] == wire.SIGNATURE_BYTES)
        & (recids < 4 if ecdsa else recids == wire.NO_RECID)
    )
    return good


def _taken(entries: _Array, run: _Run) -> Taken:
    raw = np.ascontiguousarray(entries["body"][:, : wire.SIGNATURE_BYTES])
    bodies = raw.view(f"V{wire.SIGNATURE_BYTES}").ravel()
    indices = (entries["tag"].astype(np.int64) - run.first) % (1 << wire.TAG_BITS)
    columns = (indices, bodies, entries["recid"], entries["cycles"])
    return Taken(run.group, *(column.tolist() for column in columns))


class Rings:
    """Both rings and the bodies of one device, in ``memory`` of :data:`SIZE` bytes.

    A descriptor's place and its body's are free again once it and all before it are completed.
    """

    SIZE = RING_ENTRIES * (DESCRIPTOR.size + COMPLETION.size) + BODY_BYTES

    def __init__(self, memory: Memory) -> None:
        view, bodies_at = memory.view, RING_ENTRIES * (DESCRIPTOR.size + COMPLETION.size)
        completions_at = RING_ENTRIES * DESCRIPTOR.size
        self.submission_base = memory.address
        self.completion_base = memory.address + completions_at
        self._bodies_base = memory.address + bodies_at
        self._descriptors = np.frombuffer(view[:completions_at], Descriptor)
        self._entries = view[completions_at:bodies_at]
        self._words = self._entries.cast("I")
        self._sequences = np.frombuffer(self._entries, Completion)["sequence"]
        self._bodies = view[bodies_at : self.SIZE]
        self._position_of_tag = np.full(1 << wire.TAG_BITS, -1, np.int64)
        self.reset()

    def reset(self) -> None:
        """Begin anew, as the device does after its reset; nothing of what was in there stays."""
        self._descriptors.view(np.uint8)[:] = 0
        self._entries[:] = bytes(len(self._entries))
        self._bodies[:] = bytes(len(self._bodies))
        self._position_of_tag[:] = -1
        self._done = np.zeros(RING_ENTRIES, bool)
        self._body_ends = np.zeros(RING_ENTRIES, np.int64)
        self._body_head = self._body_tail = self._oldest = 0
        self._secrets: dict[int, int] = {}
        self.written = 0
        """Descriptors written; the low 32 bits are the doorbell."""
        self.taken = 0
        """Completions taken; the low 32 bits are what the device is told."""
        self.stale = False
        """Whether :meth:`put` met a request that opens a session while others are unanswered."""

    @property
    def outstanding(self) -> int:
        """Descriptors without a completion."""
        return self.written - self.taken

    def put(self, data: bytes | memoryview) -> int:
        """Put whole blocks from the front of ``data`` into memory, as many as there is room for.

        Returns how many bytes that were; the doorbell is the caller's to ring.
        """
        data, at = memoryview(data), 0
        while at + HEAD.size <= len(data):
            count, body_bytes = HEAD.unpack_from(data, at)
            begin = at + HEAD.size
            end = begin + count * DESCRIPTOR.size
            if end + body_bytes > len(data):
                break
            block = np.frombuffer(data[begin:end], Descriptor)
            self.stale = bool(block["op"][0] == wire.Op.OPEN and self.outstanding)
            start = self._body_room(body_bytes)
            full = self.written + count - self._oldest > RING_ENTRIES
            if self.stale or full or start is None:
                break
            self._place(block, data[end : end + body_bytes], start)
            at = end + body_bytes
        return at

    def take(self) -> bytes:
        """The completions that have arrived since the last call, in order."""
        data = self._arrived()
        if data:
            entries = np.frombuffer(data, Completion)
            if not entries["op"].all():
                unread = (entries["op"] == 0) & (entries["status"] == wire.Status.DMA_ERROR)
                data = self._name_unread(entries.copy(), unread)
                entries = np.frombuffer(data, Completion)
            self._release(entries["tag"])
        return data

    def _body_room(self, size: int) -> int | None:
        """Where bodies of ``size`` bytes together may begin; ``None``: nowhere yet."""
        start = self._body_head
        if start % BODY_BYTES + size > BODY_BYTES:
            start += BODY_BYTES - start % BODY_BYTES
        return start if start + size - self._body_tail <= BODY_BYTES else None

    def _place(self, block: _Array, bodies: memoryview, start: int) -> None:
        count, at = len(block), start % BODY_BYTES
        if len(bodies):
            self._bodies[at : at + len(bodies)] = bodies
            block = block.copy()
            block["address"] += block["where"] * np.uint64(self._bodies_base + at)
        first = self.written % RING_ENTRIES
        head = min(count, RING_ENTRIES - first)
        self._descriptors[first : first + head] = block[:head]
        self._descriptors[: count - head] = block[head:]
        self._position_of_tag[block["tag"]] = np.arange(self.written, self.written + count)
        self._body_ends[first : first + head] = self._body_head
        self._body_ends[: count - head] = self._body_head
        self._body_head = start + len(bodies)
        self.written += count
        self._body_ends[(self.written - 1) % RING_ENTRIES] = self._body_head
        if block["op"][0] == wire.Op.LOAD_KEY:
            self._secrets[int(block["tag"][0])] = first

    def _arrived(self) -> bytes:
        """The new completions as they are in memory."""
        data = b""
        last = COMPLETION.size // 4 - 1
        while (left := self.outstanding) > 0:
            first = self.taken % RING_ENTRIES
            if self._words[first * (last + 1) + last] != (self.taken + 1) & 0xFFFFFFFF:
                break
            most = min(left, RING_ENTRIES - first)
            new = self._sequences[first : first + most]
            expected = np.arange(self.taken + 1, self.taken + 1 + most).astype(np.uint32)
            fits = new == expected
            count = most if fits.all() else int(fits.argmin())
            data += self._entries[first * COMPLETION.size : (first + count) * COMPLETION.size]
            self.taken += count
        return data

    def _release(self, tags: _Array) -> None:
        """Free what the descriptors with ``tags`` took, once their turn has come."""
        positions = self._position_of_tag[tags]
        self._position_of_tag[tags] = -1
        self._done[positions[positions >= 0] % RING_ENTRIES] = True
        if self._secrets:
            for tag in self._secrets.keys() & set(tags.tolist()):
                self._descriptors["body"][self._secrets.pop(tag)] = 0
        while self._oldest < self.written:
            first = self._oldest % RING_ENTRIES
            done = self._done[first : first + self.written - self._oldest]
            count = len(done) if done.all() else int(done.argmin())
            if not count:
                break
            done[:count] = False
            self._oldest += count
            self._body_tail = int(self._body_ends[first + count - 1])

    def _name_unread(self, entries: _Array, unread: _Array) -> bytes:
        """``entries``, those of descriptors ``unread`` by the device with their ops and tags."""
        for index in np.flatnonzero(unread):
            back = (self.written - int(entries["descriptor"][index])) & 0xFFFFFFFF
            if 0 < back <= RING_ENTRIES:
                lost = self._descriptors[(self.written - back) % RING_ENTRIES]
                entries["op"][index], entries["tag"][index] = lost["op"], lost["tag"]
        return entries.tobytes()
