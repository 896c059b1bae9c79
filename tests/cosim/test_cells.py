"""Models of the ECP5's cells against what their guides say."""

import pytest

from intaglio.sim import runner
from intaglio.sim.cells import farm


@pytest.mark.parametrize("testcase", ["block_rams", "tables", "multipliers", "flipflops", "plls"])
def test_cells(testcase: str) -> None:
    runner.run(farm.build(), "intaglio.sim.benches.cells_ecp5", testcase=testcase)
