"""Where a configured key comes from: a file, the environment, the system's keyring. Never kept."""

from __future__ import annotations

import os
import stat
from importlib import import_module
from pathlib import Path

from intaglio import wire
from intaglio.errors import InputError

SOURCES = ("file", "env", "keyring")
"""Ways to name a key."""


def read_key(what: str, source: str, reference: str, folder: Path) -> bytearray:
    """The 32 secret bytes that ``reference`` to ``source`` names, for the key called ``what``.

    ``file``: a path, from ``folder`` if relative, that only its owner may read or write; ``env``: a
    variable; ``keyring``: ``service/user`` of the system's keyring (extra ``keyring``). Each holds
    64 hexadecimal digits. Raises :class:`InputError`, whose text never shows what was read.
    """
    if source == "file":
        text = _from_file(what, folder / reference)
    elif source == "env":
        if reference not in os.environ:
            raise InputError(f"key {what!r}: the environment has no variable {reference}: set it")
        text = os.environ[reference]
    else:
        text = _from_keyring(what, reference)
    try:
        secret = bytearray.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        raise InputError(
            f"key {what!r}: its {source} {reference} does not hold hexadecimal digits: "
            f"write {2 * wire.KEY_BYTES} of them"
        ) from None
    if len(secret) != wire.KEY_BYTES:
        raise InputError(
            f"key {what!r}: its {source} {reference} holds {len(secret)} bytes: "
            f"it must hold {wire.KEY_BYTES}"
        )
    return secret


def _from_file(what: str, path: Path) -> str:
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise InputError(
                    f"key {what!r}: others may use its file {path} (mode {mode & 0o777:o}): "
                    f"chmod 600 {path}"
                )
            return file.read(4 * wire.KEY_BYTES)
    except OSError as error:
        raise InputError(
            f"key {what!r}: cannot read its file {path} ({error.strerror}): "
            "check the path and who may read it"
        ) from None
    except UnicodeDecodeError:
        raise InputError(
            f"key {what!r}: its file {path} is not text: write the key as hexadecimal digits"
        ) from None


def _from_keyring(what: str, reference: str) -> str:
    service, slash, user = reference.rpartition("/")
    if not slash or not service or not user:
        raise InputError(f"key {what!r}: keyring = {reference!r} must be 'service/user'")
    try:
        keyring = import_module("keyring")
    except ImportError:
        raise InputError(
            f"key {what!r} is in the system's keyring: pip install 'intaglio[keyring]'"
        ) from None
    try:
        text = keyring.get_password(service, user)
    except Exception as error:  # back ends raise what they like
        raise InputError(
            f"key {what!r}: the system's keyring did not answer ({type(error).__name__}): "
            "unlock it, or name a file or a variable"
        ) from None
    if text is None:
        raise InputError(
            f"key {what!r}: the system's keyring holds nothing for {reference}: "
            f"keyring set {service} {user}"
        )
    return str(text)
