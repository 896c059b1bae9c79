"""The tables of ``README.md`` in this folder, rendered from the registry and the manifests.

``python -m intaglio.hdl.boards.doc`` refreshes what stands between the fences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from intaglio.bitstreams import FOLDER, Manifest, manifests
from intaglio.cli.build import DEFAULT_PROFILE
from intaglio.cli.flash import udev_rule

from . import BOARDS, parts
from .board import Board

README = Path(__file__).with_name("README.md")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in row)} |\n" for row in lines)


def boards_table() -> str:
    """What each board is and how it is connected."""
    return _table(
        ["board", "FPGA", "serial link", "wiring", "programmer"],
        (
            [
                f"`{board.name}`",
                board.device,
                f"{board.link}, {board.baud / 1e6:g} Mbaud",
                board.wiring,
                _programmer(board),
            ]
            for board in BOARDS.values()
        ),
    )


def _programmer(board: Board) -> str:
    programmer = board.programmer
    ways = [
        option
        for option, arguments in (("`--sram`", programmer.sram), ("`--flash`", programmer.flash))
        if arguments is not None
    ]
    return f"{programmer.tool}, {' or '.join(ways)}"


def bitstreams_table(found: Sequence[Manifest] | None = None) -> str:
    """Resources and speed of the bitstreams in the repository."""
    found = manifests() if found is None else found
    if not found:
        return "None yet.\n"
    kinds = list(found[0].utilisation)
    return _table(
        ["bitstream", "clock, MHz", "routed Fmax, MHz", *kinds, "signatures/s, engine"],
        (
            [
                f"`{one.name}`",
                f"{one.clock_hz / 1e6:g}",
                f"{one.fmax_hz / 1e6:.1f}",
                *(_share(one.utilisation[kind]) for kind in kinds),
                _rates(one),
            ]
            for one in found
        ),
    )


def _share(cells: dict[str, int]) -> str:
    return f"{cells['used']} of {cells['available']}"


def _rates(manifest: Manifest) -> str:
    told = [
        f"{curve} {manifest.clock_hz // cycles}"
        for curve, cycles in manifest.cycles_per_signature.items()
        if cycles
    ]
    return ", ".join(told) or "not measured"


def pages(found: Sequence[Manifest] | None = None) -> str:
    """A section for each board: what to connect, what to run, and what its bitstreams are."""
    found = manifests() if found is None else found
    return "\n".join(_page(board, found) for board in BOARDS.values())


def _page(board: Board, found: Sequence[Manifest]) -> str:
    made = [manifest for manifest in found if manifest.board == board.name]
    told = [
        f"### {board.title}: `{board.name}`\n",
        f"{board.device}, engine clock {board.clock_hz / 1e6:g} MHz.\n",
        f"* Wiring and jumpers: {board.wiring}",
        f"* Serial link: {board.link}, {board.baud / 1e6:g} Mbaud.",
        f"* Programming: {_programmer(board)}; as yourself after\n",
        f"      {udev_rule(*board.programmer.usb)}\n",
    ]
    told += [_built(manifest) for manifest in made]
    if not made:
        told.append(_not_built(board, found))
    return "\n".join(told)


def _not_built(board: Board, found: Sequence[Manifest]) -> str:
    """Whether the smallest profile would fit, by what it takes on another board."""
    for manifest in found:
        if manifest.profile == DEFAULT_PROFILE:
            used = {name: cells["used"] for name, cells in manifest.utilisation.items()}
            lacks = parts.lacking(used, board.device)
            if lacks:
                why = "; ".join(lacks)
                return f"There is no bitstream. `{manifest.profile}` does not fit: {why}.\n"
    return f"No bitstream is included: `intaglio build {board.name}` makes one.\n"


def _built(manifest: Manifest) -> str:
    """A bitstream: what a board that holds it tells, what it takes, and its picture."""
    cells = ", ".join(f"{kind} {_share(cells)}" for kind, cells in manifest.utilisation.items())
    picture = FOLDER / f"{manifest.name}.png"
    lines = [
        f"`{manifest.name}` is built and routed, and not yet tried on silicon. It takes {cells}; "
        f"nextpnr estimates {manifest.fmax_hz / 1e6:.1f} MHz at most after routing; at "
        f"{manifest.clock_hz / 1e6:g} MHz, by simulated cycles, signatures a second: "
        f"{_rates(manifest)}. `intaglio info` must show:\n",
        f"      profile        {manifest.profile}",
        f"      clock          {manifest.clock_hz / 1e6:g} MHz",
        f"      RTL digest     {manifest.rtl_digest}",
        f"      git revision   {manifest.git_revision}\n",
    ]
    if picture.is_file():
        lines.append(f"![Floorplan of {manifest.name}](../../bitstreams/{picture.name})\n")
    return "\n".join(lines)


def refreshed(text: str) -> str:
    """``text`` with everything rendered anew. Raises :class:`ValueError` without the fences."""
    rendered = {"boards": boards_table(), "bitstreams": bitstreams_table(), "pages": pages()}
    for name, table in rendered.items():
        begin, end = f"<!-- {name}: begin (make bitstreams) -->\n", f"<!-- {name}: end -->"
        pattern = re.escape(begin) + ".*?" + re.escape(end)
        text, count = re.subn(pattern, lambda _, t=begin + table + end: t, text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"expected the fences of {name!r} once, not {count} times")
    return text


if __name__ == "__main__":
    README.write_text(refreshed(README.read_text()))
