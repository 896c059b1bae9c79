"""A clock that sleeping and signing move, in place of the one the load runs by."""

from __future__ import annotations

import pytest

from intaglio.bench import load


class Clock:
    """Nanoseconds that pass only in :meth:`sleep` and :meth:`pass_ns`."""

    def __init__(self) -> None:
        self.now = 10**9

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pass_ns(round(seconds * 1e9))

    def pass_ns(self, nanoseconds: int) -> None:
        self.now += nanoseconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of :mod:`intaglio.bench.load`, moved by its sleeps."""
    clock = Clock()
    monkeypatch.setattr(load, "_clock", clock)
    monkeypatch.setattr(load.time, "sleep", clock.sleep)
    return clock
