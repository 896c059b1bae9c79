"""From a board and a profile to a bitstream and its manifest.

::

    BoardTop ─ Amaranth ─> top.il ─ yosys ─> top.json ─┬ nextpnr, seed 1 ─> fmax ┐
                           top.lpf                     ├ nextpnr, seed 2 ─> fmax ┼ best ─ ecppack
                                                       └ ...                     ┘

The same sources, commit, seed and tools give the same bytes. All files stay in the work folder, one
subfolder a seed, so that a failed or slow run can be looked into; the netlist is kept from one run
to the next as long as nothing that decides it has changed.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path

import intaglio
from intaglio import wire
from intaglio.bitstreams import Manifest
from intaglio.curve import DEVICE_CURVES
from intaglio.errors import InputError
from intaglio.hdl.digest import rtl_digest
from intaglio.hdl.profiles import PROFILES, Profile

from . import BOARDS, contents, parts, sites, tools
from .board import Board
from .digest import board_digest
from .flow import SETTINGS, SYNTHESIS, THREADED, routing
from .tools import BuildError
from .top import GIT_REVISION_BYTES, BoardTop

Report = Callable[[str, float], None]
"""Called with what is being done and the seconds since the build began."""

MEASUREMENTS = "intaglio.measurements"
"""Entry point group of what only a simulation can tell; see :func:`cycles_per_signature`."""

ROUTED = "routed.json"
"""The placed and routed netlist: of each seed in its folder, of the best in the work folder too."""

_RESOURCES = {**parts.CELLS, "PLL": "EHXPLLL"}


@dataclass(frozen=True)
class Routed:
    """One placement: its Fmax in Hz, the cells used, and its folder."""

    seed: int
    fmax_hz: int
    utilisation: dict[str, dict[str, int]]
    folder: Path


def named(board: str, profile: str) -> tuple[Board, Profile]:
    """The board and the profile of these names. Raises :class:`InputError` if there is none."""
    if board not in BOARDS:
        raise InputError(f"no board is called {board!r}: known are {', '.join(BOARDS)}")
    if profile not in PROFILES:
        raise InputError(f"no profile is called {profile!r}: known are {', '.join(PROFILES)}")
    return BOARDS[board], PROFILES[profile]


def git_revision() -> bytes:
    """Commit of the checkout that this package runs from; zeros if it does not run from one."""
    root = Path(intaglio.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return bytes(GIT_REVISION_BYTES)
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return bytes(GIT_REVISION_BYTES)
    return bytes.fromhex(done.stdout.strip())


def cycles_per_signature(profile: str) -> dict[str, int | None]:
    """Engine clocks a signature under load, by curve, measured by simulation.

    Asks the entry point ``cycles_per_signature`` of :data:`MEASUREMENTS`, which is called with the
    profile's name and answers such a dictionary; ``None`` for each curve if it is not installed.
    """
    found = [
        point for point in entry_points(group=MEASUREMENTS) if point.name == "cycles_per_signature"
    ]
    if not found:
        return {curve.value: None for curve in DEVICE_CURVES}
    return {str(curve): int(cycles) for curve, cycles in found[0].load()(profile).items()}


def build(
    board: str,
    profile: str,
    *,
    seeds: int = 1,
    jobs: int = 1,
    work: Path,
    report: Report,
) -> tuple[Manifest, bytes]:
    """Build for ``board``, trying ``seeds`` placements, ``jobs`` at a time, in folder ``work``.

    Returns the manifest and the bitstream of the fastest. Raises :class:`InputError` for unknown
    names, :class:`BuildError` if a tool is missing or fails, if the core does not fit, or if no
    placement is as fast as the engine clock.
    """
    chosen, size = named(board, profile)
    clock = _Clock(report)
    clock("measuring cycles per signature")
    cycles = cycles_per_signature(profile)
    revision, tried = git_revision(), range(1, seeds + 1)
    manifest, data = _build(chosen, size, revision, tried, jobs, work, clock)
    return replace(manifest, cycles_per_signature=cycles), data


def synthesise(board: Board, profile: Profile, work: Path, report: Report) -> None:
    """Make ``top.json`` in folder ``work``, the netlist that place and route begins with."""
    clock = _Clock(report)
    work.mkdir(parents=True, exist_ok=True)
    _elaborate(board, profile, git_revision(), work, clock)
    _synthesise(work, board.device, tools.versions()["yosys"], clock)


def check(manifest: Manifest, *, work: Path, report: Report) -> list[str]:
    """Build again what ``manifest`` describes; a sentence for each difference, none if equal.

    What the block RAMs hold is compared with the sources as well.
    """
    board, profile = named(manifest.board, manifest.profile)
    revision = bytes.fromhex(manifest.git_revision)
    built, data = _build(board, profile, revision, [manifest.seed], 1, work, _Clock(report))
    differences = [
        f"{field} is {getattr(built, field)!r}, the manifest says {getattr(manifest, field)!r}"
        for field in (
            "device",
            "clock_hz",
            "fmax_hz",
            "rtl_digest",
            "board_digest",
            "wire_version",
            "tools",
            "utilisation",
            "sha256",
        )
        if getattr(built, field) != getattr(manifest, field)
    ]
    return differences + contents.check(manifest, data, work)


def is_stale(manifest: Manifest) -> bool:
    """Whether the sources of the core, or of its board, have changed since this was built."""
    if manifest.profile not in PROFILES or manifest.board not in BOARDS:
        return True
    built = (manifest.rtl_digest, manifest.board_digest)
    return built != _digests(manifest.board, manifest.profile)


def _digests(board: str, profile: str) -> tuple[str, str]:
    return rtl_digest(profile).hex(), board_digest(board).hex()


class _Clock:
    """Reports with the seconds since it was made."""

    def __init__(self, report: Report) -> None:
        self._report, self._started = report, time.monotonic()

    def __call__(self, stage: str) -> None:
        self._report(stage, time.monotonic() - self._started)


def _build(
    board: Board,
    profile: Profile,
    revision: bytes,
    seeds: Sequence[int],
    jobs: int,
    work: Path,
    report: _Clock,
) -> tuple[Manifest, bytes]:
    told = tools.versions()
    options = _routing(profile)
    told["nextpnr-ecp5"] += f" {' '.join(options)}"
    digests = _digests(board.name, profile.name)
    work.mkdir(parents=True, exist_ok=True)
    _elaborate(board, profile, revision, work, report)
    if _digests(board.name, profile.name) != digests:
        raise BuildError("the sources of the gateware changed while they were read: build again")
    _synthesise(work, board.device, told["yosys"], report)

    def route(seed: int) -> Routed:
        return _route(board, work, seed, options, report)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        routed = list(pool.map(route, seeds))
    best = max(routed, key=lambda result: (result.fmax_hz, -result.seed))
    if best.fmax_hz <= board.clock_hz:
        raise BuildError(
            f"{board.name} would run at {best.fmax_hz / 1e6:.2f} MHz at most, and its engine clock "
            f"is {board.clock_hz / 1e6:g} MHz: try more --seeds"
        )
    kept = work / ROUTED
    kept.unlink(missing_ok=True)
    kept.hardlink_to(best.folder / ROUTED)
    report("packing")
    files = ["--input", "top.config", "--bit", "top.bit"]
    tools.run("ecppack", [*board.pack, *files], best.folder, lambda line: None)
    data = (best.folder / "top.bit").read_bytes()
    manifest = Manifest(
        board=board.name,
        profile=profile.name,
        device=board.device,
        clock_hz=board.clock_hz,
        fmax_hz=best.fmax_hz,
        seeds={str(result.seed): result.fmax_hz for result in routed},
        sha256=hashlib.sha256(data).hexdigest(),
        rtl_digest=digests[0],
        board_digest=digests[1],
        git_revision=revision.hex(),
        wire_version=wire.VERSION,
        tools=told,
        utilisation=best.utilisation,
        cycles_per_signature={curve.value: None for curve in DEVICE_CURVES},
    )
    return manifest, data


def _elaborate(board: Board, profile: Profile, revision: bytes, work: Path, report: _Clock) -> None:
    report("elaborating")
    plan = board.platform().prepare(BoardTop(board, profile, revision), "top", emit_src=False)
    for name in ("top.il", "top.lpf"):
        content = plan.files[name]
        (work / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def _synthesise(work: Path, device: str, version: str, report: _Clock) -> None:
    """The netlist ``top.json``, unless the one that is there came of the same inputs.

    Its multipliers have their sites, and nextpnr its settings; ``device`` is the part these are on.
    """
    key = hashlib.sha256((work / "top.il").read_bytes())
    key.update(f"{SYNTHESIS}{version}{device}{SETTINGS}".encode())
    key.update(Path(sites.__file__).read_bytes())
    marker = work / "top.json.key"
    if marker.is_file() and marker.read_text() == key.hexdigest():
        return
    marker.unlink(missing_ok=True)
    (work / "top.ys").write_text(SYNTHESIS)
    report("synthesising")

    def line(text: str) -> None:
        number, dot, rest = text.partition(" Executing ")
        if dot and number.count(".") == 2:
            report(f"synthesising: {rest.split(' (')[0].strip().rstrip('.')}")

    tools.run("yosys", ["-l", "yosys.log", "top.ys"], work, line)
    report("placing the multipliers")
    netlist = json.loads((work / "top.json").read_text())
    lacks = parts.lacking(parts.of_netlist(netlist), device)
    if lacks:
        raise BuildError(f"the core does not fit: {'; '.join(lacks)}")
    sites.settle(netlist, device)
    for module in netlist["modules"].values():
        module["settings"] = SETTINGS
    (work / "top.json").write_text(json.dumps(netlist))
    marker.write_text(key.hexdigest())


def _routing(profile: Profile) -> tuple[str, ...]:
    yowasp = Path(tools.find("nextpnr-ecp5")).name.startswith("yowasp")
    return routing(profile) if yowasp else (*routing(profile), *THREADED)


def _route(board: Board, work: Path, seed: int, options: Sequence[str], report: _Clock) -> Routed:
    folder = work / f"seed-{seed}"
    folder.mkdir(exist_ok=True)
    for name in ("top.json", "top.lpf"):
        link = folder / name
        link.unlink(missing_ok=True)
        link.hardlink_to(work / name)
    where = f"seed {seed}"
    report(f"{where}: packing into cells")

    def line(text: str) -> None:
        for start, stage in _STAGES:
            if text.startswith(f"Info: {start}"):
                report(f"{where}: {stage}")

    platform = board.platform()
    arguments = [
        platform._nextpnr_device_options[platform.device],
        *("--package", platform._nextpnr_package_options[platform.package].upper()),
        *("--speed", platform.speed, "--seed", str(seed)),
        *("--json", "top.json", "--lpf", "top.lpf", "--textcfg", "top.config"),
        *("--write", ROUTED, "--report", "report.json", "--log", "nextpnr.log"),
        *options,
    ]
    tools.run("nextpnr-ecp5", arguments, folder, line)
    told = json.loads((folder / "report.json").read_text())
    slowest = min((clock["achieved"] for clock in told["fmax"].values()), default=0.0)
    used = told["utilization"]
    utilisation = {
        name: {"used": used[cell]["used"], "available": used[cell]["available"]}
        for name, cell in _RESOURCES.items()
    }
    return Routed(seed, round(slowest * 1e6), utilisation, folder)


_STAGES = (
    ("Running Static placer", "placing"),
    ("Running simulated annealing placer", "refining the placement"),
    ("Running parallel refinement", "refining the placement"),
    ("Routing..", "routing"),
    ("Running router", "routing"),
    ("Critical path report", "timing"),
)
"""How lines of nextpnr's log begin, and the phase each opens."""
