"""The engine's generated tables: instruction set, operation counts, cycles.

``python -m intaglio.sim.enginedoc hdl/README.md`` renders anew what stands between each pair of
fences ``<!-- NAME: begin (make docs) -->`` and ``<!-- NAME: end -->`` of the file; ``--check`` only
says whether that would change it.
"""

from __future__ import annotations

import ast
import enum
import inspect
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

from intaglio.hdl.engine import isa
from intaglio.hdl.engine.isa import FIELDS, INSTRUCTION_BITS, Instruction, Out
from intaglio.hdl.engine.programs import Image, Program
from intaglio.sim import budget, perfdoc
from intaglio.sim.fences import command, table
from intaglio.sim.model import cycles
from intaglio.wire import ReleaseCheck

WINDOWS = (4, 5, 6)


def _member_docs(kind: type[enum.IntEnum]) -> dict[str, str]:
    """The string after each member in the source of ``kind``, on one line."""
    tree = ast.parse(inspect.getsource(isa))
    body = next(
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    docs = {}
    for statement, following in pairwise(body):
        if (
            isinstance(statement, ast.Assign)
            and isinstance(statement.targets[0], ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            text = " ".join(str(following.value.value).split()).replace("``", "`")
            docs[statement.targets[0].id] = text.replace("|", "\\|")
    return docs


def instruction_set() -> str:
    """Fields of the instruction word, then the codes of each field that has names for them."""
    rows, low = [], 0
    for field in FIELDS:
        bits = f"{low}" if field.bits == 1 else f"{low + field.bits - 1}..{low}"
        names = f"`{field.kind.__name__}`" if field.kind else ""
        rows.append((bits, f"`{field.name}`", names, field.doc))
        low += field.bits
    parts = [
        f"{INSTRUCTION_BITS} bits.",
        table(["bits", "field", "codes", "meaning"], rows),
    ]
    codes = [
        (f"`{kind.__name__}`", int(member), member.name, _member_docs(kind).get(member.name, ""))
        for kind in dict.fromkeys(field.kind for field in FIELDS if field.kind)
        for member in kind
    ]
    parts.append(table(["codes", "code", "name", "meaning"], codes))
    return "\n\n".join(parts)


def _count(image: Image, program: Program, wanted: Callable[[Instruction], bool]) -> int:
    return sum(map(wanted, image.programs[program]))


def operation_counts() -> str:
    """Instructions of each program by kind, at window 4, and their number at the others."""
    images = {window: Image(window, release_check=ReleaseCheck.DOUBLE) for window in WINDOWS}
    bare = Image(4, release_check=ReleaseCheck.NONE)
    image, rows = images[4], []
    for program in Program:
        fold = _count(image, program, lambda i: i.out == Out.FOLD)
        total = len(image.programs[program])
        rows.append(
            (
                f"`{program.name}`",
                fold,
                total - fold,
                _count(image, program, lambda i: i.out == Out.HIGH),
                total - len(bare.programs.get(program, [])),
                *(len(images[window].programs[program]) for window in WINDOWS),
            )
        )
    header = ["program", "mod p", "raw", "of these: reductions mod n", "of these: release check"]
    return table([*header, *(f"all, w = {window}" for window in WINDOWS)], rows)


TABLES: dict[str, Callable[[], str]] = {
    "instruction set": instruction_set,
    "operation counts": operation_counts,
    "cycles": cycles.markdown,
    "limits": perfdoc.limits,
    "budget": budget.table,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """See :func:`.fences.command`."""
    return command(TABLES, "Refresh the engine's tables in a Markdown file.", arguments)


if __name__ == "__main__":
    sys.exit(main())
