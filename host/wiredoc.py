"""The wire protocol as Markdown tables, from :mod:`intaglio.wire` and :mod:`intaglio.wire_ring`.

``python -m intaglio.wiredoc README.md`` replaces what stands between the fences :data:`BEGIN` and
:data:`END`; ``--check`` only says whether that would change the file; without a file the tables go
to standard output.
"""

from __future__ import annotations

import argparse
import ast
import enum
import inspect
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from intaglio import wire, wire_ring

BEGIN = "<!-- wire tables: begin (make docs) -->"
END = "<!-- wire tables: end -->"

_ENUMS: tuple[tuple[type[enum.IntEnum], int], ...] = (
    (wire.Op, 2),
    (wire.CurveId, 1),
    (wire.Status, 2),
    (wire.ReleaseCheck, 1),
)
"""Each enumeration with the least number of hexadecimal digits its codes are shown with."""

_RING_ENUMS: tuple[tuple[type[enum.IntEnum] | type[enum.IntFlag], int], ...] = (
    (wire_ring.Body, 1),
    (wire_ring.Control, 1),
    (wire_ring.State, 2),
    (wire_ring.Interrupt, 1),
)

_RING_LIMITS = (
    "BAR_BYTES",
    "INLINE_BYTES",
    "BODY_ALIGN_BYTES",
    "RING_ALIGN_BYTES",
    "MIN_RING_LOG2",
    "MAX_RING_LOG2",
)

_LIMITS = (
    "MAX_MESSAGE_BYTES",
    "MAX_REQUEST_BYTES",
    "MAX_REPLY_BYTES",
    "DIGEST_BYTES",
    "KEY_BYTES",
    "PUBLIC_KEY_BYTES",
    "SIGNATURE_BYTES",
    "CRC_BYTES",
    "PAGE_BYTES",
    "TAG_BITS",
)


def member_docs(cls: type[enum.Enum]) -> dict[str, str]:
    """The string that follows each member in the source of ``cls``, on one line; "" if none."""
    tree = ast.parse(inspect.getsource(sys.modules[cls.__module__]))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    docs = {}
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        doc = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            doc = " ".join(str(following.value.value).split())
        docs[statement.targets[0].id] = doc
    return docs


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |"

    return [line(header), "|" + "---|" * len(header), *(line(row) for row in rows), ""]


def _plain(doc: str) -> str:
    return doc.replace("``", "`").replace(":attr:", "").replace(":mod:", "")


def render() -> str:
    """All tables: version and limits, codes, records with offsets, body lengths."""
    lines = [f"Protocol version {wire.VERSION}. All integers are little-endian.", ""]
    lines += _table(["limit", "value"], ((f"`{n}`", getattr(wire, n)) for n in _LIMITS))
    for cls, digits in _ENUMS:
        docs = member_docs(cls)
        lines += [f"**{cls.__name__}** codes", ""]
        if cls is wire.Op:
            rows = [
                (
                    f"`0x{op:0{digits}x}`",
                    op.name,
                    "{}..{}".format(*wire.BODY_BYTES[op]),
                    docs[op.name],
                )
                for op in wire.Op
            ]
            lines += _table(
                ["code", "name", "body bytes", "meaning"], [(*r[:3], _plain(r[3])) for r in rows]
            )
            continue
        lines += _codes(cls, digits)
    for record in wire.RECORDS:
        lines += _record(record)
    return "\n".join([*lines, *_rings()]).rstrip() + "\n"


def _codes(cls: type[enum.IntEnum] | type[enum.IntFlag], digits: int) -> list[str]:
    docs = member_docs(cls)
    rows = ((f"`0x{m:0{digits}x}`", m.name, _plain(docs[m.name or ""])) for m in cls)
    return _table(["code", "name", "meaning"], rows)


def _record(record: wire.Record) -> list[str]:
    rows = (
        (record.offset(f.name), f.size, f"`{f.name}`", f.unit, _plain(f.doc)) for f in record.fields
    )
    return [
        f"**{record.name}** record, {record.size} bytes",
        "",
        *_table(["offset", "bytes", "field", "unit", "meaning"], rows),
    ]


def _rings() -> list[str]:
    """What PCIe adds: limits, registers, codes, records."""
    lines = ["Over PCIe, by registers in BAR 0 and rings in host memory:", ""]
    lines += _table(["limit", "value"], ((f"`{n}`", getattr(wire_ring, n)) for n in _RING_LIMITS))
    lines += ["**registers** in BAR 0", ""]
    identity = (f"`0x{wire_ring.IDENTITY_OFFSET:03x}`", wire.IDENTITY.size, "r", "identity")
    rows = [(*identity, "", "the identity record")]
    rows += [
        (f"`0x{r.offset:03x}`", r.size, r.access.value, f"`{r.name}`", r.unit, r.doc)
        for r in wire_ring.REGISTERS
    ]
    lines += _table(["offset", "bytes", "access", "register", "unit", "meaning"], rows)
    for cls, digits in _RING_ENUMS:
        lines += [f"**{cls.__name__}** codes", "", *_codes(cls, digits)]
    for record in wire_ring.RECORDS:
        lines += _record(record)
    return lines


def refreshed(text: str) -> str:
    """``text`` with the fenced part rendered anew. Raises ``ValueError`` without the fences."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"expected the fences {BEGIN!r} and {END!r} once each")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n{render()}{END}{tail}"


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status (1: ``--check`` found the file stale)."""
    parser = argparse.ArgumentParser(prog="python -m intaglio.wiredoc", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="Markdown file with the fences")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if stale")
    arguments = parser.parse_args(argv)
    if arguments.file is None:
        sys.stdout.write(render())
        return 0
    old = arguments.file.read_text()
    new = refreshed(old)
    if arguments.check:
        return int(old != new)
    arguments.file.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
