"""Bitstreams and their manifests, as package data: ``<board>-<profile>.bit.gz`` and ``.json``.

A manifest says what a bitstream holds and how it was made; see ``README.md`` of this folder for the
meaning of each field. Bitstreams are written by ``intaglio build`` and read by ``intaglio flash``.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intaglio.errors import InputError, IntaglioError

FOLDER = Path(__file__).parent
"""Where the bitstreams of this package lie."""


class BitstreamError(IntaglioError):
    """A bitstream or its manifest is damaged."""


@dataclass(frozen=True)
class Manifest:
    """What is known of one bitstream."""

    board: str
    profile: str
    device: str
    """Part number of the FPGA."""
    clock_hz: int
    """Engine clock that the bitstream runs at."""
    fmax_hz: int
    """Routed maximum of that clock, as nextpnr estimates it; above ``clock_hz``."""
    seeds: dict[str, int]
    """Fmax in Hz of every placement tried, by seed; the bitstream is that of the best."""
    sha256: str
    """Of the uncompressed bitstream, hexadecimal."""
    rtl_digest: str
    """Sources of the core, as in the identity record; hexadecimal."""
    board_digest: str
    """Sources of what surrounds the core on this board; hexadecimal."""
    git_revision: str
    """As in the identity record, hexadecimal: the commit it was built from."""
    wire_version: int
    tools: dict[str, str]
    """Version of every tool that the bytes depend on."""
    utilisation: dict[str, dict[str, int]]
    """For each kind of cell how many are ``used`` and ``available``."""
    cycles_per_signature: dict[str, int | None]
    """Engine clocks a signature under load, by curve; ``null`` where not measured."""

    @property
    def name(self) -> str:
        """File name without its ending."""
        return f"{self.board}-{self.profile}"

    @property
    def seed(self) -> int:
        """The seed of the placement in the bitstream: the fastest, and of equals the lowest."""
        return min((int(seed) for seed in self.seeds), key=lambda s: (-self.seeds[str(s)], s))


def manifests(folder: Path = FOLDER) -> list[Manifest]:
    """All manifests in ``folder``, by name. Raises :class:`BitstreamError` for a broken one."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def load(board: str, profile: str, folder: Path = FOLDER) -> Manifest:
    """The manifest of one bitstream. Raises :class:`InputError` if there is none."""
    path = folder / f"{board}-{profile}.json"
    if not path.is_file():
        raise InputError(
            f"there is no bitstream of profile {profile!r} for {board}: "
            f"make it with intaglio build {board} --profile {profile}"
        )
    return _read(path)


def _read(path: Path) -> Manifest:
    try:
        fields: dict[str, Any] = json.loads(path.read_text())
        return Manifest(**fields)
    except (ValueError, TypeError) as error:
        raise BitstreamError(f"{path} is not a manifest ({error}): build it again") from None


def bitstream(manifest: Manifest, folder: Path = FOLDER) -> bytes:
    """The uncompressed bitstream, compared with the manifest's hash.

    Raises :class:`BitstreamError` if it is absent, damaged or another one.
    """
    path = folder / f"{manifest.name}.bit.gz"
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise BitstreamError(f"cannot read {path} ({error}): build it again") from None
    found = hashlib.sha256(data).hexdigest()
    if found != manifest.sha256:
        raise BitstreamError(
            f"{path} has SHA-256 {found}, its manifest says {manifest.sha256}: build it again"
        )
    return data


def save(manifest: Manifest, data: bytes, folder: Path = FOLDER) -> Path:
    """Write a bitstream and its manifest, the same bytes for the same inputs; path of the first."""
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise BitstreamError(f"the manifest of {manifest.name} is not that of the bitstream")
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=9, mtime=0) as file:
        file.write(data)
    path = folder / f"{manifest.name}.bit.gz"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed.getvalue())
    text = json.dumps(dataclasses.asdict(manifest), indent=2)
    (folder / f"{manifest.name}.json").write_text(text + "\n")
    return path
