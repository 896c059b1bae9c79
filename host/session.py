"""One session with one device, sans-IO: bytes and times in, bytes and outcomes out.

What the bytes are, frames or descriptors, is the :mod:`intaglio.codec`'s business.

No sockets, threads or clocks in here. The owner passes what arrived and what time it is, sends what
comes out, and calls :meth:`Session.poll` at :attr:`Session.next_deadline`. Every submitted request
ends in exactly one :class:`Outcome`.

**Tags** are sequence numbers and the device takes only newer ones (:func:`intaglio.wire.is_newer`),
so nothing is ever sent twice under one tag. A request that seems lost goes out again under a new
tag; the old tag stays good: whichever answer comes first answers the request, later ones count as
``unmatched``. A request seems lost

* when no job was answered for ``retry_s`` since it was sent, of whatever request (so a slow device
  with a long queue is left alone as long as it gets on; that it answers COUNTERS says nothing);
* when the device says BAD_FRAME: the frame after the last accepted tag was damaged;
* when ``OVERTAKEN`` windows of jobs sent after it have been answered.

Over a lossless link nothing is sent again but after KEY_IN_USE; silence still ends requests.

DUPLICATE answers are counted and otherwise ignored: the first copy is answered by itself.
KEY_IN_USE means "not yet": the request is sent again later.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from intaglio import wire
from intaglio.codec import Codec
from intaglio.errors import IntaglioError, ProtocolError, RequestTimeout
from intaglio.frame import FrameCodec
from intaglio.outcome import JOB_OPS, Group, Outcome, Reply, Request, Taken, refusal
from intaglio.values import Identity, version_mismatch

SILENT_TRIES = 4
"""Times a request is sent before silence ends it."""
EAGER_TRIES = 64
"""Times a request is sent again on evidence: a bad frame, being overtaken, a key in use."""
OVERTAKEN = 2
"""Windows of later requests that are answered before an older one is taken for lost."""
FIRST_DELAY = 1 / 64
"""First wait after KEY_IN_USE, in units of ``retry_s``; doubled each time up to ``retry_s``."""
TAG_GAP = 1 << 10
"""Tags left out before an OPEN, so that answers to an earlier session match nothing."""


@dataclass(slots=True, eq=False)
class _Pending:
    """A request without an outcome yet."""

    request: Request
    handle: Any
    order: int
    tags: list[int] = field(default_factory=list)
    sent_at: float = 0.0
    silent_tries: int = 0
    eager_tries: int = 0
    busy_tries: int = 0
    passed_at: int = 0
    """Count of answered requests at which this one has been overtaken too often."""
    held_until: float = 0.0
    """While held (not in the device): when to send it again."""


class Session:
    """The protocol state of one device. ``name`` is what messages call it.

    ``retry_s`` is how long the link may be silent before requests are sent again, in seconds.
    ``rng`` gives session ids and the first tag. ``codec`` is that of frames if ``None``.
    """

    def __init__(
        self,
        name: str,
        retry_s: float,
        rng: random.Random | random.SystemRandom | None = None,
        codec: Codec | None = None,
    ) -> None:
        self._name = name
        self._retry_s = retry_s
        self._rng = rng or random.SystemRandom()
        self._codec = codec or FrameCodec()
        self._runs = self._codec.runs
        self._run_sent_at = 0.0
        self._tag = self._rng.randrange(1 << wire.TAG_BITS)
        self._session_id = 0
        self._by_tag: dict[int, _Pending] = {}
        self._sent: dict[_Pending, None] = {}
        self._held: dict[_Pending, None] = {}
        self.submitted = 0
        self._answered = 0
        self._pages = 0
        self._heard_at = 0.0
        self._answered_at = 0.0
        self._moved_at = 0.0
        self._unsent_jobs = False
        self.identity: Identity | None = None
        """What the device told in answer to OPEN; ``None`` before that."""
        self.resent = 0
        self.unmatched = 0
        self.duplicates = 0

    @property
    def frames_bad(self) -> int:
        """Damaged replies that arrived."""
        return self._codec.frames_bad

    @property
    def link_counts(self) -> dict[str, int]:
        """What was seen of the link, by the names of :class:`intaglio.Counters`."""
        return {
            "host_frames_bad": self.frames_bad,
            "host_resent": self.resent,
            "host_unmatched": self.unmatched,
        }

    @property
    def outstanding(self) -> int:
        """Requests without an outcome."""
        return len(self._sent) + len(self._held) + (self._runs.open if self._runs else 0)

    @property
    def window(self) -> int:
        """Requests that device and link hold at once; 1 before OPEN is answered."""
        return self.identity.job_slots + self._codec.queue if self.identity else 1

    @property
    def space(self) -> int:
        """Requests that may be sent together now."""
        return self.window - self.outstanding if self.identity else 0

    def room(self, request: Request) -> bool:
        """Whether the device's window has room for ``request``: a job and its pages of bytes.

        Before OPEN is answered the window is one request.
        """
        if not self.outstanding:
            return True
        if self.identity is None:
            return False
        if self._codec.queue:
            return self.outstanding < self.window
        pages = self._pages + wire.pages(len(request.body))
        return (
            self.outstanding < self.window and pages * wire.PAGE_BYTES <= self.identity.pool_bytes
        )

    def open(self, handle: Any, now: float) -> bytes:
        """Bytes that open a new session; its outcome sets :attr:`identity` and the window.

        Nothing may be outstanding: see :meth:`abandon`.
        """
        if self.outstanding:
            raise RuntimeError("abandon what is outstanding before opening a session")
        previous = self._session_id
        while self._session_id == previous:
            self._session_id = self._rng.randrange(1, 1 << 16)
        self.identity = None
        self._tag = (self._tag + TAG_GAP) % (1 << wire.TAG_BITS)
        return self._codec.opening + self.submit(Request(wire.Op.OPEN), handle, now)

    def submit(self, request: Request, handle: Any, now: float) -> bytes:
        """Bytes that carry ``request``; its outcome names ``handle``. Ask :meth:`room` first."""
        self.submitted += 1
        pending = _Pending(request, handle, self.submitted)
        self._pages += wire.pages(len(request.body))
        return self._send(pending, now)

    def submit_group(self, group: Group, bodies: Sequence[bytes], now: float) -> bytes:
        """Bytes that carry all requests of ``group``; ask :attr:`space` first.

        OK replies come as :class:`Taken`; other ends as :class:`Outcome` with the group's handles.
        """
        if self._runs is None:
            raise RuntimeError("this link carries one request at a time")
        request = group.request(0)
        self.submitted += len(bodies)
        first = (self._tag + 1) % (1 << wire.TAG_BITS)
        self._tag = (self._tag + len(bodies)) % (1 << wire.TAG_BITS)
        self._run_sent_at = now
        self._unsent_jobs = True
        return self._runs.send(group, self._header(request), first, bodies)

    def abandon(self) -> list[Any]:
        """Forget everything outstanding without an outcome; the handles, in order of submission."""
        handles = [pending.handle for pending in sorted(self._all(), key=lambda p: p.order)]
        self._by_tag.clear()
        self._sent.clear()
        self._held.clear()
        self._pages = 0
        left = self._runs.clear() if self._runs else []
        return handles + [group.job(index) for group, index, _ in left]

    def moved(self, now: float, *, drained: bool = True) -> None:
        """Note that the link took bytes, and whether all; one slow to send is not silent."""
        if self._unsent_jobs:
            self._moved_at = now
            self._unsent_jobs = not drained

    def feed(self, data: bytes, now: float) -> list[Outcome | Taken]:
        """Outcomes of the replies that ``data`` completes. Follow with :meth:`poll`."""
        outcomes: list[Outcome | Taken] = []
        if self._runs is not None and self._runs.open:
            data, taken, strays = self._runs.take(data)
            for group, index, tag in strays:
                self._adopt(group, index, tag)
            for one in taken:
                self._heard_at = self._moved_at = self._answered_at = now
                self._answered += len(one.indices)
                outcomes.append(one)
        for payload in self._codec.decode(data):
            self._heard_at = now
            outcomes += self._take(payload, now)
        return outcomes

    def heard_since(self, time: float) -> bool:
        """Whether a whole frame arrived at or after ``time``."""
        return self._heard_at >= time

    @property
    def next_deadline(self) -> float | None:
        """Time of the next :meth:`poll`, in the caller's seconds; ``None`` if nothing waits."""
        times = [pending.held_until for pending in self._held]
        if self._sent:
            times.append(self._silent_at(next(iter(self._sent))))
        if self._runs is not None and self._runs.open:
            times.append(self._runs_end_at)
        return min(times, default=None)

    def poll(self, now: float) -> tuple[bytes, list[Outcome]]:
        """What is due at ``now``: bytes to send again, and requests that ended in a time-out."""
        if self._runs is not None and self._runs.open and self._runs_end_at <= now:
            for group, index, tag in self._runs.clear():
                self._adopt(group, index, tag).silent_tries = SILENT_TRIES
        due = [pending for pending in self._held if pending.held_until <= now]
        overdue = []
        for pending in self._sent:
            if self._silent_at(pending) > now:
                break
            overdue.append(pending)
        outcomes: list[Outcome] = []
        for pending in overdue:
            if self._answered_at > pending.sent_at:
                pending.silent_tries = 0
                pending.eager_tries += 1
            due.append(pending)
        data = bytearray()
        for pending in due:
            if pending.silent_tries >= SILENT_TRIES or pending.eager_tries >= EAGER_TRIES:
                outcomes.append(self._end(pending, error=self._timeout(pending)))
            else:
                data += self._send_again(pending, now)
        return bytes(data), outcomes

    def _all(self) -> Iterator[_Pending]:
        yield from self._sent
        yield from self._held

    def _silent_at(self, pending: _Pending) -> float:
        return max(pending.sent_at, self._moved_at) + self._retry_s

    @property
    def _runs_end_at(self) -> float:
        """When silence ends what was sent together."""
        return max(self._run_sent_at, self._moved_at) + self._retry_s * SILENT_TRIES

    def _adopt(self, group: Group, index: int, tag: int) -> _Pending:
        """Take request ``index`` of ``group``, in the device under ``tag``, out of its run."""
        request = group.request(index)
        pending = _Pending(request, group.job(index), self.submitted, [tag], group.sent_at, 1)
        pending.passed_at = self._answered + OVERTAKEN * self.window
        self._by_tag[tag] = pending
        self._sent[pending] = None
        self._pages += wire.pages(len(request.body))
        return pending

    def _send_again(self, pending: _Pending, now: float) -> bytes:
        if self._codec.lossless and pending in self._sent:
            pending.silent_tries += 1
            pending.sent_at = now
            self._sent[pending] = self._sent.pop(pending)
            return b""
        self.resent += 1
        return self._codec.opening + self._send(pending, now)

    def _send(self, pending: _Pending, now: float) -> bytes:
        self._held.pop(pending, None)
        self._sent.pop(pending, None)
        self._tag = (self._tag + 1) % (1 << wire.TAG_BITS)
        self._by_tag[self._tag] = pending
        pending.tags.append(self._tag)
        pending.sent_at = now
        pending.silent_tries += 1
        pending.passed_at = self._answered + len(self._sent) + OVERTAKEN * self.window
        self._sent[pending] = None
        request = pending.request
        self._unsent_jobs |= request.op in JOB_OPS
        fields = self._header(request) | {"tag": self._tag, "length": len(request.body)}
        return self._codec.encode(wire.REQUEST.pack(**fields) + request.body)

    def _header(self, request: Request) -> dict[str, int]:
        """Fields of the header but for tag and length."""
        return {
            "version": wire.VERSION,
            "op": request.op,
            "session": self._session_id,
            "slot": request.slot,
            "curve": request.curve,
            "generation": request.generation,
        }

    def _take(self, payload: bytes, now: float) -> list[Outcome]:
        if payload and payload[0] != wire.VERSION:
            error = version_mismatch(self._name, payload[0])
            return [self._end(pending, error=error) for pending in list(self._all())]
        if len(payload) < wire.REPLY.size:
            self.unmatched += 1
            return []
        reply = wire.REPLY.unpack(payload)
        if reply["op"] in JOB_OPS:
            self._moved_at = now
        if reply["status"] == wire.Status.BAD_FRAME and reply["op"] == 0:
            self._send_after(reply["tag"], now)
            return []
        pending = self._by_tag.get(reply["tag"])
        if pending is None or pending.request.op != reply["op"]:
            self.unmatched += 1
            return []
        if reply["status"] == wire.Status.DUPLICATE:
            self.duplicates += 1
            return []
        if reply["status"] == wire.Status.KEY_IN_USE and pending.eager_tries < EAGER_TRIES:
            delay = self._retry_s * min(1.0, FIRST_DELAY * 2**pending.busy_tries)
            pending.busy_tries += 1
            self._hold(pending, now + delay)
            return []
        if pending.request.op in JOB_OPS:
            self._answered += 1
            self._answered_at = now
        outcome = self._end(pending, **self._judge(pending, reply, payload[wire.REPLY.size :]))
        self._find_overtaken(now)
        return [outcome]

    def _judge(self, pending: _Pending, reply: dict[str, Any], body: bytes) -> dict[str, Any]:
        """The reply or the error that ``reply`` means for ``pending``."""
        op = pending.request.op
        error = refusal(self._name, op, reply, len(body))
        if error is None and op is wire.Op.OPEN:
            try:
                self.identity = Identity.from_record(self._name, body)
            except ProtocolError as broken:
                error = broken
        if error is not None:
            return {"error": error}
        return {"reply": Reply(body, reply["recid"], reply["cycles"])}

    def _send_after(self, last_tag: int, now: float) -> None:
        """A frame after ``last_tag`` was damaged: send again the first one it can have been."""
        for pending in self._sent:
            newer = wire.is_newer(pending.tags[-1], last_tag)
            if newer or pending.request.op is wire.Op.OPEN:
                self._hold(pending, now)
                return

    def _find_overtaken(self, now: float) -> None:
        while self._sent and not self._codec.lossless:
            oldest = next(iter(self._sent))
            if self._answered < oldest.passed_at:
                return
            self._hold(oldest, now)

    def _hold(self, pending: _Pending, until: float) -> None:
        """Take ``pending`` for not in the device and send it again at ``until``."""
        self._sent.pop(pending, None)
        self._held[pending] = None
        pending.held_until = until
        pending.silent_tries = 0
        pending.eager_tries += 1

    def _end(
        self, pending: _Pending, reply: Reply | None = None, error: IntaglioError | None = None
    ) -> Outcome:
        self._sent.pop(pending, None)
        self._held.pop(pending, None)
        for tag in pending.tags:
            self._by_tag.pop(tag, None)
        self._pages -= wire.pages(len(pending.request.body))
        return Outcome(pending.handle, reply, error)

    def _timeout(self, pending: _Pending) -> RequestTimeout:
        return RequestTimeout(
            f"{self._name} did not answer {pending.request.op.name} in {len(pending.tags)} tries "
            f"of {self._retry_s:g} s: check that it is powered and connected, or raise timeout_s"
        )
