"""A picture of a measurement: percentiles of latency and stages, and throughput against latency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intaglio.bench.histogram import PERCENTILES, needed
from intaglio.bench.measure import Points, Result
from intaglio.errors import InputError

SIZE_INCHES = (11.0, 4.5)
DOTS_PER_INCH = 120


def check(path: Path) -> None:
    """Raise :class:`InputError` if no PNG can be written to ``path``, before hours are spent."""
    needed("matplotlib.figure")
    if path.suffix.lower() != ".png":
        raise InputError(f"--png writes PNG: {path} must end in .png")
    if not path.parent.is_dir():
        raise InputError(f"--png: there is no folder {path.parent}; make it first")


def draw(path: Path, title: str, result: Result, sweep: Sequence[Result]) -> None:
    """Write the PNG ``path``: the percentiles of ``result``, and ``sweep`` with it by throughput.

    Raises :class:`InputError` if it cannot be written, or nothing was signed.
    """
    if not result.signed:
        raise InputError(f"{path} was not drawn, as nothing was signed: measure for longer")
    figure = needed("matplotlib.figure").Figure(SIZE_INCHES, layout="constrained")
    left, right = figure.subplots(1, 2)
    _percentiles(left, result)
    _throughput(right, [*sweep, result])
    figure.suptitle(title)
    try:
        figure.savefig(path, format="png", dpi=DOTS_PER_INCH)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _percentiles(axes: Any, result: Result) -> None:
    for name, points in result.stage_curves.items():
        _steps(axes, points, label=name, linewidth=1.0)
    _steps(axes, result.curve, label="latency", color="black", linewidth=2.0)
    axes.set_xscale("log")
    ticks = {100.0 / (100.0 - value): f"{value:g}" for value in PERCENTILES.values()}
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.xaxis.minorticks_off()
    axes.set_xlabel("percentile")
    _microseconds(axes)
    since = "was made" if result.offered_per_second is None else "was meant to arrive"
    axes.set_title(f"latency of a request since it {since}, and its stages", fontsize="medium")
    axes.legend(fontsize="small")
    axes.grid(True, alpha=0.3)


def _steps(axes: Any, points: Points, **style: Any) -> None:
    above = [100.0 / (100.0 - percentile) for percentile, _ in points]
    axes.plot(above, [value for _, value in points], drawstyle="steps-post", **style)


def _throughput(axes: Any, results: Sequence[Result]) -> None:
    ordered = sorted((result for result in results if result.latency_us), key=_load)
    rates = [result.per_second for result in ordered]
    for name in ("p50", "p99"):
        axes.plot(rates, [one.latency_us[name] for one in ordered], marker="o", label=name)
    for result in ordered:
        if result.offered_per_second is None:
            axes.annotate(
                f"{result.in_flight}",
                (result.per_second, result.latency_us["p99"]),
                textcoords="offset points",
                xytext=(0, 6),
                ha="center",
            )
    axes.set_xlim(left=0)
    axes.set_xlabel("signatures per second")
    _microseconds(axes)
    closed = any(result.offered_per_second is None for result in results)
    what = "throughput and latency, by requests in flight" if closed else "throughput and latency"
    axes.set_title(what, fontsize="medium")
    axes.legend()
    axes.grid(True, alpha=0.3)
    axes.margins(y=0.1)


def _microseconds(axes: Any) -> None:
    """Latency on the vertical axis, logarithmic, with plain numbers."""
    ticker = needed("matplotlib.ticker")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.minorticks_off()
    axes.set_ylabel("latency, us")


def _load(result: Result) -> float:
    return result.offered_per_second or result.in_flight
