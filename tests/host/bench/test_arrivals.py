"""Arrivals of open loops: how many, when, and which files are refused."""

from itertools import pairwise

import pytest

from intaglio.bench import arrivals
from intaglio.errors import InputError


def test_fixed_arrivals_are_even():
    assert arrivals.fixed(4, 1.0) == [0, 0.25, 0.5, 0.75]
    assert arrivals.fixed(0.001, 1.0) == [0]
    with pytest.raises(InputError, match="at most"):
        arrivals.fixed(1e9, 1.0)


def test_poisson_arrivals_are_as_many_and_as_random_as_they_should_be():
    offsets = arrivals.poisson(1000, 20.0, seed=5)
    assert offsets == arrivals.poisson(1000, 20.0, seed=5)
    assert offsets != arrivals.poisson(1000, 20.0, seed=6)
    assert offsets == sorted(offsets)
    assert 0 <= offsets[0] <= offsets[-1] < 20
    assert len(offsets) == pytest.approx(20_000, rel=0.05)
    intervals = [b - a for a, b in pairwise(offsets)]
    above_mean = sum(interval > 1e-3 for interval in intervals) / len(intervals)
    assert above_mean == pytest.approx(0.3679, abs=0.02)  # exp(-1)
    assert arrivals.poisson(0.001, 0.001, seed=1) == [0.0]
    with pytest.raises(InputError, match="at most"):
        arrivals.poisson(1e9, 1.0, seed=1)


def test_replay_reads_offsets(tmp_path):
    path = tmp_path / "arrivals"
    path.write_text("# a day\n0\n\n0.5\n0.5\n 2e0 \n")
    assert arrivals.replay(path, None) == [0, 0.5, 0.5, 2]
    assert arrivals.replay(path, 1.0) == [0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("text", "line"),
    [("0\nsoon\n", 2), ("-1\n", 1), ("0\n2\n1\n", 3), ("nan\n", 1), ("inf\n", 1)],
)
def test_replay_names_the_line_that_is_wrong(tmp_path, text, line):
    path = tmp_path / "arrivals"
    path.write_text(text)
    with pytest.raises(InputError, match=f"line {line}:"):
        arrivals.replay(path, None)


def test_replay_needs_arrivals(tmp_path, monkeypatch):
    path = tmp_path / "arrivals"
    path.write_text("# none\n")
    with pytest.raises(InputError, match="holds no arrivals"):
        arrivals.replay(path, None)
    with pytest.raises(InputError, match="cannot read"):
        arrivals.replay(tmp_path / "nothing", None)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot read"):
        arrivals.replay(path, None)
    path.write_text("0\n1\n2\n")
    monkeypatch.setattr(arrivals, "MAX_ARRIVALS", 2)
    with pytest.raises(InputError, match="2 at most"):
        arrivals.replay(path, None)


def test_scaled_arrivals_keep_their_shape():
    offsets = [0, 0.1, 0.4, 0.5]
    assert arrivals.scaled(offsets, 0.5, 1.0) == [0, 0.2, 0.8]
    assert arrivals.scaled([0.9], 0.5, 1.0) == [0.0]
    assert arrivals.rate_of(offsets) == 6
    assert arrivals.rate_of([1.0]) == 0
