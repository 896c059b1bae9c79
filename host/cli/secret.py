"""Where secret keys come from: a file, the environment, standard input or the command line."""

from __future__ import annotations

import getpass
import os
import stat
import sys
from pathlib import Path

from intaglio import wire
from intaglio.cli.common import say
from intaglio.curve import Curve
from intaglio.errors import InputError


def read_secret(source: str, curve: Curve) -> bytes:
    """The 32 secret bytes that ``source`` names, valid on ``curve``.

    ``source`` is ``@FILE``, ``env:NAME``, ``-`` or 64 hexadecimal digits. Warns on standard error
    if the file is readable by others or the key stands on the command line. Raises
    :class:`InputError`, whose text never contains what was read.
    """
    if source.startswith("@"):
        return parse_secret(_from_file(source[1:]), curve, f"the key in {source[1:]}")
    if source.startswith("env:"):
        name = source[4:]
        if name not in os.environ:
            raise InputError(f"the environment has no variable {name}; set it or use @FILE")
        return parse_secret(os.environ[name], curve, f"the key in variable {name}")
    if source == "-":
        return parse_secret(_from_stdin(), curve, "the key on standard input")
    secret = parse_secret(source, curve, "--key")
    say(
        "warning: a key on the command line is visible to every user (ps) and stays in the shell's "
        "history; prefer --key @FILE, env:NAME or -"
    )
    return secret


def parse_secret(text: str, curve: Curve, what: str = "the key") -> bytes:
    """32 bytes from 64 hexadecimal digits, checked to be a key of ``curve``."""
    digits = text.strip().removeprefix("0x")
    try:
        secret = bytes.fromhex(digits)
    except ValueError:
        raise InputError(
            f"{what} is not hexadecimal; give {2 * wire.KEY_BYTES} digits, @FILE, env:NAME or -"
        ) from None
    if len(secret) != wire.KEY_BYTES:
        raise InputError(f"{what} has {len(secret)} bytes; it must have {wire.KEY_BYTES}")
    if curve is not Curve.ED25519:
        scalar = int.from_bytes(secret, "big")
        if not 0 < scalar < curve.order:
            wrong = "0" if scalar == 0 else "not below the group order n"
            raise InputError(f"{what} is {wrong}; a {curve.value} key is one of 1..n-1")
    return secret


def _from_stdin() -> str:
    if sys.stdin.isatty():
        return getpass.getpass("Key (hex, not shown): ")
    return sys.stdin.readline(4 * wire.KEY_BYTES)


def _from_file(name: str) -> str:
    path = Path(name)
    try:
        mode = path.stat().st_mode
        with path.open() as file:
            text = file.readline(4 * wire.KEY_BYTES)
    except OSError as error:
        raise InputError(f"cannot read the key file {name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"the key file {name} is not text; write the key as hex digits") from None
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        say(f"warning: others can read the key file {name}; run: chmod 600 {name}")
    return text
