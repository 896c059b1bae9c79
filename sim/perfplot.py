"""A picture of the engine's time: stages of a signature, and rate by issue slots and interval."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from intaglio.bench.histogram import needed
from intaglio.errors import InputError
from intaglio.hdl.engine.barrel import Barrel
from intaglio.hdl.engine.programs import Image
from intaglio.hdl.profiles import PROFILES
from intaglio.sim.model.cycles import STREAMS, Simulation, Size
from intaglio.sim.perf import Figures

SIZE_INCHES = (13.0, 9.0)
DOTS_PER_INCH = 110

INTERVALS = (2, 4, 8, 16)
SLOTS = (1, 2, 4, 8, 16, 32, 64)
JOBS_PER_SLOT = 2
"""Job contexts of the modelled sizes, at least 8."""


def draw(path: Path, figures: Sequence[Figures]) -> None:
    """Write the PNG ``path``. Raises :class:`InputError` if it cannot be written."""
    figure = needed("matplotlib.figure").Figure(SIZE_INCHES, layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1 + len(figures), 4])
    _timelines(above, figures)
    left, right = below.get_subplotspec().subgridspec(1, 2).subplots()
    below.remove()
    window = PROFILES[figures[0].profile].window
    for axes, stream in ((left, "Ed25519"), (right, "ECDSA")):
        _growth(axes, stream, window)
    try:
        figure.savefig(path, format="png", dpi=DOTS_PER_INCH)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _timelines(axes: Any, figures: Sequence[Figures]) -> None:
    """A bar for each timeline: stages one after the other, waiting pale."""
    bars = [
        (f"{one.profile}, {one.curve}, {how}", one.timeline[how])
        for one in figures
        for how in ("alone", "loaded")
    ]
    names = dict.fromkeys(name for _, stages in bars for name, *_ in stages)
    colours = {name: f"C{index}" for index, name in enumerate(names)}
    shown: set[str] = set()
    for row, (_, stages) in enumerate(bars):
        at = 0
        for name, waited, worked in stages:
            axes.barh(row, waited, left=at, color="0.9", edgecolor="0.8", linewidth=0.3)
            label = None if name in shown else name
            axes.barh(row, worked, left=at + waited, color=colours[name], label=label)
            shown.add(name)
            at += waited + worked
    axes.set_yticks(range(len(bars)), [label for label, _ in bars])
    axes.invert_yaxis()
    axes.set_xlabel("clocks since the request was taken; grey: waiting for the next station")
    axes.set_title("Where a signature's time goes: RTL simulation, means", fontsize="medium")
    axes.legend(fontsize="small", ncols=2)


def _growth(axes: Any, stream: str, window: int) -> None:
    for interval in INTERVALS:
        rates = [1e6 / rate(stream, window, interval, slots) for slots in SLOTS]
        axes.plot(SLOTS, rates, marker="o", label=f"interval {interval}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(SLOTS, list(map(str, SLOTS)))
    axes.set_xlabel("issue slots")
    axes.set_ylabel("signatures in a million clocks")
    axes.set_title(f"{stream}, window {window}: cycle-level model", fontsize="medium")
    axes.grid(True, alpha=0.3)
    axes.legend(fontsize="small")


@cache
def _latency(interval: int) -> int:
    return Barrel(Image(4), interval=interval, slots=1, jobs=8, keys=2).latency


@cache
def rate(stream: str, window: int, interval: int, slots: int) -> float:
    """Clocks a signature of one of :data:`STREAMS`, with lanes and inverters never in the way."""
    jobs = max(8, JOBS_PER_SLOT * slots)
    size = Size(window, interval, _latency(interval), slots, jobs, 8, 8, 8)
    return Simulation(size).sign(STREAMS[stream] * (4 * jobs + 40)).clocks_per_signature
