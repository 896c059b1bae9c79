"""Pictures of floorplans."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from intaglio.hdl.boards import floorplan
from intaglio.hdl.boards.floorplan import draw, plan, unit_of
from intaglio.hdl.boards.tools import BuildError


def routed(**more: Any) -> dict[str, Any]:
    """A few cells, as nextpnr writes them."""

    def cell(kind: str, bel: str, **attributes: str) -> dict[str, Any]:
        return {
            "type": kind,
            "attributes": {"NEXTPNR_BEL": bel, **attributes},
            "connections": {"Q": [bit]} if kind == "TRELLIS_FF" else {},
        }

    bit = 7
    cells = {
        "a": cell("TRELLIS_FF", "X5/Y6/SLICEA.FF0"),
        "b": cell("TRELLIS_COMB", "X5/Y7/SLICEA.LUT0"),
        "c": cell("DP16KD", "X4/Y25/EBR0", hdlname="signer core pool words block0"),
        "d": cell("EHXPLLL", "X2/Y49/EHXPLL_LL", hdlname="pll pll"),
        "e": cell("DCCA", "X3/Y25/LDCC6"),
    }
    nets = {
        "signer.core.barrel.state": {"bits": [6, 7]},
        "$abc$1": {"bits": [7]},
        "signer.core.barrel.state.longer": {"bits": [7]},
    }
    return {"modules": {"top": {"cells": {**cells, **more}, "netnames": nets}}}


def test_plan() -> None:
    found = plan(routed())
    assert found.tiles == {(5, 6): {"barrel": 1}}
    assert found.filled == {(5, 7): 1}
    assert found.blocks == [("block RAM", "pool", 4, 25), ("PLL", "pll", 2, 49)]
    assert set(found.units()) == {"barrel", "pool", "pll"}
    with pytest.raises(BuildError, match="nothing is placed"):
        plan({"modules": {"top": {"cells": {}}}})


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("signer.core.barrel.alu.a", "barrel"),
        ("signer.link.rx", "link"),
        ("detector.low", "detector"),
        ("lit", floorplan.OTHERS),
        ("", floorplan.OTHERS),
    ],
)
def test_units(name: str, unit: str) -> None:
    assert unit_of(name) == unit


def test_pictures(tmp_path: Path) -> None:
    source = tmp_path / "routed.json"
    source.write_text(json.dumps(routed()))
    made = []
    for name in ("one", "two"):
        draw(source, tmp_path / f"{name}.png", "a title")
        made.append((tmp_path / f"{name}.png").read_bytes())
    assert made[0] == made[1]
    assert made[0].startswith(b"\x89PNG")


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BuildError, match=r"pip install 'intaglio\[boards\]'"):
        draw(tmp_path / "routed.json", tmp_path / "floorplan.png")
