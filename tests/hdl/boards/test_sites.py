"""Sites of the hardware multipliers."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Signal

from intaglio.hdl.boards import BOARDS, sites
from intaglio.hdl.field.karatsuba import BY_LIMBS, FLAT, Karatsuba, multiply
from intaglio.hdl.field.pipeline import Pipeline

PARTS = ("LFE5U-25F-6BG381C", "LFE5UM5G-45F-8BG554I", "LFE5U-85F-6BG381C")


class Products(Elaboratable):
    """As many multipliers beside each other."""

    def __init__(self, bits: tuple[int, int], count: int, how: Karatsuba) -> None:
        self.bits, self.count, self.how = bits, count, how

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for n in range(self.count):
            m.submodules[f"alu{n}"] = inner = Module()
            pipe = Pipeline(inner)
            x, y = (pipe.input(Signal(width, name=f"x{i}")) for i, width in enumerate(self.bits))
            multiply(pipe, x, y, self.how)
        return m


def netlist(bits: tuple[int, int], count: int = 1, how: Karatsuba = FLAT) -> dict[str, Any]:
    """As yosys writes it, of the multipliers only."""
    text = rtlil.convert(Products(bits, count, how), ports=[])
    names = re.findall(r"^ *cell \\top\.(alu\d\.multiplier\S*) ", text, re.MULTILINE)
    cells = {f"signer.{name}.mult": {"type": "MULT18X18D", "attributes": {}} for name in names}
    return {"modules": {"top": {"cells": cells}}}


def bels(found: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Row, column and number of each, by name."""
    return {
        ".".join(name.split(".")[-3:-1]): (y, x, z)
        for name, cell in found["modules"]["top"]["cells"].items()
        for x, y, z in [
            map(int, re.fullmatch(r"X(\d+)/Y(\d+)/MULT18_(\d)", cell["attributes"]["BEL"]).groups())
        ]
    }


@pytest.mark.parametrize(
    ("part", "how", "count"), [*((part, FLAT, 27) for part in PARTS), (PARTS[2], BY_LIMBS, 36)]
)
def test_a_product_is_in_one_row_in_the_order_of_weights(
    part: str, how: Karatsuba, count: int
) -> None:
    found = netlist((130, 130), how=how)
    sites.settle(found, part)
    places = bels(found)
    assert len(places) == len(set(places.values())) == count
    assert len({row for row, _, _ in places.values()}) == 1
    ordered = [places[name] for name in sorted(places)]
    assert ordered == sorted(ordered)
    assert all(after[1] - before[1] <= 6 for before, after in pairwise(ordered))


@pytest.mark.parametrize("count", [2, 3])
def test_several_products_have_a_row_each(count: int) -> None:
    found = netlist((130, 130), count)
    sites.settle(found, PARTS[-1])
    places = bels(found)
    assert len(places) == len(set(places.values())) == 27 * count
    rows = [{y for name, (y, _, _) in places.items() if f"alu{n}." in name} for n in range(count)]
    assert all(len(each) == 1 for each in rows)
    assert len(set.union(*rows)) == count


def test_four_products_fill_all_rows_alike() -> None:
    found = netlist((130, 130), 4)
    sites.settle(found, PARTS[-1])
    places = bels(found)
    assert len(set(places.values())) == 108
    for row in (10, 34, 58):
        assert sum(y == row for y, _, _ in places.values()) == 36
    assert all(x - z in range(4, 115) for _, x, z in places.values())


def test_too_many_are_left_to_place_and_route() -> None:
    found = netlist((130, 130), 2)
    sites.settle(found, PARTS[0])
    assert not any(cell["attributes"] for cell in found["modules"]["top"]["cells"].values())


def test_other_cells_are_left_alone() -> None:
    cell: dict[str, Any] = {"type": "TRELLIS_FF", "attributes": {}}
    found = {"modules": {"top": {"cells": {"multiplier_0.x": cell}}}}
    sites.settle(found, PARTS[0])
    assert cell["attributes"] == {}


def test_every_board_has_sites() -> None:
    for board in BOARDS.values():
        if board.device.startswith("LFE5"):
            found = netlist((34, 34))
            sites.settle(found, board.device)
            assert len(bels(found)) == 3


def rams(*names: str) -> dict[str, Any]:
    """A netlist of block RAMs."""
    cells = {name: {"type": "DP16KD", "attributes": {}} for name in names}
    return {"modules": {"top": {"cells": cells}}}


def test_block_rams_of_barrels_and_stations_are_in_a_row_each() -> None:
    barrel = [f"core.engine.barrel0.words.block0_{start}" for start in (0, 18, 36, 126)]
    stations = ["core.keys.publics.block0_0", "core.pool.links.0.0"]
    free = ["core.engine.combs0.rom.block0_2", "core.engine.programs0.block0_0"]
    found = rams(*reversed(barrel), *stations, *free)
    sites.settle(found, PARTS[-1])
    cells = found["modules"]["top"]["cells"]
    at = {name: cell["attributes"].get("BEL") for name, cell in cells.items()}
    assert [at[name] for name in free] == [None, None]
    columns = []
    for name in barrel + stations:
        x, y, n = map(int, re.fullmatch(r"X(\d+)/Y(\d+)/EBR(\d)", at[name]).groups())
        assert y == (46 if name in barrel else 70)
        assert (x - 2 * n) % 9 in (4, 69 % 9)
        columns.append(x)
    assert columns[:4] == sorted(columns[:4])
    assert columns[4] < columns[5]


def test_block_rams_of_each_barrel_are_in_a_row_of_their_own() -> None:
    names = [f"core.engine.barrel{n}.words.block0_{start}" for n in (0, 1) for start in (0, 18)]
    found = rams(*names, "core.pool.links.0.0")
    sites.settle(found, PARTS[-1])
    cells = found["modules"]["top"]["cells"].values()
    rows = [int(re.search(r"/Y(\d+)/", cell["attributes"]["BEL"])[1]) for cell in cells]
    assert rows == [22, 22, 46, 46, 70]


def test_block_rams_are_left_alone_where_tables_are_small() -> None:
    found = rams("core.engine.barrel0.words.block0_0", "core.keys.publics.block0_0")
    sites.settle(found, PARTS[1])
    assert not any(cell["attributes"] for cell in found["modules"]["top"]["cells"].values())
