"""The digest that names a build of the gateware: its sources, its profile and the compiler."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import intaglio

_HDL = Path(__file__).parent
_HOST = Path(intaglio.__file__).parent
_HOST_SOURCES = ("wire.py", "wire_ring.py", "params.py")

DIGEST_BYTES = 16
"""Bytes of :func:`rtl_digest`, the width of ``rtl_digest`` in the identity record."""


def _sources() -> Iterator[tuple[str, bytes]]:
    for path in sorted(_HDL.rglob("*.py"), key=lambda path: path.relative_to(_HDL).as_posix()):
        yield f"hdl/{path.relative_to(_HDL).as_posix()}", path.read_bytes()
    for name in _HOST_SOURCES:
        yield f"host/{name}", (_HOST / name).read_bytes()


def rtl_digest(profile_name: str) -> bytes:
    """First 16 bytes of the SHA-256 over everything that decides what the gateware does.

    That is: every Python source of ``hdl/`` in the order of its path, the files of ``host/`` that
    :data:`_HOST_SOURCES` names, the profile's name and the version of Amaranth. Each part enters
    with its name and its length, so that no two sets of sources give the same input.
    """
    digest = hashlib.sha256()
    parts = [*_sources(), ("profile", profile_name.encode()), ("amaranth", _amaranth())]
    for name, content in parts:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.digest()[:DIGEST_BYTES]


def _amaranth() -> bytes:
    return version("amaranth").encode()
