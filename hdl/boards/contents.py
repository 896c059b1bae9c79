"""What the block RAMs of a bitstream hold, compared with what the sources say they must.

A memory of the sources becomes *lanes*: bit j of its words, from word 0 up. A block of 18,432 bits,
used 36, 18, 9, 4, 2 or 1 bits wide, is as many lanes, and synthesis may put them in any order and
into any block. So each lane of a block must be one of the sources, and each one of the sources must
be in some block. A single bit that differs breaks both rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intaglio.bitstreams import Manifest
from intaglio.hdl.engine.programs import Image
from intaglio.hdl.engine.table import limb_rows, table_words
from intaglio.hdl.hash.constants import parameters
from intaglio.hdl.limbram import lanes_of as memory_lanes
from intaglio.hdl.profiles import PROFILES, Profile

from . import tools

BLOCK_BITS = 18_432
"""Of a DP16KD, parity included."""
DEPTHS = {36: 512, 18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16_384}
"""Words of a block by its width."""

_BLOCK = re.compile(r"^\.bram_init (\d+)\n((?:[0-9a-f ]+\n)+)", re.MULTILINE)
_UNIT_BITS = 9


@dataclass(frozen=True)
class Rom:
    """Words of the sources. ``required``: they are too many to be made of anything but blocks."""

    words: Sequence[int]
    required: bool = True

    def columns(self) -> list[int]:
        """Each bit of all words, the first word's being bit 0."""
        width = max(word.bit_length() for word in self.words)
        return [
            sum((word >> bit & 1) << at for at, word in enumerate(self.words))
            for bit in range(width)
        ]

    def lanes(self, column: int, depth: int) -> set[int]:
        """A column in pieces of ``depth`` bits."""
        starts = range(0, len(self.words), depth)
        return {column >> start & ((1 << depth) - 1) for start in starts}

    def is_in(self, seen: Mapping[int, set[int]], column: int, start: int = 0) -> bool:
        """Whether the lanes ``seen``, by width of their blocks, hold a column from a word on: in
        rows of blocks of any widths."""
        rest = column >> start
        return start >= len(self.words) or any(
            rest & ((1 << depth) - 1) in seen[width] and self.is_in(seen, column, start + depth)
            for width, depth in DEPTHS.items()
        )

    def varies(self, column: int) -> bool:
        """Whether not all of a column's bits are equal; synthesis keeps none of those that are."""
        return column not in (0, (1 << len(self.words)) - 1)


def roms(profile: Profile) -> dict[str, Rom]:
    """Every memory of the core that is not zero at first."""
    image = Image(profile.window, release_check=profile.release_check)
    lanes = memory_lanes(profile.interval)
    constants = {f"constants of SHA-{bits}": parameters(bits) for bits in (256, 512)}
    return {
        "comb tables": Rom(limb_rows(table_words(image), lanes)),
        "microcode": Rom(image.rom),
        "constants of the engine": Rom(limb_rows(image.constants, lanes), required=False),
        **{name: Rom(sha.round_constants, required=False) for name, sha in constants.items()},
    }


def unpacked(bitstream: bytes, work: Path) -> list[int]:
    """The blocks in a bitstream, each as a number of :data:`BLOCK_BITS` bits, by ``ecpunpack``."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "unpack.bit").write_bytes(bitstream)
    files = ["--input", "unpack.bit", "--textcfg", "unpack.config"]
    tools.run("ecpunpack", files, work, lambda line: None)
    return blocks_of((work / "unpack.config").read_text())


def blocks_of(config: str) -> list[int]:
    """The blocks in a textual configuration."""
    return [
        sum(int(unit, 16) << _UNIT_BITS * i for i, unit in enumerate(found[2].split()))
        for found in _BLOCK.finditer(config)
    ]


def lanes_of(block: int, width: int) -> list[int]:
    """The lanes of a block that is used ``width`` bits wide."""
    if width < _UNIT_BITS:  # the ninth bit of each unit is out of reach
        units = (block >> _UNIT_BITS * i & 0xFF for i in range(BLOCK_BITS // _UNIT_BITS))
        block = sum(unit << 8 * i for i, unit in enumerate(units))
    bits = f"{block:0{width * DEPTHS[width]}b}"[::-1]
    return [int(bits[lane::width][::-1], 2) for lane in range(width)]


def differences(blocks: Iterable[int], expected: Mapping[str, Rom]) -> list[str]:
    """A sentence for each block and each memory of the sources that has no counterpart."""
    columns = {name: rom.columns() for name, rom in expected.items()}
    known = {
        width: {
            lane
            for name, rom in expected.items()
            for column in columns[name]
            for lane in rom.lanes(column, depth)
        }
        for width, depth in DEPTHS.items()
    }
    seen: dict[int, set[int]] = {width: {0} for width in DEPTHS}
    wrong = []
    for number, block in enumerate(blocks):
        lanes = {width: {lane for lane in lanes_of(block, width) if lane} for width in DEPTHS}
        strange = {width: len(found - known[width]) for width, found in lanes.items()}
        width = min(DEPTHS, key=lambda width: strange[width])
        seen[width] |= lanes[width]
        if strange[width]:
            wrong.append(f"block RAM {number} holds {strange[width]} columns that no source has")
    for name, rom in expected.items():
        lost = sum(rom.varies(column) and not rom.is_in(seen, column) for column in columns[name])
        if rom.required and lost:
            wrong.append(f"{name}: {lost} columns are in no block RAM")
    return wrong


def check(manifest: Manifest, bitstream: bytes, work: Path) -> list[str]:
    """What differs between the block RAMs of a bitstream and today's sources."""
    return differences(unpacked(bitstream, work), roms(PROFILES[manifest.profile]))
