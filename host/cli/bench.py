"""``intaglio bench``: latency and throughput of a device, or of our calls beside their peers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

import intaglio
from intaglio.bench import arrivals, payloads, plot
from intaglio.bench.comparison import ROUNDS, Comparison, compared
from intaglio.bench.histogram import needed
from intaglio.bench.load import Plan, Tick
from intaglio.bench.measure import Result, subject
from intaglio.cli.common import (
    FAILED,
    OK,
    Device,
    Json,
    Timeout,
    print_json,
    progress,
    say,
    stdout,
)
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.queued import QueuedSigner
from intaglio.signer import Signer

SECONDS = 5.0
OPEN_IN_FLIGHT = 1024
"""Requests in flight at most in an open loop on a device, unless --in-flight says otherwise."""


def bench(
    device: Device = "soft:",
    curve: Annotated[
        Curve, typer.Option("--curve", "-c", help="Curve of the key.")
    ] = Curve.SECP256K1,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", metavar="BYTES", help="Sign messages of this size instead of orders."
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            min=0.001,
            help=f"How long each run lasts; by default {SECONDS:g}, or as long as --replay.",
        ),
    ] = None,
    in_flight: Annotated[
        int | None,
        typer.Option(
            "--in-flight",
            min=1,
            help="Closed loop: requests in flight (1 by default). Open loop: the most there may "
            f"be ({OPEN_IN_FLIGHT} on a device). Threads where software signs.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.001, help="Open loop: arrivals a second, evenly."),
    ] = None,
    poisson: Annotated[
        bool, typer.Option("--poisson", help="With --rate: arrivals at random times.")
    ] = False,
    replay: Annotated[
        Path | None,
        typer.Option(
            "--replay",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Open loop: arrivals from a file, seconds from the start, a number a line.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of --poisson.")] = 1,
    verify: Annotated[
        Literal["all", "off"],
        typer.Option("--verify", help="Check every signature of a device on this host, or none."),
    ] = "all",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Measure our calls beside those of libraries and SDKs instead."
        ),
    ] = False,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="With --compare: interleaved rounds.")
    ] = ROUNDS,
    scale: Annotated[
        float,
        typer.Option(
            "--scale", min=0.001, help="With --compare: length of a round, 1 as it is meant to be."
        ),
    ] = 1.0,
    png: Annotated[
        Path | None,
        typer.Option(
            "--png",
            metavar="FILE",
            help="Draw percentiles, and throughput against latency, for which lesser loads are "
            "measured too, each for --seconds.",
        ),
    ] = None,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Measure a device: latency percentiles, jitter, throughput, time by stage.

    Without --rate or --replay, in a closed loop: --in-flight requests at any time. With one of
    them, in an open loop: requests arrive at times fixed beforehand and latency counts from the
    intended arrival, so that a device that stalls cannot hide it.

    With --compare, calls of this package beside those they replace, on one key and the same bytes:
    medians of rounds that take turns. Calls whose packages are missing have null for a ratio.

    The exit status is 0 only if every request was signed.
    """
    if compare:
        if png or replay or rate is not None:
            raise InputError("--compare measures calls: leave --rate, --replay and --png out")
        with intaglio.open(device, timeout_s=timeout, verify=verify) as signer:
            say(f"comparing in {rounds} interleaved rounds")
            _tell_comparison(compared(signer, rounds, scale), as_json)
        return
    needed("hdrh.histogram")
    if png is not None:
        plot.check(png)
    loop, offsets, seconds = _arrivals(rate, poisson, replay, seconds, seed)
    payload = payloads.of_order(curve) if size is None else payloads.of_size(size)
    with intaglio.open(device, timeout_s=timeout, verify=verify) as signer:
        plan = Plan(seconds, in_flight or _in_flight(signer, loop), offsets)
        simulated = signer.identity.key_slots > 0 and signer.identity.clock_hz == 0
        with _ticking(offsets) as tick:
            what = subject(signer, curve, payload, tick)
            sweep = [] if png is None else what.sweep(loop, plan, say)
            say(f"{loop} loop, {plan.in_flight} in flight at most, for {seconds:g} s")
            result = what.measure(loop, plan)
        payload_name = "order" if size is None else f"{size} bytes"
        about = {
            "device": device,
            "profile": signer.identity.profile,
            "curve": curve.value,
            "payload": payload_name,
            "verify": verify,
            "simulated": simulated,
        }
    title = f"{curve.value}, {payload_name}, on {device} ({about['profile']})"
    if as_json:
        lesser = {"sweep": [one.to_json() for one in sweep]} if png is not None else {}
        print_json(about | result.to_json() | lesser)
    else:
        _show(title, result, simulated)
    if png is not None:
        plot.draw(png, title + (", simulated" if simulated else ""), result, sweep)
        say(f"wrote {png}")
    raise typer.Exit(OK if result.signed and not (result.errors or result.unsent) else FAILED)


