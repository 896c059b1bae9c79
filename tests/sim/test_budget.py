"""Cells by unit: counted as they should be, and still those of a synthesis."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intaglio.hdl.profiles import PROFILES
from intaglio.sim import budget

TOLERANCE, CELLS = 0.05, 30
"""A unit may differ from the committed count by this part, or by so many cells."""

MODULES = {
    "\\top": {"num_cells_by_type": {"top.signer": 1, "LUT4": 1}},
    "\\top.signer": {"num_cells_by_type": {}},
    "\\top.signer.link": {"num_cells_by_type": {"TRELLIS_FF": 3, "CCU2C": 2}},
    "\\top.signer.link.uart": {"num_cells_by_type": {"TRELLIS_FF": 4}},
    "\\top.signer.core": {"num_cells_by_type": {"LUT4": 7}},
    "\\top.signer.core.engine": {"num_cells_by_type": {"LUT4": 2}},
    "\\top.signer.core.engine.barrel0": {"num_cells_by_type": {"DP16KD": 2}},
    "\\top.signer.core.engine.barrel0.alu": {"num_cells_by_type": {"MULT18X18D": 2}},
    "\\top.signer.core.engine.barrel1": {"num_cells_by_type": {"DP16KD": 3}},
    "\\top.signer.core.engine.barrel1.alu": {"num_cells_by_type": {"MULT18X18D": 4}},
    "\\top.signer.core.engine.barrel1.alu.mac": {"num_cells_by_type": {"MULT18X18D": 1, "FDRE": 9}},
    "\\top.signer.core.engine.combs0": {"num_cells_by_type": {"DP16KD": 4}},
    "\\top.signer.core.jobs": {"num_cells_by_type": {"TRELLIS_DPR16X4": 2}},
}


def test_units_count_all_below_them() -> None:
    nothing = {"EBR": 0, "DSP": 0, "FF": 0, "LUT": 0}
    assert budget.count(MODULES) == {
        "whole design": {"EBR": 9, "DSP": 7, "FF": 7, "LUT": 22},
        "link": nothing | {"FF": 7, "LUT": 4},
        "barrels, alu": nothing | {"DSP": 7},
        "barrels, the rest": nothing | {"EBR": 5},
        "engine, combs": nothing | {"EBR": 4},
        "engine's own": nothing | {"LUT": 2},
        "jobs": nothing | {"LUT": 8},
        "core's own": nothing | {"LUT": 7},
    }


def test_counts_are_kept_by_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget.tools, "versions", lambda: {"yosys": "1.0"})
    path = tmp_path / "budgets.json"
    path.write_text(json.dumps({"gone": {}, "full": {"units": {}}}))
    units = budget.count(MODULES)
    budget.save("small", bytes(16), units, path)
    found = budget.load(path)
    assert list(found) == ["small", "full"]
    assert found["small"] == {"rtl_digest": "00" * 16, "yosys": "1.0", "units": units}


def test_table() -> None:
    table = budget.table({"small": {"units": budget.count(MODULES)}}).splitlines()
    assert table[0] == "| unit | `small` EBR | `small` DSP | `small` FF | `small` LUT |"
    assert "| link |  |  | 7 | 4 |" in table
    assert table[-1] == "| of an LFE5U-85F | 4% | 4% | 0% | 0% |"
    assert budget.table({}) == "None yet."


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("profile", budget.load())
def test_committed_counts_are_those_of_a_synthesis(profile: str, tmp_path: Path) -> None:
    kept = budget.load()[profile]["units"]
    found = budget.synthesise(profile, tmp_path)
    assert profile in PROFILES
    assert list(found) == list(kept)
    for unit, counts in kept.items():
        for kind, expected in counts.items():
            slack = 0 if kind in ("EBR", "DSP") else max(CELLS, TOLERANCE * expected)
            assert abs(found[unit][kind] - expected) <= slack, f"{unit}: {kind}"
