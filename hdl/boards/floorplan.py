"""A picture of where nextpnr put what: one square a tile, coloured by the unit of the core.

``python -m intaglio.hdl.boards.floorplan routed.json floorplan.png``
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .tools import BuildError

UNITS = 9
"""Units with a colour of their own, the largest; the others share one."""
OTHERS = "others"
KINDS = {"TRELLIS_FF": "logic", "TRELLIS_COMB": "logic", "TRELLIS_RAMW": "logic"}
KINDS |= {"DP16KD": "block RAM", "MULT18X18D": "multiplier", "EHXPLLL": "PLL", "TRELLIS_IO": "pin"}
"""What is drawn, by type of cell."""

BEL = re.compile(r"X(\d+)/Y(\d+)/")
_ABOVE = ("signer", "core", "engine")
_SHAPES = {"block RAM": ("s", 30), "multiplier": ("D", 16), "PLL": ("*", 90), "pin": ("v", 40)}


@dataclass
class Plan:
    """What is in each tile ``(x, y)``, from the left and from the top."""

    tiles: dict[tuple[int, int], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Flip-flops of each unit."""
    filled: Counter[tuple[int, int]] = field(default_factory=Counter)
    """LUTs, whoever's: synthesis keeps no names of theirs."""
    blocks: list[tuple[str, str, int, int]] = field(default_factory=list)
    """Kind, unit and place of everything that is not logic."""

    def units(self) -> list[str]:
        """The units with a colour of their own, largest first."""
        cells = sum(self.tiles.values(), Counter())
        cells.update(unit for _, unit, _, _ in self.blocks)
        return [unit for unit, _ in cells.most_common() if unit != OTHERS][:UNITS]


def unit_of(name: str) -> str:
    """The unit of the core, or the part of the board, that a flattened name belongs to."""
    parts = name.replace(" ", ".").split(".")
    while len(parts) > 1 and parts[0] in _ABOVE:
        parts = parts[1:]
    return parts[0] if len(parts) > 1 and "$" not in parts[0] else OTHERS


def plan(routed: Mapping[str, Any]) -> Plan:
    """What ``routed``, as nextpnr writes it, says. Raises :class:`BuildError` if nothing."""
    found = Plan()
    for module in routed["modules"].values():
        names: dict[int, str] = {}
        for name, net in module.get("netnames", {}).items():
            for bit in net["bits"]:
                if isinstance(bit, int) and not name.startswith("$"):
                    names[bit] = min(names.get(bit, name), name, key=len)
        for cell in module["cells"].values():
            place = BEL.match(cell["attributes"].get("NEXTPNR_BEL", ""))
            kind = KINDS.get(cell["type"])
            if place is None or kind is None:
                continue
            x, y = int(place[1]), int(place[2])
            if cell["type"] == "TRELLIS_FF":
                found.tiles[x, y][unit_of(names.get(cell["connections"]["Q"][0], ""))] += 1
            elif kind == "logic":
                found.filled[x, y] += 1
            else:
                found.blocks.append((kind, unit_of(cell["attributes"].get("hdlname", "")), x, y))
    if not found.blocks:
        raise BuildError("nothing is placed in what nextpnr wrote: build it again")
    return found


def draw(routed: Path, picture: Path, title: str = "") -> None:
    """The floorplan in ``routed``, as a PNG. The same bytes for the same placement and libraries.

    Raises :class:`BuildError` if matplotlib is not installed.
    """
    try:
        from matplotlib import colormaps
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise BuildError("no matplotlib to draw with: pip install 'intaglio[boards]'") from None
    found = plan(json.loads(routed.read_text()))
    units = found.units()
    colours = dict(zip([*units, OTHERS], (*colormaps["tab10"].colors, "0.6"), strict=False))
    colours[OTHERS] = "0.6"
    figure = Figure(figsize=(9, 7), dpi=110)
    axes = figure.add_subplot()
    xs, ys = zip(*found.filled, strict=True) if found.filled else ((), ())
    axes.scatter(xs, ys, s=7, marker="s", linewidths=0, color="0.85", label="LUTs only")
    for unit in [OTHERS, *reversed(units)]:
        tiles = [tile for tile, held in found.tiles.items() if _shown(held, units) == unit]
        if tiles:
            axes.scatter(*zip(*tiles, strict=True), s=7, marker="s", linewidths=0, label=unit)
            axes.collections[-1].set_color(colours[unit])
    for kind, (marker, size) in _SHAPES.items():
        there = [
            (x, y, colours.get(unit, "0.6")) for each, unit, x, y in found.blocks if each == kind
        ]
        if there:
            xs, ys, shades = zip(*there, strict=True)
            axes.scatter(
                xs, ys, s=size, marker=marker, c=shades, edgecolors="black", linewidths=0.5
            )
            axes.scatter([], [], s=size, marker=marker, c="white", edgecolors="black", label=kind)
    axes.invert_yaxis()
    axes.set(title=title, xlabel="column", ylabel="row", aspect="equal")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False)
    figure.tight_layout()
    picture.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(picture, metadata={"Software": None})


def _shown(held: Counter[str], units: list[str]) -> str:
    """The unit that has most of a tile, as the picture calls it."""
    most = max(sorted(held), key=held.__getitem__)
    return most if most in units else OTHERS


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
