"""Where a signature may be stopped: before its job is sent, and before it is given out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from typing import Any

from intaglio.answers import read_result
from intaglio.burst import Part
from intaglio.check import VerifyPolicy
from intaglio.curve import Curve
from intaglio.deadline import late
from intaglio.errors import IntaglioError
from intaglio.keyring import Job
from intaglio.metrics import DeviceStats
from intaglio.outcome import Reply, Taken
from intaglio.promise import begin, fail, succeed
from intaglio.values import Identity, Signature

_signature: Callable[[Iterable[Any]], Signature] = partial(tuple.__new__, Signature)
"""``Signature._make`` without its check, in half the time."""

DRIFT = 1 / 64
"""How fast the least time that answers take follows the times they take, per answer."""


class Gate:
    """Lets jobs of the device ``name`` out to it, and their results out to the caller.

    Without ``clock`` (seconds) the times given to the methods are all it goes by.
    """

    def __init__(
        self,
        name: str,
        verify: VerifyPolicy,
        stats: DeviceStats,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._name = name
        self._verify = verify
        self._stats = stats
        self._clock = clock
        self._fastest_s = 0.0

    def wanted(self, job: Job, now: float, *, busy: bool) -> bool:
        """Whether ``job`` is to be sent: not cancelled, not ended, not sure to be late.

        While the device is ``busy``, the least time that recent answers took tells what is late;
        of an idle one, whose last answers may be long ago, the deadline itself.
        """
        if not job.begun:
            if not begin(job.promise):
                return False
            job.begun = True
            job.sent_at = now
        least_s = self._fastest_s if busy else 0.0
        if job.deadline is not None and now + least_s > job.deadline:
            self._refuse(job, job.deadline, now)
        return not job.promise.done()

    def release(self, job: Job, reply: Reply, now: float, identity: Identity | None) -> None:
        """Give out what ``reply``, which came at ``now``, holds, unless it is wrong or late."""
        taken_at = self._clock() if self._clock else now
        try:
            result = read_result(self._name, job, reply, self._verify)
        except IntaglioError as refused:
            self._stats.failed(refused)
            fail(job.promise, refused)
            return
        ended_at = self._clock() if self._clock else now
        took_s = now - job.sent_at
        self._fastest_s = min(took_s, self._fastest_s + DRIFT * (took_s - self._fastest_s))
        if job.deadline is not None and ended_at > job.deadline:
            self._refuse(job, job.deadline, ended_at)
            return
        if isinstance(result, Signature):
            clock_hz = identity.clock_hz if identity else 0
            self._stats.signed(
                result.curve,
                queue_s=job.sent_at - job.submitted_at,
                link_s=taken_at - job.sent_at,
                engine_s=result.cycles / clock_hz if clock_hz else None,
                verify_s=ended_at - taken_at,
            )
        succeed(job.promise, result)

    def release_many(self, taken: Taken, part: Part, now: float, identity: Identity | None) -> None:
        """:meth:`release` of replies to requests of ``part``."""
        if self._verify.some:
            replies = zip(taken.indices, taken.bodies, taken.recids, taken.cycles, strict=True)
            for index, body, recid, cycles in replies:
                self.release(part.job(index), Reply(body, recid, cycles), now, identity)
            return
        curve, count = part.entry.curve, len(taken.indices)
        recids: Iterable[int | None] = repeat(None) if curve is Curve.ED25519 else taken.recids
        signatures = map(_signature, zip(taken.bodies, repeat(curve), recids, taken.cycles))
        took_s = now - part.sent_at
        self._fastest_s = min(took_s, self._fastest_s + DRIFT * (took_s - self._fastest_s))
        clock_hz = identity.clock_hz if identity else 0
        engine_s = sum(taken.cycles) / count / clock_hz if clock_hz else None
        queue_s = part.sent_at - part.burst.submitted_at
        self._stats.signed(curve, queue_s=queue_s, link_s=took_s, engine_s=engine_s, times=count)
        part.burst.batch.end_many([part.start + index for index in taken.indices], signatures)

    def _refuse(self, job: Job, deadline: float, now: float) -> None:
        if not job.promise.done():
            self._stats.late += 1
            fail(job.promise, late(self._name, deadline, now))
