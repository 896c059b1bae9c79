"""What a signer counts and measures, and how Prometheus and logs get to see it.

Signers keep plain numbers (:class:`DeviceStats`), whether anybody looks or not. ``export(signer)``
shows them to Prometheus (extra ``metrics``); :class:`JsonFormatter` turns the records of the logger
``intaglio`` into lines of JSON. Neither ever holds a key, a message or a signature.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from intaglio.curve import Curve
from intaglio.errors import LinkError, VerifyError

Stage = Literal["queue", "link", "engine", "verify", "total"]
STAGES: tuple[Stage, ...] = ("queue", "link", "engine", "verify", "total")
"""``queue``: submitted until sent; ``link``: sent until answered, the device's own time included;
``engine``: the device's cycles, if it tells its clock; ``verify``: the check on this host."""

BUCKETS_S = (*(base * 10.0**power for power in range(-6, 1) for base in (1, 2, 5)), 10.0)
"""Upper bounds of the histograms' buckets, in seconds: 1 us to 10 s."""

log = logging.getLogger("intaglio")
log.addHandler(logging.NullHandler())


class Histogram:
    """Counts of durations by bucket; :attr:`counts` has one more for all above the last bound."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += 1
        self.sum_s += seconds

    @property
    def total(self) -> int:
        """Durations counted."""
        return sum(self.counts)


@dataclass(slots=True)
class DeviceStats:
    """Counts and times of one device (or of software), by the one thread that serves it."""

    device: str
    ops: Counter[Curve] = field(default_factory=Counter)
    """Signatures given out."""
    errors: Counter[str] = field(default_factory=Counter)
    """Requests that the device ended in an error, by the error's class."""
    late: int = 0
    """Requests refused because of their deadline."""
    verify_failures: int = 0
    link_errors: int = 0
    reconnects: int = 0
    fallbacks: int = 0
    """Requests done here because what is preferred was not there."""
    stages: dict[Stage, Histogram] = field(
        default_factory=lambda: {stage: Histogram() for stage in STAGES}
    )

    def signed(
        self,
        curve: Curve,
        *,
        queue_s: float,
        link_s: float,
        engine_s: float | None = None,
        verify_s: float = 0.0,
    ) -> None:
        """Count a signature that was given out and the seconds it took."""
        stages = self.stages
        self.ops[curve] += 1
        stages["queue"].observe(queue_s)
        stages["link"].observe(link_s)
        stages["verify"].observe(verify_s)
        stages["total"].observe(queue_s + link_s + verify_s)
        if engine_s is not None:
            stages["engine"].observe(engine_s)

    def failed(self, error: BaseException | None) -> None:
        """Count a request that ended in ``error``."""
        self.errors[type(error).__name__] += 1
        self.verify_failures += isinstance(error, VerifyError)
        self.link_errors += isinstance(error, LinkError)

    @property
    def signatures(self) -> int:
        """Signatures given out, of all curves."""
        return sum(self.ops.values())