def _arrivals(
    rate: float | None,
    poisson: bool,
    replay: Path | None,
    seconds: float | None,
    seed: int,
) -> tuple[str, list[float] | None, float]:
    """Kind of loop, arrivals of an open one, and seconds it lasts."""
    if rate is not None and replay is not None:
        raise InputError("give --rate or --replay, not both")
    if poisson and rate is None:
        raise InputError("--poisson needs --rate: how many arrivals a second?")
    if replay is not None:
        offsets = arrivals.replay(replay, seconds)
        return "replay", offsets, max(seconds or 0.0, offsets[-1] + 1.0)
    lasting = seconds or SECONDS
    if rate is None:
        return "closed", None, lasting
    if poisson:
        return "poisson", arrivals.poisson(rate, lasting, seed), lasting
    return "fixed", arrivals.fixed(rate, lasting), lasting


def _in_flight(signer: Signer, loop: str) -> int:
    return 1 if loop == "closed" or not isinstance(signer, QueuedSigner) else OPEN_IN_FLIGHT


@contextmanager
def _ticking(offsets: list[float] | None) -> Iterator[Tick]:
    """Shows how many answers have come, where standard error is a terminal."""
    with progress("signing") as bar:

        def tick(signed: int) -> None:
            if bar is not None:
                total = None if offsets is None else len(offsets)
                bar.update(bar.task_ids[0], completed=signed, total=total)

        yield tick


def _show(title: str, result: Result, simulated: bool) -> None:
    names = list(result.latency_us)
    table = Table(title=escape(title), title_justify="left")
    table.add_column("us", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row("latency", *(f"{value:,.1f}" for value in result.latency_us.values()))
    for stage, values in result.stages.items():
        table.add_row(stage, *(f"{values[name]:,.1f}" for name in names))
    if result.cycles:
        cells = (f"{result.cycles[name]:,.0f}" for name in names)
        table.add_row("device cycles", *cells, end_section=True)
    console = stdout()
    if names:
        console.print(table)
    offered = result.offered_per_second
    asked = "" if offered is None else f" of {offered:,.1f} asked for"
    console.print(
        f"{result.signed:,} signatures in {result.elapsed_s:.3f} s, "
        f"{result.per_second:,.1f} a second{asked}; {result.loop} loop, "
        f"at most {result.in_flight} in flight."
    )
    if offered is not None:
        console.print("Latency counts from the intended arrival.")
    if result.unsent:
        console.print(f"[bold red]{result.unsent:,} arrivals were never sent: too high a rate.[/]")
    for error, count in result.errors.items():
        console.print(f"[bold red]{count:,} ended in {error}.[/]")
    if simulated:
        console.print("Simulated: seconds say nothing of a board, device cycles do.")


def _tell_comparison(comparison: Comparison, as_json: bool) -> None:
    for name, command in comparison.missing.items():
        say(f"{name} was not measured, its packages are missing: {command}")
    if as_json:
        print_json(comparison.to_json())
        return
    table = Table(title="Ours and theirs, the same bytes", title_justify="left")
    table.add_column("call", overflow="fold")
    for heading in ("p50 us", "p99 us", "signatures/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in comparison.rows:
        table.add_row(
            escape(row.call), f"{row.p50_us:,.1f}", f"{row.p99_us:,.1f}", f"{row.per_second:,.0f}"
        )
    console = stdout()
    console.print(table)
    for name, ratio in comparison.ratios.items():
        told = "not measured" if ratio is None else f"{ratio:.2f} times as fast"
        console.print(f"{name.ljust(20)}  {told}")
