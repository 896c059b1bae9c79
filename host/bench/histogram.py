"""Durations in a high dynamic range histogram: any percentile to three digits, in bounded memory.

HdrHistogram (Tene; extra ``bench``) counts what is given to it: :mod:`intaglio.bench.load` gives it
an open loop's latencies from the intended arrival, so nothing has to be corrected afterwards.
"""

from __future__ import annotations

from collections import defaultdict
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
_BITS = (2 * 10**DIGITS - 1).bit_length()
"""Leading bits of a value by which HdrHistogram tells it from others."""

_STEP = 2 ** (1 / 8)


class Histogram:
    """Counts of whole numbers 0..:data:`LONGEST`, such as nanoseconds or cycles.

    Raises :class:`InputError` if HdrHistogram is not installed.
    """

    def __init__(self) -> None:
        self._kept: Any = needed("hdrh.histogram").HdrHistogram(1, LONGEST, DIGITS)
        self._fresh: defaultdict[int, int] = defaultdict(int)

    def record(self, value: int) -> None:
        """Count one value; what is out of range counts as the nearest that is in it.

        A tenth of what HdrHistogram takes, which would weigh on what is measured: values that it
        does not tell apart are counted together and handed to it when the counts are read.
        """
        value = max(0, min(value, LONGEST))
        blurred = value.bit_length() - _BITS
        self._fresh[value >> blurred << blurred if blurred > 0 else value] += 1

    def add(self, other: Histogram) -> None:
        """Count all that ``other`` has counted."""
        self._counts.add(other._counts)

    @property
    def _counts(self) -> Any:
        for value, count in self._fresh.items():
            self._kept.record_value(value, count)
        self._fresh.clear()
        return self._kept

    @property
    def total(self) -> int:
        """Values counted."""
        return int(self._counts.get_total_count())

    @property
    def mean(self) -> float:
        """Mean of the values; 0 of none."""
        return float(self._counts.get_mean_value()) if self.total else 0.0

    @property
    def max(self) -> int:
        """The largest value; 0 of none."""
        return int(self._counts.get_max_value())

    def at(self, percentile: float) -> int:
        """Value that ``percentile`` (0..100) of the values do not exceed; 0 of none."""
        return int(self._counts.get_value_at_percentile(percentile)) if self.total else 0

    def summary(self, unit: float) -> dict[str, float]:
        """Mean, percentiles, max and jitter (standard deviation) in multiples of ``unit``."""
        if not self.total:
            return {}
        values = {"mean": self.mean}
        found = self._counts.get_percentile_to_value_dict(list(PERCENTILES.values()))
        values |= {name: found[percentile] for name, percentile in PERCENTILES.items()}
        values["max"] = self.max
        values["jitter"] = float(self._counts.get_stddev())
        return {name: round(value / unit, 3) for name, value in values.items()}

    def curve(self) -> list[tuple[float, int]]:
        """Percentiles and values: from the median, eight a halving of what lies above."""
        if not self.total:
            return []
        percentiles, above = [50.0], 0.5 / _STEP
        while above * self.total >= 1:
            percentiles.append(100.0 * (1.0 - above))
            above /= _STEP
        return sorted(self._counts.get_percentile_to_value_dict(percentiles).items())


def needed(module: str) -> ModuleType:
    """``module``, one that the extra ``bench`` brings. Raises :class:`InputError` without it."""
    try:
        return import_module(module)
    except ImportError:
        package = {"hdrh": "hdrhistogram"}.get(module.split(".")[0], module.split(".")[0])
        raise InputError(f"intaglio bench needs {package}: pip install 'intaglio[bench]'") from None
