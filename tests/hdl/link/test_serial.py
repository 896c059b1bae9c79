"""The serial link through its pins; the bench is :mod:`intaglio.sim.benches.serial_link`."""

from __future__ import annotations

import pytest

from intaglio.hdl.link.serial import SerialLink
from intaglio.sim import runner


@pytest.mark.parametrize("clocks_per_bit", [2, 4])
def test_serial_link(clocks_per_bit: int) -> None:
    build = runner.build(SerialLink(clocks_per_bit), f"serial_link_{clocks_per_bit}")
    bench = "intaglio.sim.benches.serial_link"
    runner.run(build, bench, env={"CLOCKS_PER_BIT": clocks_per_bit})
