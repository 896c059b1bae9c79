"""The barrel in RTL against the instruction-accurate model."""

from __future__ import annotations

import pytest

from intaglio.sim import runner
from intaglio.sim.benches.engine_barrel import BarrelWithKeys


@pytest.mark.parametrize(
    ("window", "interval", "slots"), [(4, 16, 2), (5, 4, 4)], ids=["small", "interval-4"]
)
def test_programs_equal_the_model(window: int, interval: int, slots: int) -> None:
    shape = {"window": window, "interval": interval, "slots": slots}
    built = runner.build(BarrelWithKeys(**shape), f"barrel_{interval}")
    env = {f"BARREL_{name.upper()}": value for name, value in shape.items()}
    measured = runner.run(built, "intaglio.sim.benches.engine_barrel", env=env)
    assert measured["issued"] > 0
