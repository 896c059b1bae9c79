"""Issue and the barrel around it keep the clocks of the cycle-level model."""

from __future__ import annotations

import pytest

from intaglio.sim import runner
from intaglio.sim.benches import engine_issue, engine_ports
from intaglio.sim.benches.engine_barrel import BarrelWithKeys


@pytest.mark.parametrize(("slots", "interval", "latency"), [(2, 16, 28), (8, 1, 13), (8, 2, 17)])
def test_issue_keeps_the_clocks_of_the_model(slots: int, interval: int, latency: int) -> None:
    built = runner.build(engine_issue.unit(slots, interval), f"issue_{slots}_{interval}")
    env = {
        "SLOTS": slots,
        "INTERVAL": interval,
        "LATENCY": latency,
        "PROGRAMS": 240 // interval + 60,
    }
    measured = runner.run(built, "intaglio.sim.benches.engine_issue", env=env)
    assert measured["issued"] > 60


def test_barrel_keeps_the_clocks_of_the_model() -> None:
    shape = {"window": 4, "interval": 16, "slots": 2}
    unit = BarrelWithKeys(**shape)
    built = runner.build(unit, "barrel_16")
    env = {f"BARREL_{name.upper()}": value for name, value in shape.items()}
    env["BARREL_LATENCY"] = unit.barrel.latency
    measured = runner.run(built, "intaglio.sim.benches.engine_cycles", env=env)
    assert measured["issued"] > 600


def test_barrels_that_share_a_port_keep_the_clocks_of_the_model() -> None:
    shape = {"barrels": 3, "slots": 8, "interval": 4}
    built = runner.build(engine_ports.unit(**shape), "engine_3")
    env = {name.upper(): value for name, value in shape.items()} | {"PROGRAMS": 20}
    measured = runner.run(built, "intaglio.sim.benches.engine_ports", env=env)
    assert measured["issued"] > 10_000
