"""Generated parts of Markdown files, between fences.

``<!-- NAME: begin (make docs) -->`` opens a part and ``<!-- NAME: end -->`` closes it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def refreshed(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """``text`` with every fenced part rendered anew.

    Raises ``ValueError`` if one of ``tables`` does not have its fences once each.
    """
    for name, render in tables.items():
        begin, end = f"<!-- {name}: begin (make docs) -->", f"<!-- {name}: end -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"expected the fences {begin!r} and {end!r} once each")
        head, rest = text.split(begin)
        text = f"{head}{begin}\n{render()}\n{end}{rest.split(end)[1]}"
    return text


def command(
    tables: Mapping[str, Callable[[], str]], description: str, arguments: Sequence[str] | None
) -> int:
    """Command line that refreshes a file; returns the exit status (1: ``--check``, and stale)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("file", type=Path, help="Markdown file with the fences")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if stale")
    options = parser.parse_args(arguments)
    old = options.file.read_text()
    new = refreshed(old, tables)
    if options.check:
        return int(old != new)
    options.file.write_text(new)
    return 0
