"""``perf``: how fast the gateware is, by simulation of its RTL and by its routed builds.

What simulates is found through the entry point group :data:`GROUP`, which ``intaglio[sim]``
installs: this module imports no gateware.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from intaglio.bench import plot
from intaglio.cli import common
from intaglio.cli.common import Json, print_json, say, stdout
from intaglio.errors import InputError

GROUP = "intaglio.measurements"
"""Entry point group of what only a simulation can tell."""

Row = Mapping[str, Any]


def part(name: str) -> Any:
    """The entry point ``name`` of :data:`GROUP`. Raises :class:`InputError` if not installed."""
    return common.part(GROUP, name, "sim")


def perf(
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Only this size of the signing core.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Simulate again: minutes for each profile.")
    ] = False,
    save: Annotated[
        bool, typer.Option("--save", help="With --measure: keep what was simulated.")
    ] = False,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png",
            metavar="FILE",
            dir_okay=False,
            help="Draw where a signature's time goes, and rate by issue slots and interval.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Clocks per signature, what limits them, and signatures a second of routed builds.

    Shows the results that are kept with the sources and marks those of another gateware as stale;
    --measure simulates the core under full load instead. Engine rates are those of the core without
    its link; beside them stands what links carry.
    """
    if save and not measure:
        raise InputError("--save keeps what --measure simulates: give both")
    names = list(part("profiles"))
    if profile is not None and profile not in names:
        raise InputError(f"no profile is called {profile!r}: known are {', '.join(names)}")
    if png is not None:
        plot.check(png)
    chosen = names if profile is None else [profile]
    figures = [one for one in part("load")() if one.profile in chosen]
    if measure:
        figures = []
        for name in chosen:
            say(f"simulating {name} under load")
            figures += part("measure")(name)
        if save:
            part("save")(figures)
    if not figures:
        raise InputError(f"nothing is known of {', '.join(chosen)} yet: give --measure")
    rows: list[Row] = part("rows")(figures)
    if png is not None:
        part("draw")(png, figures)
        say(f"wrote {png}")
    if as_json:
        print_json(rows)
    else:
        _show(rows)


def _show(rows: Sequence[Row]) -> None:
    console = stdout()
    engine = Table(title="Engine, without a link; clocks simulated", title_justify="left")
    for heading in ("profile", "check", "curve", "clocks", "multiplier", "bottleneck", "next"):
        engine.add_column(heading)
    engine.add_column("alone", justify="right")
    for row in _each_simulation(rows):
        then = row["limits_next"]
        engine.add_row(
            row["profile"] + (" (stale)" if row["stale"] else ""),
            row["release_check"],
            row["curve"],
            f"{row['cycles_per_signature']:,}",
            f"{row['multiplier_occupancy']:.1%}",
            row["bottleneck"],
            f"{then['unit']}, {then['cycles_per_signature']:,}",
            f"{row['latency_cycles']:,}",
        )
    console.print(engine)
    units = Table(title="How busy its units are", title_justify="left")
    units.add_column("profile, curve")
    for name in rows[0]["units"]:
        units.add_column(name, justify="right")
    for row in _each_simulation(rows):
        shares = (f"{share:.0%}" for share in row["units"].values())
        units.add_row(f"{row['profile']}, {row['curve']}", *shares)
    console.print(units)
    rates = Table(title="Signatures a second: post-route estimates and links", title_justify="left")
    for heading in ("profile", "device", "curve", "Fmax, MHz", "engine"):
        rates.add_column(heading)
    for name in rows[0]["links"]:
        rates.add_column(name, justify="right")
    for row in rows:
        fmax, engine_rate = row["fmax_hz"], row["signatures_per_second"]
        rates.add_row(
            row["profile"],
            row["device"] or "not routed yet",
            row["curve"],
            "" if fmax is None else f"{fmax / 1e6:.1f}",
            "" if engine_rate is None else f"{engine_rate:,}",
            *(f"{row['links'].get(name, 0):,}" for name in rows[0]["links"]),
        )
    console.print(rates)
    if rows[0]["pcie"] is not None:
        _show_pcie(rows)


def _show_pcie(rows: Sequence[Row]) -> None:
    links = {row["curve"]: row["pcie"] for row in reversed(rows)}
    told = next(iter(links.values()))
    stale = " (stale)" if told["stale"] else ""
    table = Table(title="PCIe link: simulated; rates computed" + stale, title_justify="left")
    for heading in ("curve, request", "first, clocks", "next", "TLPs up, down", "their bytes"):
        table.add_column(heading)
    for name in told["links"]:
        table.add_column(f"{name}, per second", justify="right")
    for curve, link in sorted(links.items()):
        table.add_row(
            f"{curve}, {link['request']}",
            f"{link['doorbell_to_completion_cycles']:,}",
            f"{link['cycles_per_request']:,}",
            *(
                ", ".join(f"{link[kind][way]:.4g}" for way in ("up", "down"))
                for kind in ("tlps", "tlp_bytes")
            ),
            *(f"{rate:,}" for rate in link["links"].values()),
        )
    console = stdout()
    console.print(table)
    if told["routed"] is not None:
        cells = dict(told["routed"])
        fmax = cells.pop("fmax_mhz")
        counts = ", ".join(f"{count:,} {cell}" for cell, count in cells.items())
        console.print(f"Alone on {told['device']}: {counts}; {fmax} MHz, estimated after routing")


def _each_simulation(rows: Sequence[Row]) -> list[Row]:
    """The first row of each profile and curve."""
    return list({(row["profile"], row["curve"]): row for row in reversed(rows)}.values())[::-1]
