"""Where multipliers and block RAMs go: beside those that they have to do with.

A placer moves one at a time, and where nearly all are taken it cannot sort them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from intaglio.hdl.field.karatsuba import NAME

_BLOCK = (0, 1, 4, 5)
"""Columns of a DSP block that have a multiplier, from its first on; each is named after its own."""


def _blocks(*runs: range) -> list[int]:
    return [column for run in runs for column in run]


_SMALLEST = ((13,), _blocks(range(4, 23, 9), range(33, 61, 9)))

_ROWS: dict[str, tuple[tuple[int, ...], list[int]]] = {
    "12F": _SMALLEST,
    "25F": _SMALLEST,
    "45F": ((22, 46), _blocks(range(4, 32, 9), range(42, 79, 9))),
    "85F": ((10, 34, 58), _blocks(range(4, 59, 9), range(69, 115, 9))),
}
"""Of each size of ECP5, the rows with DSP blocks and the columns these begin in, as in the tile
grids of Project Trellis, https://github.com/YosysHQ/prjtrellis-db."""

_RAM_ROWS = {"85F": (22, 46, 70)}
"""Of a size of ECP5 with room for large comb tables, rows with block RAMs: each but the last is
between two with DSP blocks."""
_RAM_SPACING = 2
"""Columns from a block RAM to the next of a group of four, which begin as the DSP blocks do."""

_FREE = re.compile(r"\.(?:combs|programs)\d+\.")
"""Block RAMs that may be anywhere. There are registers on the way to combs; programs are few."""
_BARREL = re.compile(r"\.barrel(\d+)\.")
_NO_BARREL = sys.maxsize
_NUMBERS = re.compile(r"(\d+)")
_MULTIPLIER = re.compile(rf"\b{NAME}((?:_\d+)+)\.")


def settle(netlist: Mapping[str, Any], device: str) -> None:
    """Give hardware multipliers and some block RAMs of a ``netlist``, as yosys writes it, a site of
    their own. ``device`` is a part of :attr:`.Board.device`'s form."""
    settle_multipliers(netlist, device)
    settle_rams(netlist, device)


def settle_rams(netlist: Mapping[str, Any], device: str) -> None:
    """Give a block RAM a site, unless it is one of those that may be anywhere.

    Those of each barrel are in the middle of a row beside its multipliers, the others in the middle
    of the last row, in the order of their names: comb tables would take the sites between them. If
    a row has too few, the placer finds some for the rest; so it does for all where there is no room
    for large tables or no row for each barrel.
    """
    size = device.split("-")[1]
    groups: dict[int, list[tuple[list[int | str], Any]]] = {}
    for module in netlist["modules"].values():
        for name, cell in module["cells"].items():
            if cell["type"] == "DP16KD" and not _FREE.search(name):
                barrel = _BARREL.search(name)
                parts = [int(p) if p.isdigit() else p for p in _NUMBERS.split(name)]
                owner = int(barrel[1]) if barrel else _NO_BARREL
                groups.setdefault(owner, []).append((parts, cell))
    rows = _RAM_ROWS.get(size, ())
    if not 0 < len(groups) <= len(rows):
        return
    sites = [(first + _RAM_SPACING * n, n) for first in _ROWS[size][1] for n in range(4)]
    for row, (_, group) in zip(rows[-len(groups) :], sorted(groups.items()), strict=True):
        start = (len(sites) - len(group)) // 2
        group.sort(key=lambda item: item[0])
        for (_, cell), (column, n) in zip(group, sites[max(start, 0) :], strict=False):
            cell["attributes"]["BEL"] = f"X{column}/Y{row}/EBR{n}"


def settle_multipliers(netlist: Mapping[str, Any], device: str) -> None:
    """Give each hardware multiplier a site.

    Those of a product are in the order of their names, see
    :func:`intaglio.hdl.field.karatsuba.multiply`, from west to east. All are in the fewest rows
    that have room, but each product in a row of its own if there are as many rows, and a like
    number in each; if they are more than sites, none is given any, and place and route will say so.
    """
    cells = {
        (name[: found.start()], tuple(map(int, found[1].split("_")[1:]))): cell
        for module in netlist["modules"].values()
        for name, cell in module["cells"].items()
        if cell["type"] == "MULT18X18D" and (found := _MULTIPLIER.search(name))
    }
    products = {product for product, _ in cells}
    for order, site in zip(sorted(cells), _sites(device, len(cells), len(products)), strict=False):
        cells[order]["attributes"]["BEL"] = site


def _sites(device: str, count: int, products: int) -> list[str]:
    """``count`` sites for so many products, row by row."""
    rows, blocks = _ROWS[device.split("-")[1]]
    columns = [(block + at, at) for block in blocks for at in _BLOCK]
    needed = max(-(-count // len(columns)), min(products, len(rows)))
    if needed not in range(1, len(rows) + 1):
        return []
    first = (len(rows) - needed) // 2
    shares = [count * (i + 1) // needed - count * i // needed for i in range(needed)]
    return [
        f"X{column}/Y{row}/MULT18_{at}"
        for row, share in zip(rows[first:], shares, strict=False)
        for column, at in _middle(columns, share)
    ]


def _middle(columns: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """``count`` of these in the middle, beginning with a block."""
    start = (len(columns) - count) // 2 // len(_BLOCK) * len(_BLOCK)
    return columns[start:][:count]
