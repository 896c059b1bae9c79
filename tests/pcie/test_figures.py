"""The figures of the PCIe link: counted again, and what is computed from them."""

from __future__ import annotations

from pathlib import Path

import pytest

import intaglio.hdl.link.pcie
from intaglio.sim import pcie_figures
from intaglio.sim.pcie_figures import LINKS, Traffic

README = Path(intaglio.hdl.link.pcie.__file__).with_name("README.md")


def test_rate_is_that_of_the_busier_way() -> None:
    traffic = Traffic(
        first=0, clocks=0.0, up_tlps=2.0, up_bytes=200.0, down_tlps=1.0, down_bytes=50.0
    )
    assert traffic.on_the_wire() == (200 + 2 * 8 + 1 * 16, 50 + 1 * 8 + 2 * 16)
    assert traffic.rate(232e6) == pytest.approx(1e6)


@pytest.mark.parametrize("name", ["traffic", "rates"])
def test_readme_is_fresh(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(README.read_text())
    pcie_figures.update(copy, (name,))
    assert copy.read_text() == README.read_text(), (
        f"run python -m intaglio.sim.pcie_figures {README}"
    )


def test_a_missing_fence_is_told(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("nothing here")
    with pytest.raises(ValueError, match="no fence for 'rates'"):
        pcie_figures.update(path, ("rates",))


def test_links_are_named_with_their_rates() -> None:
    assert LINKS["Gen2 x4"] == 4 * LINKS["Gen2 x1"] == 8 * LINKS["Gen1 x1"]
