from __future__ import annotations

import dataclasses
import re

import pytest

from intaglio.hdl.boards import BOARDS
from intaglio.hdl.boards.pll import COMPARED_HZ, MAX_DIVIDER, VCO_HZ, Dividers, dividers
from intaglio.hdl.boards.top import BoardTop
from intaglio.hdl.profiles import SMALL

# Sites of oscillator, rx, tx and LED, from the boards' schematics and pin tables.
SITES = {
    "ulx3s": ("G2", "M1", "L4", "B2"),
    "ecpix5": ("K23", "R26", "R24", "R21"),
    "orangecrab": ("A9", "N17", "M18", "M3"),
    "versa-5g": ("P3", "C11", "A11", "E16"),
    "colorlight-i5": ("P3", "H18", "J17", "U16"),
    "colorlight-i9": ("P3", "H18", "J17", "L2"),
}
PARTS = {
    "ulx3s-12f": "LFE5U-12F-6BG381C",
    "ulx3s-25f": "LFE5U-25F-6BG381C",
    "ulx3s-85f": "LFE5U-85F-6BG381C",
    "ecpix5-45f": "LFE5UM5G-45F-8BG554C",
    "ecpix5-85f": "LFE5UM5G-85F-8BG554C",
    "orangecrab-25f": "LFE5U-25F-8MG285C",
    "orangecrab-85f": "LFE5U-85F-8MG285C",
    "versa-5g": "LFE5UM5G-45F-8BG381C",
    "colorlight-i5": "LFE5U-25F-6BG381C",
    "colorlight-i9": "LFE5U-45F-6BG381C",
}


def sites_of(name: str) -> tuple[str, ...]:
    return SITES[name] if name in SITES else SITES[name.rpartition("-")[0]]


def test_boards_and_their_parts() -> None:
    assert {name: board.device for name, board in BOARDS.items()} == PARTS
    assert all(name == board.name for name, board in BOARDS.items())


@pytest.mark.parametrize("name", BOARDS)
def test_pins_resolve(name: str, loopback: None) -> None:
    board = BOARDS[name]
    plan = board.platform().prepare(BoardTop(board, SMALL, bytes(20)), "top", emit_src=False)
    lpf = plan.files["top.lpf"]
    text = lpf.decode() if isinstance(lpf, bytes) else lpf
    placed = dict(re.findall(r'LOCATE COMP "(\w+)" SITE "(\w+)"', text))
    clock, rx, tx, led = sites_of(name)
    assert placed["uart_0__rx__io"] == rx
    assert placed["uart_0__tx__io"] == tx
    assert clock in placed.values()
    assert led in placed.values()
    (port, hertz) = re.findall(r'FREQUENCY PORT "(\w+)" ([\d.]+) HZ', text)[0]
    assert placed[port] == clock
    assert float(hertz) == board.platform().default_clk_frequency


@pytest.mark.parametrize("name", BOARDS)
def test_clock_and_baud(name: str) -> None:
    board = BOARDS[name]
    input_hz = round(board.platform().default_clk_frequency)
    found = dividers(input_hz, board.clock_hz)
    assert found.vco_hz(input_hz) / found.output == board.clock_hz
    assert board.clock_hz / board.clocks_per_bit == pytest.approx(board.baud, rel=0.01)


def test_a_clock_far_from_the_baud_rate_is_refused() -> None:
    board = BOARDS["ulx3s-85f"]
    with pytest.raises(ValueError, match="too far from 9500000"):
        dataclasses.replace(board, baud=9_500_000)


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_can_be_programmed(name: str) -> None:
    programmer = BOARDS[name].programmer
    assert programmer.sram or programmer.flash
    assert all(re.fullmatch("[0-9a-f]{4}", each) for each in programmer.usb)
    assert BOARDS[name].wiring.endswith(".")


@pytest.mark.parametrize("input_hz", [12_000_000, 25_000_000, 48_000_000, 100_000_000])
@pytest.mark.parametrize("output_hz", [20_000_000, 24_000_000, 30_000_000, 40_000_000, 60_000_000])
def test_dividers_are_within_range(input_hz: int, output_hz: int) -> None:
    found = dividers(input_hz, output_hz)
    assert VCO_HZ[0] <= found.vco_hz(input_hz) <= VCO_HZ[1]
    assert found.vco_hz(input_hz) / found.output == output_hz
    assert COMPARED_HZ[0] <= input_hz / found.reference <= COMPARED_HZ[1]
    assert all(1 <= each <= MAX_DIVIDER for each in dataclasses.astuple(found))


def test_a_pll_of_known_setting() -> None:
    assert dividers(25_000_000, 30_000_000) == Dividers(reference=1, feedback=1, loop=24, output=20)


@pytest.mark.parametrize("output_hz", [36_000_000, 1_000_000, 33_333_333])
def test_clocks_that_no_setting_makes(output_hz: int) -> None:
    with pytest.raises(ValueError, match=f"no PLL setting makes {output_hz} Hz"):
        dividers(25_000_000, output_hz)
