"""What a signer counts and measures, and how Prometheus and logs get to see it.

    intaglio.metrics.export(signer)              # into prometheus-client's registry
    prometheus_client.start_http_server(9100)

Signers keep plain numbers (:class:`DeviceStats`), whether anybody looks or not; Prometheus (extra
``metrics``) reads them when it asks. The logger ``intaglio`` tells of devices that come and go,
with fields in ``extra``; :class:`JsonFormatter` writes its records as lines of JSON. Neither ever
holds a key, a message or a signature.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal

from intaglio.curve import Curve
from intaglio.errors import InputError, LinkError, VerifyError

if TYPE_CHECKING:
    from intaglio.signer import Signer

Stage = Literal["queue", "link", "engine", "verify", "total"]
STAGES: tuple[Stage, ...] = ("queue", "link", "engine", "verify", "total")
"""``queue``: submitted until sent; ``link``: sent until answered, the device's own time included;
``engine``: the device's cycles, if it tells its clock; ``verify``: the check on this host."""

Times = dict[Stage, float]
"""Seconds of one signature by stage."""

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

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count a duration, ``times`` of them."""
        self.counts[bisect_left(BUCKETS_S, seconds)] += times
        self.sum_s += seconds * times

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
    tap: Callable[[Times], object] | None = None
    """Called with the times of each signature, by the thread that counts it."""

    def signed(
        self,
        curve: Curve,
        *,
        queue_s: float,
        link_s: float,
        engine_s: float | None = None,
        verify_s: float = 0.0,
        times: int = 1,
    ) -> None:
        """Count a signature that was given out and the seconds it took, or ``times`` alike."""
        self.ops[curve] += times
        spent: Times = {
            "queue": queue_s,
            "link": link_s,
            "verify": verify_s,
            "total": queue_s + link_s + verify_s,
        }
        if engine_s is not None:
            spent["engine"] = engine_s
        for stage, seconds in spent.items():
            self.stages[stage].observe(seconds, times)
        if self.tap is not None:
            for _ in range(times):
                self.tap(spent)

    def failed(self, error: BaseException | None) -> None:
        """Count a request that ended in ``error``."""
        self.errors[type(error).__name__] += 1
        self.verify_failures += isinstance(error, VerifyError)
        self.link_errors += isinstance(error, LinkError)

    @property
    def signatures(self) -> int:
        """Signatures given out, of all curves."""
        return sum(self.ops.values())


COUNTERS = {
    "signing_late": ("late", "Requests refused because of their deadline"),
    "signing_verify_failures": ("verify_failures", "Signatures that did not verify"),
    "signing_link_errors": ("link_errors", "Requests that ended because the link failed"),
    "signing_reconnects": ("reconnects", "Times a device was opened again"),
    "signing_fallbacks": ("fallbacks", "Requests done here for want of a preferred device"),
}
"""Counters of each device: field of :class:`DeviceStats` and help, by name without ``_total``."""


class Exporter:
    """Shows the numbers of ``signer`` to Prometheus; ``families`` is its module of metrics."""

    def __init__(self, signer: Signer, families: Any) -> None:
        self._signer = signer
        self._families = families

    def collect(self) -> Iterator[Any]:
        """Metric families, as a registry of prometheus-client asks for them."""
        families, stats = self._families, stats_of(self._signer)
        ops = families.CounterMetricFamily(
            "signing_ops", "Signatures given out", labels=["device", "curve"]
        )
        errors = families.CounterMetricFamily(
            "signing_errors", "Requests ended by a device in an error", labels=["device", "error"]
        )
        seconds = families.HistogramMetricFamily(
            "signing_seconds", "Time of a signature by stage", labels=["device", "stage"]
        )
        for one in stats:
            for curve, count in one.ops.copy().items():
                ops.add_metric([one.device, curve.value], count)
            for name, count in one.errors.copy().items():
                errors.add_metric([one.device, name], count)
            for stage, histogram in one.stages.items():
                if histogram.total:
                    seconds.add_metric([one.device, stage], _buckets(histogram), histogram.sum_s)
        yield from (ops, errors, seconds)
        for name, (attribute, text) in COUNTERS.items():
            family = families.CounterMetricFamily(name, text, labels=["device"])
            for one in stats:
                family.add_metric([one.device], getattr(one, attribute))
            yield family
        yield from self._gauges()

    def _gauges(self) -> Iterator[Any]:
        gauge = self._families.GaugeMetricFamily
        depth = gauge("signing_queue_depth", "Requests without an answer", labels=["signer"])
        depth.add_metric([self._signer.identity.name], getattr(self._signer, "depth", 0))
        yield depth
        members = getattr(self._signer, "members", None)
        if members is not None:
            up = gauge("signing_device_up", "Whether a pool's device works", labels=["device"])
            open_ = gauge("signing_outstanding", "Requests at a pool's device", labels=["device"])
            for member in members():
                up.add_metric([member.name], member.state == "up")
                open_.add_metric([member.name], member.outstanding)
            yield from (up, open_)


def export(signer: Signer, registry: Any = None) -> Exporter:
    """Show ``signer`` to Prometheus, in ``registry`` or in prometheus-client's own.

    Unregister what is returned before the signer is closed. Raises :class:`InputError` if
    prometheus-client is not installed.
    """
    try:
        client = import_module("prometheus_client")
    except ImportError:
        raise InputError(
            "metrics need prometheus-client: pip install 'intaglio[metrics]'"
        ) from None
    exporter = Exporter(signer, import_module("prometheus_client.core"))
    (registry or client.REGISTRY).register(exporter)
    return exporter


def stats_of(signer: Signer) -> list[DeviceStats]:
    """What a device or each member of a pool has counted."""
    stats = getattr(signer, "stats", None)
    if stats is None:
        return []
    return list(stats) if isinstance(stats, Iterable) else [stats]


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    bounds = [*(f"{bound:g}" for bound in BUCKETS_S), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))


_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, logger, event, and what was given as ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
        return json.dumps(line, default=str)
