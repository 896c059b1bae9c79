"""What block RAMs hold, and what the sources say they must."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from intaglio.hdl.boards import BOARDS, build, contents, top
from intaglio.hdl.boards.contents import BLOCK_BITS, DEPTHS, Rom, blocks_of, differences, lanes_of
from intaglio.hdl.profiles import SMALL
from intaglio.sim.cells import probe

SOURCE = random.Random(5)
ROMS = {
    "table": Rom([SOURCE.getrandbits(40) for _ in range(700)]),
    "code": Rom([SOURCE.getrandbits(20) | 1 << 20 for _ in range(300)]),  # one column is constant
    "few": Rom([3, 5, 6], required=False),
}


def packed(words: list[int], width: int) -> list[int]:
    """Blocks as synthesis makes them of words at most ``width`` bits wide."""
    depth = DEPTHS[width]
    pieces = (words[start : start + depth] for start in range(0, len(words), depth))
    return [sum(word << width * at for at, word in enumerate(piece)) for piece in pieces]


def good() -> list[int]:
    """Blocks that hold :data:`ROMS`, in another order of columns and of several widths."""
    table, code = ROMS["table"].words, ROMS["code"].words
    upper = [int(f"{word >> 22:018b}"[::-1], 2) for word in table]
    return [
        *packed([word & 0x3FFFFF for word in table], 36),
        *packed(upper, 18),
        *packed([word & 0xFFF for word in code], 18),
        *packed([word >> 12 & 0x1FF for word in code], 9),
        0,
    ]


def test_good_blocks() -> None:
    assert differences(good(), ROMS) == []


def test_a_bit_that_differs_is_found_twice() -> None:
    blocks = good()
    blocks[2] ^= 1 << 1234
    block, rom = differences(blocks, ROMS)
    assert block == "block RAM 2 holds 1 columns that no source has"
    assert rom == "table: 1 columns are in no block RAM"


def test_a_lost_block_is_found() -> None:
    assert differences(good()[:-2], ROMS) == ["code: 8 columns are in no block RAM"]


def test_small_memories_may_be_elsewhere() -> None:
    assert differences([*good(), *packed(list(ROMS["few"].words), 9)], ROMS) == []


@pytest.mark.parametrize("width", DEPTHS)
def test_lanes(width: int) -> None:
    words = [SOURCE.getrandbits(width) for _ in range(DEPTHS[width])]
    block = sum(word << width * at for at, word in enumerate(words))
    if width < 9:
        units = (block >> 8 * i & 0xFF for i in range(BLOCK_BITS // 9))
        block = sum(unit << 9 * i for i, unit in enumerate(units))
    lanes = lanes_of(block, width)
    assert lanes == [
        sum((word >> bit & 1) << at for at, word in enumerate(words)) for bit in range(width)
    ]


def test_blocks_of_a_configuration() -> None:
    text = ".tile A:B\nenum: C D\n\n.bram_init 3\n001 002\n1ff\n\n.bram_init 12\n000 000\n\n"
    assert blocks_of(text) == [1 | 2 << 9 | 0x1FF << 18, 0]


def test_what_the_core_holds() -> None:
    roms = contents.roms(SMALL)
    assert {name for name, rom in roms.items() if rom.required} == {"microcode", "comb tables"}
    for rom in roms.values():
        columns = rom.columns()
        rebuilt = [
            sum((column >> at & 1) << bit for bit, column in enumerate(columns))
            for at in range(len(rom.words))
        ]
        assert rebuilt == list(rom.words)


@pytest.mark.slow
def test_a_real_bitstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a design that routes in seconds: unpacked, its block RAMs are the sources' tables."""
    monkeypatch.setattr(top, "SerialSigner", probe.Probe)
    monkeypatch.setattr(build, "cycles_per_signature", lambda profile: {})
    board = next(iter(BOARDS))
    _, data = build.build(board, SMALL.name, work=tmp_path, report=lambda stage, seconds: None)
    blocks = contents.unpacked(data, tmp_path)
    words = probe.table()
    spice = [word & 0x3FFFF for word in probe.spice()]  # no one reads the others

    def found() -> list[str]:
        roms = {"table": Rom(words), "salt": Rom(probe.salt()), "spice": Rom(spice)}
        return differences(blocks, roms)

    assert found() == []
    words[17] ^= 1 << 20
    assert len(found()) == 2
    words[17] ^= 1 << 20
    spice[2100] ^= 1
    assert len(found()) == 2
