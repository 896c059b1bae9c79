"""The whole core at the release check's level ``double``, and what the lower level lets through."""

from __future__ import annotations

from typing import Any

import pytest

from intaglio.hdl.profiles import SMALL, SMALL_DOUBLE, Profile
from intaglio.sim import runner
from intaglio.sim.benches import core_build


def run(profile: Profile, bench: str, case: str, **env: object) -> dict[str, Any]:
    env = {name.upper(): value for name, value in env.items()} | {"PROFILE": profile.name}
    build = core_build.build(profile)
    return runner.run(build, f"intaglio.sim.benches.{bench}", testcase=case, env=env)


@pytest.mark.parametrize("case", ["signs_like_the_golden_core", "describes_itself"])
def test_smoke(case: str) -> None:
    run(SMALL_DOUBLE, "core", case)


@pytest.mark.parametrize(("profile", "outcome"), [(SMALL, "wrong"), (SMALL_DOUBLE, "fault")])
def test_wrong_but_valid_entries(profile: Profile, outcome: str) -> None:
    """Both computations read the same wrong entries; ``double`` withholds what comes of them."""
    outcomes = run(profile, "core_entries", "valid_entries")["outcomes"]
    assert outcomes == {
        "shuffled": {outcome: 2 * profile.job_slots},
        "as it was": {"right": profile.job_slots},
    }


@pytest.mark.slow
def test_faults() -> None:
    measured = run(SMALL_DOUBLE, "core_faults", "faults_in_jobs", batches=2)
    assert measured["faults"] >= 150
    assert measured["outcomes"]["comb digits"].get("fault")


@pytest.mark.slow
def test_time() -> None:
    measured = run(SMALL_DOUBLE, "core_time", "lone_jobs_take_clocks_by_shape_only")
    assert len(measured["cycles"]) == 7
