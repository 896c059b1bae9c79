"""How long wires and paths of a placement are, before an hour of routing.

::

    nextpnr-ecp5 ... --no-route --write placed.json
    python -m intaglio.hdl.boards.estimate placed.json

The delays are round numbers for speed grade 6, and a wire's grows with its length only: of
``ulx3s-85f-mid`` of commit ``fc188ef`` the slowest path has 12.0 ns, where nextpnr says 10.9 after
routing. A design's Fmax is told by a routed design only; this tells which paths to shorten first.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from .floorplan import BEL, unit_of

CLOCK_TO_OUT_NS = {"TRELLIS_FF": 0.52, "MULT18X18D": 0.7, "DP16KD": 5.7, "DP16KD registered": 0.9}
SETUP_NS = {"TRELLIS_FF": 0.05, "MULT18X18D": 0.3, "DP16KD": 0.3, "TRELLIS_RAMW": 0.3}
LUT_NS, CARRY_IN_NS, CARRY_NS, CARRY_OUT_NS, MUX_NS = 0.24, 0.45, 0.035, 0.44, 0.4

_LOGIC = "TRELLIS_COMB"
_CLOCKS = re.compile(r"CLK[AB0-3]?|GSR|W.*")
_CHAINED = {"FCI", "FCO", "FXA", "FXB", "F1"}
"""Pins that fixed wires join."""
_SELECTS = {"M", "FXA", "FXB", "F1"}
"""Pins of the multiplexers behind the LUTs."""
_MOST_ENDS = 2000
"""A net of more ends is a clock or a reset."""


@dataclass(frozen=True)
class Pin:
    """A cell's pin."""

    cell: str
    name: str


@dataclass
class Design:
    """A placed netlist: of each bit its name, its driver and where it ends."""

    cells: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    drivers: dict[int, Pin] = field(default_factory=dict)
    ends: dict[int, list[Pin]] = field(default_factory=lambda: defaultdict(list))

    def inputs(self, cell: str) -> Iterator[tuple[str, int]]:
        """Data inputs of a cell, and the bits there; constants left out."""
        connections, directions = (
            self.cells[cell][name] for name in ("connections", "port_directions")
        )
        for name, bits in connections.items():
            if directions[name] == "input" and not _CLOCKS.fullmatch(name):
                for bit in bits:
                    if bit in self.drivers and "PACKER" not in self.names.get(bit, ""):
                        yield name, bit

    def wire_ns(self, bit: int, end: Pin) -> float:
        """Delay of a bit's wire to one of its ends."""
        start = self.drivers[bit]
        if start.name in _CHAINED or end.name in _CHAINED:
            return 0.0
        (x0, y0), (x1, y1) = self.places[start.cell], self.places[end.cell]
        if (x0, y0) == (x1, y1):
            return 0.05 if end.name == "DI" else 0.35
        return 0.58 + 0.0825 * (max(abs(x0 - x1) - 1, 0) + max(abs(y0 - y1) - 1, 0))


def load(written: Mapping[str, Any]) -> Design:
    """What nextpnr has ``written``, as JSON."""
    design = Design()
    for module in written["modules"].values():
        for name, net in module.get("netnames", {}).items():
            for bit in net["bits"]:
                if bit not in design.names or design.names[bit].startswith("$"):
                    design.names[bit] = name
        for name, cell in module["cells"].items():
            place = BEL.match(cell["attributes"].get("NEXTPNR_BEL", ""))
            if place is None:
                continue
            design.cells[name], design.places[name] = cell, (int(place[1]), int(place[2]))
            for pin, bits in cell["connections"].items():
                for bit in bits:
                    if isinstance(bit, int):
                        design.ends[bit].append(Pin(name, pin))
                        if cell["port_directions"][pin] == "output":
                            design.drivers[bit] = Pin(name, pin)
    return design


def lengths(design: Design) -> Counter[str]:
    """Half the perimeter of all nets' boxes in tiles, by unit of what drives them."""
    found: Counter[str] = Counter()
    for bit, pins in design.ends.items():
        if len(pins) < _MOST_ENDS:
            xs, ys = zip(*(design.places[pin.cell] for pin in pins), strict=True)
            found[unit_of(design.names[bit])] += max(xs) - min(xs) + max(ys) - min(ys)
    return found


