"""What there is room for on an ECP5, so that a design that cannot fit is refused in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CELLS = {"LUT4": "TRELLIS_COMB", "FF": "TRELLIS_FF", "EBR": "DP16KD", "DSP": "MULT18X18D"}
"""Resources by the names of Lattice's data sheet, FPGA-DS-02012, and nextpnr's cells of each."""

_SMALLEST = {"LUT4": 24_288, "FF": 24_288, "EBR": 56, "DSP": 28}

_ROOM = {
    "12F": _SMALLEST,  # nextpnr takes it for what it is: a 25F by another name
    "25F": _SMALLEST,
    "45F": {"LUT4": 43_848, "FF": 43_848, "EBR": 108, "DSP": 72},
    "85F": {"LUT4": 83_640, "FF": 83_640, "EBR": 208, "DSP": 156},
}


def room(device: str) -> dict[str, int]:
    """Of each of :data:`CELLS`, how many a part has that is named as in :attr:`.Board.device`."""
    return dict(_ROOM[device.split("-")[1]])


def lacking(used: Mapping[str, int], device: str) -> list[str]:
    """What a design that uses so many of some of :data:`CELLS` has no room for, in words."""
    there = room(device)
    return [
        f"it takes {used[name]} {name}, and an {device} has {there[name]}"
        for name in CELLS
        if used.get(name, 0) > there[name]
    ]


def of_netlist(netlist: Mapping[str, Any]) -> dict[str, int]:
    """Block RAMs and multipliers in a netlist as yosys writes it: others change as it is packed."""
    kinds = [cell["type"] for m in netlist["modules"].values() for cell in m["cells"].values()]
    return {name: kinds.count(CELLS[name]) for name in ("EBR", "DSP")}
