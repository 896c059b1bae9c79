"""What each unit of a profile takes of an ECP5: EBR, DSP, FF and LUT, by synthesis.

The whole design of a board is synthesised as for a bitstream, only that its hierarchy is kept, so
that cells can be counted by unit; what is optimised across units is missing, so sums are a few per
cent above those of a bitstream. :data:`BUDGETS` holds the committed counts.

``python -m intaglio.sim.budget --synthesise PROFILE ...`` synthesises (yosys on ``PATH``, or
YoWASP's) and keeps the counts; the table of ``hdl/README.md`` is written by ``make docs``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intaglio.hdl.boards import BOARDS, tools
from intaglio.hdl.boards.top import GIT_REVISION_BYTES, BoardTop
from intaglio.hdl.digest import rtl_digest
from intaglio.hdl.profiles import PROFILES
from intaglio.sim import fences

BUDGETS = Path(__file__).with_name("budgets.json")
"""Counts by profile: ``rtl_digest``, version of ``yosys``, and ``units`` in order."""

BOARD = "ulx3s-85f"
AVAILABLE = {"EBR": 208, "DSP": 156, "FF": 83_640, "LUT": 83_640}
"""Cells of an LFE5U-85F (Lattice FPGA-DS-02012, table 1.1)."""

SCRIPT = """\
read_rtlil top.il
synth_lattice -family ecp5 -top top -noflatten -run begin:check
tee -q -o stat.json stat -json
"""

CELLS = {
    "EBR": {"DP16KD": 1, "PDPW16KD": 1},
    "DSP": {"MULT18X18D": 1},
    "FF": {"TRELLIS_FF": 1},
    "LUT": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
}
"""What a cell counts as: two LUTs make an adder's two bits, four a RAM of 16 words of 4 bits."""

Counts = dict[str, int]


def synthesise(profile: str, work: Path) -> dict[str, Counts]:
    """Cells of each unit of ``profile``, the whole first, by a synthesis in the folder ``work``.

    Raises :class:`KeyError` for an unknown profile, :class:`~.tools.BuildError` without yosys.
    """
    board = BOARDS[BOARD]
    top = BoardTop(board, PROFILES[profile], bytes(GIT_REVISION_BYTES))
    text = board.platform().prepare(top, "top", emit_src=False).files["top.il"]
    (work / "top.il").write_bytes(text if isinstance(text, bytes) else text.encode())
    (work / "budget.ys").write_text(SCRIPT)
    tools.run("yosys", ["-q", "-l", "yosys.log", "budget.ys"], work, lambda line: None)
    return count(json.loads((work / "stat.json").read_text())["modules"])


def count(modules: Mapping[str, Mapping[str, Any]]) -> dict[str, Counts]:
    """Cells of each unit, from what ``stat -json`` says of each module."""
    own = {name.removeprefix("\\"): module["num_cells_by_type"] for name, module in modules.items()}
    whole = {name: Counter(_cells(cells)) for name, cells in own.items()}

    def total(name: str) -> Counts:
        """A module with all below it, whose names begin with its own."""
        below = [cells for each, cells in whole.items() if each.startswith(f"{name}.")]
        summed = sum(below, Counter(whole[name]))
        return {kind: summed[kind] for kind in CELLS}

    core = next(name for name in own if name.endswith(".core"))
    units = {"whole design": total("top")}
    link = core.removesuffix("core") + "link"
    units["link"] = total(link)
    for name in _below(core, own):
        if not name.endswith(".engine"):
            units[_last(name)] = total(name)
            continue
        barrels, shared = Counter[str](), {}
        for part in _below(name, own):
            if _last(part).startswith("barrel"):
                for below in _below(part, own):
                    unit = f"barrels, {_last(below)}"
                    units[unit] = _sum(units.get(unit, {}), total(below))
                barrels.update(whole[part])
            else:
                unit = f"engine, {_last(part).rstrip('0123456789')}"
                shared[unit] = _sum(shared.get(unit, {}), total(part))
        units["barrels, the rest"] = _sum(barrels)
        units |= shared
        units["engine's own"] = _sum(whole[name])
    units["core's own"] = {kind: whole[core][kind] for kind in CELLS}
    return units


def _sum(*counts: Mapping[str, int]) -> Counts:
    return {kind: sum(each.get(kind, 0) for each in counts) for kind in CELLS}


def _below(name: str, modules: Mapping[str, object]) -> list[str]:
    """Modules right below ``name``."""
    depth = name.count(".") + 1
    return [each for each in modules if each.startswith(f"{name}.") and each.count(".") == depth]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _cells(cells: Mapping[str, int]) -> Counts:
    return {
        kind: sum(weight * cells.get(cell, 0) for cell, weight in weights.items())
        for kind, weights in CELLS.items()
    }


def load(path: Path = BUDGETS) -> dict[str, dict[str, Any]]:
    """The committed counts, by profile."""
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def save(profile: str, digest: bytes, units: Mapping[str, Counts], path: Path = BUDGETS) -> None:
    """Keep the counts of one profile, made of the gateware with this digest."""
    budgets = {name: one for name, one in load(path).items() if name in PROFILES}
    budgets[profile] = {
        "rtl_digest": digest.hex(),
        "yosys": tools.versions()["yosys"],
        "units": dict(units),
    }
    ordered = {name: budgets[name] for name in PROFILES if name in budgets}
    path.write_text(json.dumps(ordered, indent=1) + "\n")


def table(budgets: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """Markdown: a row for each unit, a column for each profile and kind of cell."""
    budgets = load() if budgets is None else budgets
    if not budgets:
        return "None yet."
    header = ["unit", *(f"`{name}` {kind}" for name in budgets for kind in CELLS)]
    names = dict.fromkeys(unit for one in budgets.values() for unit in one["units"])
    rows = [
        [unit, *(_cell(one["units"].get(unit), kind) for one in budgets.values() for kind in CELLS)]
        for unit in names
    ]
    shares = [
        f"{one['units']['whole design'][kind] / AVAILABLE[kind]:.0%}"
        for one in budgets.values()
        for kind in CELLS
    ]
    rows.append(["of an LFE5U-85F", *shares])
    return fences.table(header, rows)


def _cell(counts: Mapping[str, int] | None, kind: str) -> str:
    return f"{counts[kind]:,}" if counts and counts[kind] else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Cells of each unit of a profile, by synthesis.")
    parser.add_argument("--synthesise", nargs="+", choices=list(PROFILES), required=True)
    for profile in parser.parse_args(arguments).synthesise:
        digest = rtl_digest(profile)
        with tempfile.TemporaryDirectory(prefix="intaglio-budget-") as folder:
            save(profile, digest, synthesise(profile, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
