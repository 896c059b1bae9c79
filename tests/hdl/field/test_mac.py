# amaranth: UnusedElaboratable=no
"""The multiplier at several widths and intervals, exhaustively at a small width."""

from __future__ import annotations

import pytest

from intaglio.hdl.field.mac import MultiplyAccumulate
from intaglio.sim import runner


@pytest.mark.parametrize(
    ("width", "interval", "vectors"),
    [(4, 3, 0), (260, 16, 1500), (260, 1, 3000), (67, 5, 3000)],
    ids=["exhaustive", "small", "every-clock", "uneven"],
)
def test_products(width: int, interval: int, vectors: int) -> None:
    built = runner.build(MultiplyAccumulate(width, interval), f"mac_{width}_{interval}")
    env = {"WIDTH": width, "INTERVAL": interval, "VECTORS": vectors}
    measured = runner.run(built, "intaglio.sim.benches.field_mac", env=env)
    assert measured["products"] == (vectors or 2 ** (3 * width))


@pytest.mark.parametrize("interval", [0, -1, 17])
def test_constructor_errors(interval: int) -> None:
    with pytest.raises(ValueError, match=f"interval must be 1..16, not {interval}"):
        MultiplyAccumulate(16, interval)
