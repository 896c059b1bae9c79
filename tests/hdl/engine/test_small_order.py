"""The barrel and the core in RTL at orders where nonces are refused and R.x overflows."""

from __future__ import annotations

import pytest

from intaglio.params import SECP256K1
from intaglio.sim import runner
from intaglio.sim.benches.engine_barrel import BarrelWithKeys
from intaglio.sim.model.ecdsa import TWIST_12, TWIST_220

CURVES = {"twist_12": TWIST_12, "twist_220": TWIST_220, "secp256k1": SECP256K1}
SHAPE = {"window": 4, "interval": 4, "slots": 4}


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("count", [8, pytest.param(300, marks=pytest.mark.slow)])
def test_signatures(name: str, count: int) -> None:
    """R.x on both sides of the order, r = 0 and s = 0 refused, both signs of s."""
    built = runner.build(BarrelWithKeys(**SHAPE, curve=CURVES[name]), f"barrel_{name}")
    env = {f"BARREL_{part.upper()}": value for part, value in SHAPE.items()}
    seen = runner.run(
        built, "intaglio.sim.benches.engine_small_order", env=env | {"CURVE": name, "COUNT": count}
    )
    assert seen["signed"] == count + 12
    assert seen["faults"] >= 4, "x = 0, n and a higher multiple of n, and s = 0"
    assert sum(seen.get(f"recid {n}", 0) for n in (0, 1)) >= 2
    assert sum(seen.get(f"recid {n}", 0) for n in (2, 3)) >= 2
