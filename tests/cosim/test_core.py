"""The whole core in simulation, against the golden core; see ``intaglio.sim.benches.core*``."""

from __future__ import annotations

from typing import Any

import pytest

from intaglio.hdl.profiles import SMALL
from intaglio.sim import runner
from intaglio.sim.benches import core_build
from intaglio.wire import Status


@pytest.fixture(scope="session")
def core() -> runner.Build:
    return core_build.build()


BY_RINGS = {Status.BAD_DESCRIPTOR, Status.BAD_ADDRESS, Status.DMA_ERROR}
"""What only a link of descriptor rings answers."""


def run(
    core: runner.Build, bench: str, case: str, *, seed: int | None = None, **env: object
) -> dict[str, Any]:
    env = {name.upper(): value for name, value in env.items()}
    return runner.run(core, f"intaglio.sim.benches.{bench}", testcase=case, seed=seed, env=env)


@pytest.mark.parametrize("case", ["signs_like_the_golden_core", "describes_itself"])
def test_smoke(core: runner.Build, case: str) -> None:
    run(core, "core", case)


def test_refusals(core: runner.Build) -> None:
    cases = ("refuses_by_header", "refuses_wrong_lengths", "refuses_by_the_key")
    seen = {status for case in cases for status in run(core, "core", case)["statuses"]}
    assert seen == set(Status) - {Status.FAULT} - BY_RINGS


@pytest.mark.parametrize("stall", [0.0, 0.3])
def test_interleavings(core: runner.Build, stall: float) -> None:
    measured = run(core, "core_random", "interleavings", stall=stall)
    assert measured["most_jobs"] == SMALL.job_slots
    assert measured["overtakings"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_more_interleavings(core: runner.Build, seed: int) -> None:
    run(core, "core_random", "interleavings", seed=seed, stall=seed % 3 / 5)


@pytest.mark.parametrize("case", ["a_new_session_ends_the_old_one", "a_reset_leaves_nothing"])
def test_ends_of_a_session(core: runner.Build, case: str) -> None:
    run(core, "core_random", case)


def test_time(core: runner.Build) -> None:
    measured = run(core, "core_time", "lone_jobs_take_clocks_by_shape_only")
    assert len(measured["cycles"]) == 7


def test_time_under_load_and_wiping(core: runner.Build) -> None:
    run(core, "core_time", "schedules_take_the_same_clocks_and_leave_the_same")


def test_wiping_of_keys(core: runner.Build) -> None:
    run(core, "core_time", "keys_are_wiped")


def test_keys_cannot_be_read(core: runner.Build) -> None:
    run(core, "core_secrets", "no_opcode_reads_a_key")


def check_faults(measured: dict[str, Any], least: int, rare: frozenset[str] = frozenset()) -> None:
    """No class of faults ended as it must not (the bench sees to that); enough of them hit.

    Of classes that are ``rare``, none need have.
    """
    assert measured["faults"] >= least
    outcomes = measured["outcomes"]
    for name in set(outcomes) - {"high words", "flags"} - rare:
        assert outcomes[name].get("fault"), f"{name}: no fault hit, {outcomes[name]}"


def test_faults(core: runner.Build) -> None:
    # of a hundred flips in an outbox, one is in a word that is still to be read
    rare = frozenset({"outbox"})
    check_faults(run(core, "core_faults", "faults_in_jobs", batches=2), 150, rare)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 5))
def test_more_faults(core: runner.Build, seed: int) -> None:
    check_faults(run(core, "core_faults", "faults_in_jobs", seed=seed, batches=8), 600)
