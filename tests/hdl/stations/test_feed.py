"""The Feed station in RTL."""

from __future__ import annotations

from intaglio.hdl.stations.feed import Feed
from intaglio.sim import runner
from intaglio.sim.benches.stations_feed import JOBS, KEYS, PAGES


def test_gateware() -> None:
    build = runner.build(Feed(jobs=JOBS, keys=KEYS, pages=PAGES), "feed")
    runner.run(build, "intaglio.sim.benches.stations_feed")
