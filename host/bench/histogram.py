"""Durations in a high dynamic range histogram: any percentile to three digits, in bounded memory.

HdrHistogram (Tene; extra ``bench``) counts what is given to it: :mod:`intaglio.bench.load` gives it
an open loop's latencies from the intended arrival, so nothing has to be corrected afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from intaglio.errors import InputError

PERCENTILES: Mapping[str, float] = {
    "p50": 50.0,
    "p90": 90.0,
    "p99": 99.0,
    "p99.9": 99.9,
    "p99.99": 99.99,
}
LONGEST = 3_600_000_000_000
"""Largest value that is told from larger ones: an hour of nanoseconds."""
DIGITS = 3
"""Decimal digits of a value that are kept."""


class Histogram:
    """Counts of whole numbers 0..:data:`LONGEST`, such as nanoseconds or cycles.

    Raises :class:`InputError` if HdrHistogram is not installed.
    """

    def __init__(self) -> None:
        self._counts: Any = needed("hdrh.histogram").HdrHistogram(1, LONGEST, DIGITS)

    def record(self, value: int) -> None:
        """Count one value; what is out of range counts as the nearest that is in it."""
        self._counts.record_value(max(0, min(value, LONGEST)))

    def add(self, other: Histogram) -> None:
        """Count all that ``other`` has counted."""
        self._counts.add(other._counts)

    @property
    def total(self) -> int:
        """Values counted."""
        return int(self._counts.get_total_count())

    @property
    def mean(self) -> float:
        """Mean of the values; 0 of none."""
        return float(self._counts.get_mean_value()) if self.total else 0.0

    def at(self, percentile: float) -> int:
        """Value that ``percentile`` (0..100) of the values do not exceed; 0 of none."""
        return int(self._counts.get_value_at_percentile(percentile)) if self.total else 0

    def summary(self, unit: float) -> dict[str, float]:
        """Mean, percentiles, max and jitter (standard deviation) in multiples of ``unit``."""
        if not self.total:
            return {}
        values = {"mean": self.mean}
        values |= {name: self.at(percentile) for name, percentile in PERCENTILES.items()}
        values["max"] = self.at(100.0)
        values["jitter"] = float(self._counts.get_stddev())
        return {name: round(value / unit, 3) for name, value in values.items()}

    def curve(self) -> list[tuple[float, int]]:
        """Percentiles and values: from the median, eight a halving of what lies above."""
        points = []
        above = 0.5
        while self.total and above * self.total >= 1:
            percentile = 100.0 * (1.0 - above)
            points.append((percentile, self.at(percentile)))
            above /= 2 ** (1 / 8)
        return points


def needed(module: str) -> ModuleType:
    """``module``, one that the extra ``bench`` brings. Raises :class:`InputError` without it."""
    try:
        return import_module(module)
    except ImportError:
        package = {"hdrh": "hdrhistogram"}.get(module.split(".")[0], module.split(".")[0])
        raise InputError(f"intaglio bench needs {package}: pip install 'intaglio[bench]'") from None
