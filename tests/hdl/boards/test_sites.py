"""Sites of the hardware multipliers."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Signal

from intaglio.hdl.boards import BOARDS, sites
from intaglio.hdl.field.karatsuba import DEEP, FLAT, Karatsuba, multiply
from intaglio.hdl.field.pipeline import Pipeline

PARTS = ("LFE5U-25F-6BG381C", "LFE5UM5G-45F-8BG554I", "LFE5U-85F-6BG381C")


class Product(Elaboratable):
    def __init__(self, bits: tuple[int, int], how: Karatsuba) -> None:
        self.bits, self.how = bits, how

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pipe = Pipeline(m)
        x, y = (pipe.input(Signal(width, name=f"x{i}")) for i, width in enumerate(self.bits))
        multiply(pipe, x, y, self.how)
        return m


def netlist(bits: tuple[int, int], how: Karatsuba) -> dict[str, Any]:
    """As yosys writes it, of the multipliers only."""
    text = rtlil.convert(Product(bits, how), ports=[])
    names = re.findall(r"^ *cell \\top\.(multiplier\S*) ", text, re.MULTILINE)
    cells = {f"signer.alu.{name}.mult": {"type": "MULT18X18D", "attributes": {}} for name in names}
    return {"modules": {"top": {"cells": cells}}}


def bels(found: dict[str, Any]) -> dict[str, tuple[int, int, int]]:
    """Row, column and number of each, by name."""
    return {
        name.split(".")[-2]: (y, x, z)
        for name, cell in found["modules"]["top"]["cells"].items()
        for x, y, z in [
            map(int, re.fullmatch(r"X(\d+)/Y(\d+)/MULT18_(\d)", cell["attributes"]["BEL"]).groups())
        ]
    }


@pytest.mark.parametrize("part", PARTS)
def test_a_product_is_in_one_row_in_the_order_of_weights(part: str) -> None:
    found = netlist((130, 130), FLAT)
    sites.settle(found, part)
    places = bels(found)
    assert len(places) == len(set(places.values())) == 27
    assert len({row for row, _, _ in places.values()}) == 1
    ordered = [places[name] for name in sorted(places)]
    assert ordered == sorted(ordered)
    assert all(after[1] - before[1] <= 6 for before, after in pairwise(ordered))


def test_the_largest_takes_all_rows_a_third_in_each() -> None:
    found = netlist((260, 260), DEEP)
    sites.settle(found, PARTS[-1])
    places = bels(found)
    assert len(places) == len(set(places.values())) == 144
    for part, row in enumerate((10, 34, 58)):
        mine = [place for name, place in places.items() if name.startswith(f"multiplier_{part}_")]
        assert len(mine) == 48
        assert {y for y, _, _ in mine} == {row}
    assert all(x - z in range(4, 115) for _, x, z in places.values())


def test_too_many_are_left_to_place_and_route() -> None:
    found = netlist((260, 260), DEEP)
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
            found = netlist((34, 34), FLAT)
            sites.settle(found, board.device)
            assert len(bels(found)) == 3
