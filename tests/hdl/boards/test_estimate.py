"""Estimates of a placement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from intaglio.hdl.boards import estimate


def cell(kind: str, bel: str, **pins: int) -> dict[str, Any]:
    """A cell with a bit at each of its pins."""
    outputs = ("Q", "F", "FCO", "OFX", "P0", "DOB0")
    return {
        "type": kind,
        "attributes": {"NEXTPNR_BEL": bel},
        "parameters": {},
        "connections": {pin: [bit] for pin, bit in pins.items()},
        "port_directions": {pin: "output" if pin in outputs else "input" for pin in pins},
    }


def placed(**cells: dict[str, Any]) -> dict[str, Any]:
    names = {f"signer.core.pool.bit{bit}": {"bits": [bit]} for bit in range(1, 20)}
    return {"modules": {"top": {"cells": cells, "netnames": names}}}


LUTS = placed(
    start=cell("TRELLIS_FF", "X1/Y1/SLICEA.FF0", Q=1),
    near=cell("TRELLIS_COMB", "X1/Y1/SLICEA.LUT0", A=1, F=2),
    far=cell("TRELLIS_COMB", "X11/Y6/SLICEA.LUT0", B=2, F=3),
    end=cell("TRELLIS_FF", "X11/Y6/SLICEA.FF0", DI=3),
)


def test_a_path_by_hand() -> None:
    (slow,) = estimate.paths(estimate.load(LUTS), 3)
    assert slow.end == estimate.Pin("end", "DI")
    wire = 0.58 + 0.0825 * (9 + 4)
    assert slow.ns == pytest.approx(0.52 + 0.35 + 0.24 + wire + 0.24 + 0.05 + 0.05)
    assert [name[-4:] for _, name in slow.bits] == ["bit1", "bit2", "bit3"]
    assert [at for at, _ in slow.bits] == sorted(at for at, _ in slow.bits)


def test_lengths_are_by_unit() -> None:
    assert estimate.lengths(estimate.load(LUTS)) == {"pool": 10 + 5}


def test_a_carry_chain_and_a_multiplexer() -> None:
    chain = {
        f"sum{i}": cell("TRELLIS_COMB", "X1/Y1/SLICEA.LUT0", FCI=i, FCO=i + 1) for i in range(2, 5)
    }
    design = placed(
        start=cell("MULT18X18D", "X1/Y1/MULT18_0", P0=1),
        first=cell("TRELLIS_COMB", "X1/Y1/SLICEA.LUT0", A=1, FCO=2),
        **chain,
        last=cell("TRELLIS_COMB", "X1/Y1/SLICEA.LUT0", FCI=5, F=6),
        # each multiplexer takes the other's LUT: no loop
        one=cell("TRELLIS_COMB", "X1/Y1/SLICEB.LUT0", A=6, F1=8, F=7, OFX=10),
        two=cell("TRELLIS_COMB", "X1/Y1/SLICEB.LUT1", A=6, F1=7, F=8, OFX=11),
        ram=cell("DP16KD", "X1/Y1/EBR0", DIA0=10),
    )
    slow = estimate.paths(estimate.load(design), 1)[0]
    assert slow.end.cell == "ram"
    carries = 0.45 + 3 * estimate.CARRY_NS + 0.44
    assert slow.ns == pytest.approx(0.7 + 0.35 + carries + 0.35 + 0.24 + 0.2 + 0.35 + 0.3)


def test_what_is_alike_is_told_once() -> None:
    pairs = {}
    for i in range(4):
        pairs[f"from{i}"] = cell("TRELLIS_FF", "X1/Y1/SLICEA.FF0", Q=1 + i)
        pairs[f"to{i}"] = cell("TRELLIS_FF", f"X{2 + i}/Y1/SLICEA.FF0", DI=1 + i)
    slow = estimate.paths(estimate.load(placed(**pairs)), 9)
    assert [each.end.cell for each in slow] == ["to3"]


def test_block_ram_without_its_register_is_slow() -> None:
    ram = cell("DP16KD", "X1/Y1/EBR0", DOB0=1)
    end = cell("TRELLIS_FF", "X1/Y1/SLICEA.FF0", DI=1)
    plain = estimate.paths(estimate.load(placed(ram=ram, end=end)), 1)[0].ns
    ram["parameters"]["REGMODE_B"] = "OUTREG"
    assert estimate.paths(estimate.load(placed(ram=ram, end=end)), 1)[0].ns < plain - 4


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "placed.json"
    path.write_text(json.dumps(LUTS))
    assert estimate.main([str(path)]) == 0
    told = capsys.readouterr().out
    assert "wires, in tiles: 15" in told
    assert "ns to DI of end" in told
