"""The Invert station in RTL, with one inverter and with two."""

from __future__ import annotations

import pytest

from intaglio.hdl.stations.invert import Invert
from intaglio.sim import runner
from intaglio.sim.benches.stations_invert import JOBS, MODULI


@pytest.mark.parametrize("units", [1, 2])
def test_gateware(units: int) -> None:
    dut = Invert(jobs=JOBS, moduli=MODULI, units=units)
    runner.run(runner.build(dut, "invert"), "intaglio.sim.benches.stations_invert")
