"""Percentiles against those of a sorted list, and what happens at the ends."""

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio.bench.histogram import DIGITS, LONGEST, PERCENTILES, Histogram, needed
from intaglio.errors import InputError


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=300))
def test_percentiles_are_those_of_the_sorted_values(values):
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    ordered = sorted(values)
    assert histogram.total == len(values)
    for percentile in (*PERCENTILES.values(), 100.0):
        rank = max(1, int(percentile * len(values) / 100 + 0.5))
        assert histogram.at(percentile) == pytest.approx(ordered[rank - 1], rel=2e-3)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 2 * LONGEST) | st.integers(0, 5000), min_size=1, max_size=200))
def test_what_is_counted_together_is_what_hdrhistogram_does_not_tell_apart(values):
    ours, direct = Histogram(), HdrHistogram(1, LONGEST, DIGITS)
    for value in values:
        ours.record(value)
        direct.record_value(min(value, LONGEST))
    assert (ours.total, ours.max) == (len(values), direct.get_max_value())
    assert ours.mean == direct.get_mean_value()
    for percentile in (0.0, *PERCENTILES.values(), 100.0):
        assert ours.at(percentile) == direct.get_value_at_percentile(percentile)


def test_summary_is_in_units():
    histogram = Histogram()
    for value in (1000, 1000, 1000, 5000):
        histogram.record(value)
    summary = histogram.summary(1e3)
    assert list(summary) == ["mean", *PERCENTILES, "max", "jitter"]
    assert summary["p50"] == pytest.approx(1, rel=1e-3)
    assert summary["max"] == pytest.approx(5, rel=1e-3)
    assert summary["mean"] == pytest.approx(2, rel=1e-3)
    assert summary["jitter"] == pytest.approx(3**0.5, rel=1e-3)


def test_nothing_and_the_ends_of_the_range():
    histogram = Histogram()
    assert histogram.summary(1) == {}
    assert histogram.curve() == []
    assert (histogram.at(50), histogram.max, histogram.mean) == (0, 0, 0.0)
    histogram.record(-5)
    assert histogram.at(100) == 0
    histogram.record(10 * LONGEST)
    assert histogram.at(100) == pytest.approx(LONGEST, rel=1e-3)


def test_added_histograms_hold_both():
    one, other = Histogram(), Histogram()
    one.record(100)
    other.record(300)
    one.add(other)
    assert (one.total, one.at(50), one.at(100)) == (2, 100, 300)


def test_curve_rises_to_what_was_seen():
    histogram = Histogram()
    for value in range(1, 1001):
        histogram.record(value)
    curve = histogram.curve()
    assert curve[0] == (50.0, 500)
    assert curve == sorted(curve)
    assert 99.8 < curve[-1][0] <= 99.9
    assert curve[-1][1] == pytest.approx(1000, rel=2e-3)


def test_a_package_that_is_missing_is_named(monkeypatch):
    def missing(name, *arguments, **more):
        raise ImportError(name)

    monkeypatch.setattr("intaglio.bench.histogram.import_module", missing)
    with pytest.raises(InputError, match=r"needs hdrhistogram: pip install 'intaglio\[bench\]'"):
        needed("hdrh.histogram")
    with pytest.raises(InputError, match="needs matplotlib"):
        needed("matplotlib.figure")
