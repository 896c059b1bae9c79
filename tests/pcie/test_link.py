"""The gateware's endpoint before an independent root complex; see ``intaglio.sim.benches.pcie_*``.

The link is tried with a small responder behind it; ``test_driver.py`` has the signing core there.
"""

from __future__ import annotations

import pytest

from intaglio.sim import runner
from intaglio.sim.benches import pcie_echo


@pytest.fixture(scope="session")
def link() -> runner.Build:
    return pcie_echo.build()


def run(link: runner.Build, bench: str, **env: object) -> None:
    env = {name.upper(): value for name, value in env.items()}
    runner.run(link, f"intaglio.sim.benches.pcie_{bench}", env=env)


@pytest.mark.parametrize(("stall", "high"), [(0.0, 0), (0.3, 1)])
def test_descriptors_and_completions(link: runner.Build, stall: float, high: int) -> None:
    run(link, "link", stall=stall, high=high)


def test_faults(link: runner.Build) -> None:
    run(link, "bad")


def test_resets_interrupts_back_pressure(link: runner.Build) -> None:
    run(link, "life")


def test_accesses_and_tlps_of_every_kind(link: runner.Build) -> None:
    run(link, "tlp")


@pytest.mark.slow
@pytest.mark.parametrize("bench", ["link", "bad", "life", "tlp"])
def test_all_with_stalls(link: runner.Build, bench: str) -> None:
    run(link, bench, stall=0.5, high=1)


def test_ultrascale_block() -> None:
    runner.run(pcie_echo.build_ultrascale(), "intaglio.sim.benches.pcie_ultrascale")
