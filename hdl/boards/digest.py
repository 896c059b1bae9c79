"""The digest of what surrounds the core in a bitstream: the board, and how it is synthesised."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from intaglio.hdl.digest import digest_of

from . import FAMILIES
from .flow import FLOW

_SHARED = ("board.py", "pll.py", "reset.py", "sites.py", "top.py")


def board_sources(board: str) -> list[Path]:
    """The files of this folder that decide what ``board`` carries besides the core.

    Raises :class:`KeyError` for an unknown board.
    """
    family = {known.name: module for module in FAMILIES for known in module.BOARDS}[board]
    folder = Path(__file__).parent
    return [*(folder / name for name in _SHARED), Path(str(family.__file__))]


def board_digest(board: str) -> bytes:
    """First 16 bytes of the SHA-256 over everything about a board that decides its bitstream.

    That is: its name, :func:`board_sources`, the scripts and options of the tools, and the version
    of amaranth-boards. With :func:`intaglio.hdl.digest.rtl_digest`, the commit, the seed and the
    versions of the tools it decides every byte. Raises :class:`KeyError` for an unknown board.
    """
    return digest_of(
        [
            ("board", board.encode()),
            *((path.name, path.read_bytes()) for path in board_sources(board)),
            ("flow", "\n".join(FLOW).encode()),
            ("amaranth-boards", version("amaranth-boards").encode()),
        ]
    )
