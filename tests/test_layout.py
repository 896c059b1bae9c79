"""The house rules that a reader relies on: who imports whom, and how long a file may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"host": "intaglio", "hdl": "intaglio.hdl", "sim": "intaglio.sim", "tests": None}
MAY_IMPORT = {
    "host": {"host", "bitstreams"},
    "hdl": {"host", "hdl", "bitstreams"},
    "sim": {"host", "hdl", "sim", "bitstreams"},
    "tests": {"host", "hdl", "sim", "bitstreams"},
}
MAX_LINES = 400

SOURCES = sorted(
    path.relative_to(ROOT)
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if "sim_build" not in path.parts
)


def room_of(module):
    """Room of the dotted name ``module``, or ``None`` if it is not ours."""
    parts = module.split(".")
    if parts[0] != "intaglio":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in {"hdl", "sim", "bitstreams"} else "host"


def imports(path, text=None):
    """Absolute dotted names that ``path`` imports, relative imports resolved."""
    tree = ast.parse((ROOT / path).read_text() if text is None else text)
    package = (ROOMS[path.parts[0]] or "tests").split(".") + list(path.parts[1:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_there_are_sources_in_each_room():
    assert {path.parts[0] for path in SOURCES} == set(ROOMS)


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_go_one_way(path):
    allowed = MAY_IMPORT[path.parts[0]]
    for module in imports(path):
        assert room_of(module) in allowed | {None}, f"{path} may not import {module}"


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_no_room_is_imported_by_its_folder(path):
    for module in imports(path):
        assert module.split(".")[0] not in {"host", "hdl", "sim", "bitstreams"}, (
            f"{path} imports {module}: write intaglio.{module}"
        )


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_files_are_short(path):
    lines = len((ROOT / path).read_text().splitlines())
    assert lines <= MAX_LINES, f"{path} has {lines} lines: split it"


@pytest.mark.parametrize(
    ("path", "text", "module"),
    [
        ("host/a/b.py", "import intaglio.sim.board", "intaglio.sim.board"),
        ("host/a/b.py", "from intaglio import hdl", "intaglio.hdl"),
        ("host/a/b.py", "from .. import hdl", "intaglio.hdl"),
        ("host/b.py", "from .sim import board", "intaglio.sim.board"),
        ("host/b.py", "def f():\n    from intaglio.sim.board import x", "intaglio.sim.board.x"),
        ("hdl/field/b.py", "from ...sim import board", "intaglio.sim.board"),
    ],
)
def test_the_check_sees_wrong_imports(path, text, module):
    path = Path(path)
    assert list(imports(path, text)) == [module]
    assert room_of(module) not in MAY_IMPORT[path.parts[0]]
