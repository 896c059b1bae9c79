# amaranth: UnusedElaboratable=no
"""The message pool; the bench is :mod:`intaglio.sim.benches.pool`."""

from __future__ import annotations

import pytest

from intaglio.hdl.pool import MessagePool
from intaglio.sim import runner

BENCH = "intaglio.sim.benches.pool"


@pytest.mark.parametrize(("pages", "readers", "stall"), [(40, 2, 0.0), (40, 2, 0.3), (33, 3, 0.1)])
def test_pool(pages: int, readers: int, stall: float) -> None:
    unit = MessagePool(pages, readers=readers)
    build = runner.build(unit, f"pool_{pages}_{readers}")
    values = runner.run(build, BENCH, env={"PAGES": pages, "READERS": readers, "STALL": stall})
    assert values["read_interval"] == 3
    assert values["write_cycles"] == 2 * 127 + 8


def test_constructor_errors() -> None:
    with pytest.raises(ValueError, match="pages=31"):
        MessagePool(31)
    with pytest.raises(ValueError, match="readers=0"):
        MessagePool(64, readers=0)
