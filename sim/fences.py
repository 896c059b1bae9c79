"""Generated parts of Markdown files, between fences.

``<!-- NAME: begin (make docs) -->`` opens a part and ``<!-- NAME: end -->`` closes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence


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
