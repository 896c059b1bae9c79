"""The digest that names a build of the gateware: its sources, its profile and the compiler."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import intaglio

from .profiles import PROFILES

_HDL = Path(__file__).parent
_HOST = Path(intaglio.__file__).parent
_HOST_SOURCES = ("wire.py", "wire_ring.py", "params.py")
_BOARDS = "boards"
_PROFILES = "profiles.py"

DIGEST_BYTES = 16
"""Bytes of :func:`rtl_digest`, the width of ``rtl_digest`` in the identity record."""


def core_sources() -> Iterator[tuple[str, Path]]:
    """Name and path of every source that the core is made of, in order.

    Those are the Python files of ``hdl/``, and of ``host/`` those that define the protocol, on its
    own and over PCIe, and the curves. Of ``hdl/``, ``boards/`` is not among them, which nothing in
    the core imports, nor are the profiles, of which each core is made of one.
    """
    for path in sorted(_HDL.rglob("*.py"), key=lambda path: path.relative_to(_HDL).as_posix()):
        name = path.relative_to(_HDL)
        if name.parts[0] not in (_BOARDS, _PROFILES):
            yield f"hdl/{name.as_posix()}", path
    for host in _HOST_SOURCES:
        yield f"host/{host}", _HOST / host


def rtl_digest(profile_name: str) -> bytes:
    """First 16 bytes of the SHA-256 over everything that decides what the core does.

    That is: :func:`core_sources`, the profile, of which only the name counts if it is not among
    :data:`~intaglio.hdl.profiles.PROFILES`, and the version of Amaranth. What surrounds the core on
    a board has a digest of its own: :mod:`intaglio.hdl.boards.digest`.
    """
    return digest_of(
        [
            *((name, path.read_bytes()) for name, path in core_sources()),
            ("profile", repr(PROFILES.get(profile_name, profile_name)).encode()),
            ("amaranth", version("amaranth").encode()),
        ]
    )


def digest_of(parts: Iterable[tuple[str, bytes]]) -> bytes:
    """First 16 bytes of the SHA-256 over named contents.

    Each part enters with its name and its length, so that no two lists give the same input.
    """
    digest = hashlib.sha256()
    for name, content in parts:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.digest()[:DIGEST_BYTES]
