"""JSON Lines, read one line at a time so that a file of any length takes bounded memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from intaglio.errors import InputError

MAX_LINE_BYTES = 1 << 16
"""Longest line read; a 4096-byte message takes 8192 hexadecimal digits."""


class Line(NamedTuple):
    """A line's number, from 1, and its object, or the sentence that says why it is none."""

    number: int
    value: dict[str, Any] | None
    error: str | None


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """The file ``name``, ``-`` being standard input. Raises :class:`InputError`."""
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(name, "rb")  # noqa: SIM115 - closed below; the block must not catch its body
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from None
    with file:
        yield file


def read(file: BinaryIO) -> Iterator[Line]:
    """Every line of ``file`` that is not blank."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(MAX_LINE_BYTES)
            yield Line(number, None, f"the line is longer than {MAX_LINE_BYTES} bytes; shorten it")
        elif raw.strip():
            yield _parse(number, raw)


def _parse(number: int, raw: bytes) -> Line:
    try:
        value = json.loads(raw.decode("utf-8-sig").rstrip())
    except json.JSONDecodeError as error:
        return Line(number, None, f"not JSON ({error.msg} at column {error.colno}); mend the line")
    except UnicodeDecodeError:
        return Line(number, None, "not UTF-8 text; save the file as UTF-8")
    except RecursionError:
        return Line(number, None, "nested too deeply; give a flat object")
    if not isinstance(value, dict):
        return Line(number, None, "not a JSON object; write {...} on each line")
    return Line(number, value, None)
