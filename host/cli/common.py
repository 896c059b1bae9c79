"""What every verb shares: options, output, and reading hexadecimal, messages and curves.

Results go to standard output, everything else to standard error. No function here puts a value that
may be a key into a message.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from intaglio import wire
from intaglio.curve import Curve
from intaglio.errors import InputError

WIDTH = 120
"""Columns of a table that does not go to a terminal."""

OK, FAILED, USAGE = 0, 1, 2
"""Exit statuses: all well; something failed or differed; the command line or its data is wrong."""


_URLS = (
    "soft: (libraries), model: (golden model), sim: or sim:?profile=NAME (simulated board), "
    "uart:/dev/ttyUSB0?baud=3000000 (serial port), pcie:0000:03:00.0 (slot), sim:pcie and "
    "model:pcie (the same driver, simulated), pool:FILE.toml (many of them)."
)
Device = Annotated[
    str, typer.Option("--device", "-d", metavar="URL", envvar="INTAGLIO_DEVICE", help=_URLS)
]
OptionalDevice = Annotated[str | None, typer.Option("--device", "-d", metavar="URL", help=_URLS)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="SECONDS", min=0.001, help="Longest wait for one answer of the device."
    ),
]
KEY_HELP = (
    "The 32-byte secret as 64 hex digits: @FILE, env:NAME or - (standard input). "
    "Given literally it works too, but every user can then read it with ps."
)


class Payload(NamedTuple):
    """What is to be signed: exactly one of the two."""

    message: bytes | None
    digest: bytes | None


def part(group: str, name: str, extra: str) -> Any:
    """Entry point ``name`` of ``group``, of what ``pip install 'intaglio[extra]'`` brings.

    Raises :class:`InputError` if it is not installed.
    """
    try:
        (found,) = (point for point in entry_points(group=group) if point.name == name)
        return found.load()
    except (ValueError, ImportError) as error:
        missing = f" ({error})" if isinstance(error, ImportError) else ""
        raise InputError(
            f"this needs parts that are not installed{missing}: pip install 'intaglio[{extra}]'"
        ) from None


def stdout() -> Console:
    """Console for results."""
    return Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH)


def say(text: str) -> None:
    """One line on standard error."""
    print(f"intaglio: {text}", file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """``value`` as one line of JSON on standard output."""
    print(json.dumps(value), flush=True)


def print_fields(fields: Mapping[str, object]) -> None:
    """One line for each of ``fields`` that is not None, never wrapped, so that it can be copied."""
    width = max(map(len, fields))
    for name, value in fields.items():
        if value is not None:
            print(f"{name.replace('_', ' ').ljust(width)}  {value}")


@contextmanager
def progress(what: str, *, printing: bool = False) -> Iterator[Progress | None]:
    """A progress bar on standard error with one task, or None where that is no terminal.

    ``printing``: results are printed meanwhile, so no bar if they go to a terminal too.
    """
    if not sys.stderr.isatty() or (printing and sys.stdout.isatty()):
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(file=sys.stderr)
    with Progress(
        *columns, TimeElapsedColumn(), console=console, transient=True, redirect_stdout=False
    ) as bar:
        bar.add_task(what, total=None)
        yield bar


def advance(bar: Progress | None) -> None:
    """One step of the only task of ``bar``."""
    if bar is not None:
        bar.advance(bar.task_ids[0])


def from_hex(text: str, what: str, size: int | None = None) -> bytes:
    """Bytes of ``text``. Raises :class:`InputError` naming ``what``, never the text itself."""
    try:
        data = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        raise InputError(f"the {what} is not hexadecimal; give pairs of digits 0-9 a-f") from None
    if size is not None and len(data) != size:
        raise InputError(f"the {what} has {len(data)} bytes; it must have {size}")
    return data


def check_message(message: bytes) -> bytes:
    """``message`` itself. Raises :class:`InputError` above the protocol's limit."""
    if len(message) > wire.MAX_MESSAGE_BYTES:
        raise InputError(
            f"the message has {len(message)} bytes; the limit is {wire.MAX_MESSAGE_BYTES}: "
            "shorten it, or hash it yourself and sign the digest (ECDSA)"
        )
    return message


def check_digest(curve: Curve, digest: bytes) -> bytes:
    """``digest`` itself. Raises :class:`InputError` for Ed25519 or a length other than 32."""
    if curve is Curve.ED25519:
        raise InputError("Ed25519 signs messages, not digests; give the message instead")
    if len(digest) != wire.DIGEST_BYTES:
        raise InputError(
            f"the digest has {len(digest)} bytes; it must have {wire.DIGEST_BYTES}: "
            "give a SHA-256 or Keccak-256 hash, or the message itself"
        )
    return digest


def read_payload(
    curve: Curve, message: str | None, message_file: str | None, digest: str | None
) -> Payload:
    """The payload from the three options, of which exactly one must be given."""
    if sum(option is not None for option in (message, message_file, digest)) != 1:
        raise InputError("give exactly one of --message, --message-file and --digest")
    if digest is not None:
        return Payload(None, check_digest(curve, from_hex(digest, "digest")))
    if message is not None:
        return Payload(check_message(from_hex(message, "message")), None)
    return Payload(_read_message_file(str(message_file)), None)


def _read_message_file(name: str) -> bytes:
    try:
        if name == "-":
            return check_message(sys.stdin.buffer.read())
        path = Path(name)
        if path.is_file() and path.stat().st_size > wire.MAX_MESSAGE_BYTES:
            raise InputError(
                f"{name} has {path.stat().st_size} bytes; "
                f"the limit of a message is {wire.MAX_MESSAGE_BYTES}"
            )
        return check_message(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from None