@dataclass(frozen=True)
class Slow:
    """A path: its end, and of each bit on it the name and when it is there."""

    ns: float
    end: Pin
    bits: tuple[tuple[float, str], ...]


def paths(design: Design, count: int) -> list[Slow]:
    """The ``count`` slowest, one for all that begin and end alike but for numbers."""
    times, before = _times(design)
    found: list[tuple[float, int, Pin]] = []
    for name, cell in design.cells.items():
        if (setup := SETUP_NS.get(cell["type"])) is not None:
            for pin, bit in design.inputs(name):
                end = Pin(name, pin)
                found.append((times.get(bit, 0.0) + design.wire_ns(bit, end) + setup, bit, end))
    chosen: dict[tuple[str, ...], Slow] = {}
    for ns, bit, end in sorted(found, key=lambda each: -each[0]):
        alike = (design.names[bit], end.cell, end.name)
        key = tuple(re.sub(r"\d+|\[\d+\]", "", text) for text in alike)
        if len(chosen) < count and key not in chosen:
            chosen[key] = Slow(ns, end, tuple(_back(design, times, before, bit)))
    return list(chosen.values())


def _back(
    design: Design, times: Mapping[int, float], before: Mapping[int, int], bit: int
) -> Iterator[tuple[float, str]]:
    bits = [bit]
    while bits[-1] in before:
        bits.append(before[bits[-1]])
    for each in reversed(bits):
        if design.drivers[each].name != "FCO":
            yield times[each], design.names[each]


def _times(design: Design) -> tuple[dict[int, float], dict[int, int]]:
    """When each bit is there, and which bit it waited for."""
    times: dict[int, float] = {}
    before: dict[int, int] = {}
    order: TopologicalSorter[int] = TopologicalSorter()
    for bit, driver in design.drivers.items():
        order.add(bit, *(source for _, source in _sources(design, driver)))
    for bit in order.static_order():
        driver = design.drivers[bit]
        cell = design.cells[driver.cell]
        registered = "OUTREG" in cell.get("parameters", {}).get("REGMODE_B", "")
        times[bit] = CLOCK_TO_OUT_NS.get(cell["type"] + " registered" * registered, 0.0)
        for pin, source in _sources(design, driver):
            wire = design.wire_ns(source, Pin(driver.cell, pin))
            at = times[source] + wire + _cell_ns(pin, driver.name)
            if at > times[bit]:
                times[bit], before[bit] = at, source
    return times, before


def _sources(design: Design, driver: Pin) -> Iterator[tuple[str, int]]:
    """What an output waits for in its own clock: pins and bits."""
    if design.cells[driver.cell]["type"] == _LOGIC:
        for pin, bit in design.inputs(driver.cell):
            if pin not in _SELECTS or driver.name.startswith("OFX"):
                yield pin, bit


def _cell_ns(pin: str, out: str) -> float:
    if out == "FCO":
        return CARRY_NS if pin == "FCI" else CARRY_IN_NS
    if out == "F":
        return CARRY_OUT_NS if pin == "FCI" else LUT_NS
    return MUX_NS / 2 if pin in _SELECTS else MUX_NS


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m intaglio.hdl.boards.estimate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("placed", type=Path, help="what nextpnr wrote with --write")
    parser.add_argument("--paths", type=int, default=10, help="how many paths (default: 10)")
    parser.add_argument("--units", type=int, default=12, help="how many units (default: 12)")
    arguments = parser.parse_args(argv)
    design = load(json.loads(arguments.placed.read_text()))
    found = lengths(design)
    print(f"wires, in tiles: {sum(found.values()):,}")
    for unit, tiles in found.most_common(arguments.units):
        print(f"{tiles:10,}  {unit}")
    for path in paths(design, arguments.paths):
        print(f"{path.ns:5.2f} ns to {path.end.name} of {path.end.cell}")
        for at, name in path.bits:
            print(f"   {at:5.2f}  {name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
