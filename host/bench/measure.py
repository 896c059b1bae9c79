"""One measurement of a device: its load, what it cost and where the time went, as plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from intaglio.bench import arrivals
from intaglio.bench.histogram import Histogram
from intaglio.bench.load import Plan, Seen, Tick, run
from intaglio.bench.payloads import Parts
from intaglio.curve import Curve
from intaglio.signer import Signer
from intaglio.values import Key

WARM_UP = 16
"""Most requests made before the measurement."""
SWEEP_IN_FLIGHT = 8
"""Most points of a sweep over a closed loop: 1, 2, 4, ... in flight."""
SWEEP_RATES = (0.25, 0.5, 0.75)
"""Shares of an open loop's rate that a sweep adds."""

_SECRET = bytes(range(1, 33))

Points = list[tuple[float, float]]
"""Percentiles and the microseconds that as many do not exceed."""


@dataclass(frozen=True, slots=True)
class Result:
    """Times are microseconds, under names of :meth:`Histogram.summary`."""

    loop: str
    """``closed``, ``fixed``, ``poisson`` or ``replay``."""
    in_flight: int
    offered_per_second: float | None
    """Rate of an open loop's arrivals."""
    per_second: float
    """Signatures over the time from the start to the last answer."""
    elapsed_s: float
    signed: int
    unsent: int
    """Arrivals that were never sent, which count in the latency with the time they waited."""
    errors: dict[str, int]
    latency_us: dict[str, float]
    cycles: dict[str, float]
    """Device cycles of a request; empty where there is no device."""
    stages: dict[str, dict[str, float]]
    """By stage; see :func:`_stages`."""
    curve: Points = field(repr=False)
    """Percentiles and latency."""
    stage_curves: dict[str, Points] = field(repr=False)
    """The same of each stage."""

    def to_json(self) -> dict[str, Any]:
        """All but the curves, for JSON."""
        values = asdict(self)
        del values["curve"], values["stage_curves"]
        return values


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: ``signer`` signing what ``payload`` makes."""

    signer: Signer
    key: Key
    payload: Callable[[int], Parts]
    tick: Tick

    def measure(self, loop: str, plan: Plan) -> Result:
        """Warm up, then measure. Raises what :func:`intaglio.bench.load.run` raises."""
        warm = Plan(3600.0, plan.in_flight, [0.0] * min(WARM_UP, plan.in_flight))
        run(self.signer, self.key, self.payload, warm, lambda done: None)
        seen = run(self.signer, self.key, self.payload, plan, self.tick)
        return _result(loop, plan, seen)

    def sweep(self, loop: str, plan: Plan, say: Callable[[str], None]) -> list[Result]:
        """Measure less load than ``plan``: fewer in flight, or the same arrivals slower."""
        results = []
        for part in parts_of(plan):
            say(_describe(part))
            results.append(self.measure(loop, part))
        return results


def subject(signer: Signer, curve: Curve, payload: Callable[[int], Parts], tick: Tick) -> Subject:
    """A subject with a key of its own, made from a published secret."""
    return Subject(signer, signer.load_key(curve, _SECRET), payload, tick)


def parts_of(plan: Plan) -> list[Plan]:
    """The lesser loads of a sweep that ends in ``plan``."""
    if plan.offsets is None:
        powers = [1 << power for power in range(plan.in_flight.bit_length())]
        below = [count for count in powers if count < plan.in_flight]
        return [Plan(plan.seconds, count) for count in below[-SWEEP_IN_FLIGHT + 1 :]]
    return [
        Plan(plan.seconds, plan.in_flight, arrivals.scaled(plan.offsets, share, plan.seconds))
        for share in SWEEP_RATES
    ]


def _describe(plan: Plan) -> str:
    if plan.offsets is None:
        return f"{plan.in_flight} in flight for {plan.seconds:g} s"
    return f"{len(plan.offsets)} arrivals in {plan.seconds:g} s"


def _result(loop: str, plan: Plan, seen: Seen) -> Result:
    elapsed_s = seen.last / 1e9
    stages = _stages(plan, seen)
    return Result(
        loop=loop,
        in_flight=plan.in_flight,
        offered_per_second=(
            None if plan.offsets is None else round(arrivals.rate_of(plan.offsets), 3)
        ),
        per_second=round(seen.signed / elapsed_s, 3) if elapsed_s else 0.0,
        elapsed_s=round(elapsed_s, 6),
        signed=seen.signed,
        unsent=seen.unsent,
        errors=dict(seen.errors),
        latency_us=seen.latency.summary(1e3),
        cycles=seen.cycles.summary(1),
        stages={name: histogram.summary(1e3) for name, histogram in stages.items()},
        curve=_points(seen.latency),
        stage_curves={name: _points(histogram) for name, histogram in stages.items()},
    )


def _stages(plan: Plan, seen: Seen) -> dict[str, Histogram]:
    """Where the time went: ``wait`` (open loop only), ``encode`` and ``sign`` as seen from here.

    ``queue``, ``link`` (``engine`` a part of it) and ``verify`` are parts of ``sign`` and those of
    :data:`intaglio.metrics.STAGES`. What the driver did not see is left out.
    """
    stages = {"wait": seen.wait, "encode": seen.encode, "sign": seen.sign, **seen.stages}
    if plan.offsets is None:
        del stages["wait"]
    return {name: histogram for name, histogram in stages.items() if histogram.max}


def _points(histogram: Histogram) -> Points:
    return [(percentile, value / 1e3) for percentile, value in histogram.curve()]
