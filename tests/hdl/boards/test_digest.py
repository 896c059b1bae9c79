"""What makes a bitstream stale, and what does not."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from intaglio.hdl import digest, profiles
from intaglio.hdl.boards import BOARDS
from intaglio.hdl.boards import digest as boards_digest
from intaglio.hdl.boards.digest import board_digest, board_sources
from intaglio.hdl.digest import core_sources, rtl_digest

ROOT = Path(digest.__file__).parent.parent
ROOMS = {"hdl": "intaglio.hdl", "host": "intaglio"}


def imported(name: str, path: Path) -> Iterator[str]:
    """Dotted names of the package that ``path``, called ``name`` in a digest, imports."""
    room, *folders, _ = name.split("/")
    package = [*ROOMS[room].split("."), *folders]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *filter(None, [node.module])]
            yield from (".".join([*module, alias.name]) for alias in node.names)


def module_of(dotted: str) -> Path | None:
    """File of the module that a dotted name is, or is a part of; ``None`` if it is not ours."""
    first, *parts = dotted.split(".")
    if first != "intaglio" or not parts:
        return None
    root = ROOT if parts[0] in {"hdl", "bitstreams"} else ROOT / "host"
    for end in range(len(parts), 0, -1):
        place = root.joinpath(*parts[:end])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return path
    return root / "__init__.py"


def left_out(sources: dict[str, Path], digested: set[Path]) -> set[str]:
    """Imports by ``sources`` of modules of ours that are not among ``digested``."""
    return {
        f"{name} imports {each}"
        for name, path in sources.items()
        for each in imported(name, path)
        if (module := module_of(each)) and module not in digested
    }


def test_the_core_imports_nothing_that_its_digest_leaves_out(tmp_path: Path) -> None:
    sources = dict(core_sources())
    assert {"hdl/device.py", "hdl/core.py", "hdl/field/fold.py", "host/wire.py"} <= set(sources)
    known = {*sources.values(), Path(profiles.__file__)}  # whose values are digested
    assert not left_out(sources, known)
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from .boards.top import BoardTop\nfrom intaglio.curve import Curve\n")
    assert left_out({"hdl/wrong.py": wrong}, known) == {
        "hdl/wrong.py imports intaglio.hdl.boards.top.BoardTop",
        "hdl/wrong.py imports intaglio.curve.Curve",
    }


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_imports_nothing_that_the_digests_leave_out(board: str) -> None:
    ours = {f"hdl/boards/{path.name}": path for path in board_sources(board)}
    known = {*ours.values(), *dict(core_sources()).values(), Path(profiles.__file__)}
    assert not left_out(ours, known)


def test_digests_differ() -> None:
    assert len({board_digest(board) for board in BOARDS}) == len(BOARDS)
    assert rtl_digest("small") != rtl_digest("tiny")
    assert len(rtl_digest("small")) == len(board_digest("ulx3s-85f")) == digest.DIGEST_BYTES
    with pytest.raises(KeyError, match="ulx4"):
        board_digest("ulx4")


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ``hdl/`` that the digests are taken of."""
    folder = tmp_path / "hdl"
    shutil.copytree(Path(digest.__file__).parent, folder, ignore=lambda *_: ["__pycache__"])
    monkeypatch.setattr(digest, "_HDL", folder)
    whole = board_sources
    monkeypatch.setattr(
        boards_digest,
        "board_sources",
        lambda board: [folder / "boards" / path.name for path in whole(board)],
    )
    return folder


@pytest.mark.parametrize(
    ("source", "core", "boards"),
    [
        ("core.py", True, set()),
        ("device.py", True, set()),
        ("field/fold.py", True, set()),
        ("profiles.py", False, set()),
        ("boards/top.py", False, {"ulx3s-85f", "versa-5g"}),
        ("boards/pll.py", False, {"ulx3s-85f", "versa-5g"}),
        ("boards/board.py", False, {"ulx3s-85f", "versa-5g"}),
        ("boards/ulx3s.py", False, {"ulx3s-85f"}),
        ("boards/versa.py", False, {"versa-5g"}),
        ("boards/build.py", False, set()),
        ("boards/doc.py", False, set()),
    ],
)
def test_what_an_edit_changes(copy: Path, source: str, core: bool, boards: set[str]) -> None:
    names = ("ulx3s-85f", "versa-5g")
    before = rtl_digest("small"), {name: board_digest(name) for name in names}
    with (copy / source).open("a") as file:
        file.write("\n# edited\n")
    assert (rtl_digest("small") != before[0]) is core
    assert {name for name in names if board_digest(name) != before[1][name]} == boards


def test_a_profile_makes_only_itself_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rtl_digest("small"), rtl_digest("mid")
    larger = replace(profiles.SMALL, issue_slots=profiles.SMALL.issue_slots + 1)
    monkeypatch.setitem(profiles.PROFILES, "small", larger)
    assert rtl_digest("small") != before[0]
    assert rtl_digest("mid") == before[1]


def test_what_the_tools_are_told_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = board_digest("ulx3s-85f")
    monkeypatch.setattr(boards_digest, "FLOW", ("another script",))
    assert board_digest("ulx3s-85f") != before
