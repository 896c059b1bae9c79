"""The benches of the whole core at every profile but the one that ``test_core`` has.

``make test-full FULL_PROFILES="full mid"`` runs them; a build takes minutes.
"""

from __future__ import annotations

import os

import pytest

from intaglio.hdl.profiles import PROFILES, SMALL
from intaglio.sim import runner
from intaglio.sim.benches import core_build

pytestmark = pytest.mark.slow

CHOSEN = os.environ.get("INTAGLIO_PROFILES", "").split() or [
    name for name in PROFILES if name != SMALL.name
]


@pytest.fixture(scope="module", params=CHOSEN)
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def core(profile: str) -> runner.Build:
    return core_build.build(PROFILES[profile])


def run(
    core: runner.Build, profile: str, bench: str, case: str, **env: object
) -> dict[str, object]:
    shape = {"PROFILE": profile, **{name.upper(): value for name, value in env.items()}}
    return runner.run(core, f"intaglio.sim.benches.{bench}", testcase=case, env=shape)


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_signatures(core: runner.Build, profile: str, stall: float) -> None:
    count = 256 if profile == "full" else 32
    measured = run(core, profile, "core_random", "signatures", stall=stall, count=count)
    assert measured["signatures"] == 3 * count


@pytest.mark.parametrize(
    "case", ["interleavings", "a_new_session_ends_the_old_one", "a_reset_leaves_nothing"]
)
def test_everything_at_once(core: runner.Build, profile: str, case: str) -> None:
    run(core, profile, "core_random", case, stall=0.3)


def test_keys_are_wiped(core: runner.Build, profile: str) -> None:
    run(core, profile, "core_time", "keys_are_wiped")
