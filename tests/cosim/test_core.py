"""The whole core in simulation, against the golden core; benches are ``intaglio.sim.benches.core*``."""

from __future__ import annotations

import pytest

from intaglio.sim import runner
from intaglio.sim.benches import core_build
from intaglio.wire import Status


@pytest.fixture(scope="session")
def core() -> runner.Build:
    return core_build.build()


def run(core: runner.Build, bench: str, testcase: str | None = None) -> dict[str, object]:
    return runner.run(core, f"intaglio.sim.benches.{bench}", testcase=testcase)


@pytest.mark.parametrize("testcase", ["signs_like_the_golden_core", "describes_itself"])
def test_smoke(core: runner.Build, testcase: str) -> None:
    run(core, "core", testcase)


def test_refusals(core: runner.Build) -> None:
    cases = ("refuses_by_header", "refuses_wrong_lengths", "refuses_by_the_key")
    seen = {status for case in cases for status in run(core, "core", case)["statuses"]}
    assert seen == set(Status) - {Status.FAULT}
