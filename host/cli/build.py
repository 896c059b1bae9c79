"""``intaglio build``: a bitstream for a board, by open tools.

The boards and the builder are entry points of the group ``intaglio.boards``, which
``intaglio[boards]`` installs: this module imports no gateware.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from intaglio import bitstreams
from intaglio.bitstreams import Manifest
from intaglio.cli import common
from intaglio.cli.common import FAILED, OK, Json, print_fields, print_json, say, stdout
from intaglio.errors import InputError, IntaglioError

GROUP = "intaglio.boards"
"""Entry point group of what building and flashing need of the gateware."""

DEFAULT_PROFILE = "small"
BoardName = Annotated[
    str | None, typer.Argument(metavar="[BOARD]", help="The board; without it, a list of boards.")
]
ProfileName = Annotated[str, typer.Option("--profile", "-p", help="Size of the signing core.")]
Folder = Annotated[
    Path,
    typer.Option("--folder", metavar="DIR", file_okay=False, help="Where the bitstreams are kept."),
]


def part(name: str) -> Any:
    """The entry point ``name`` of :data:`GROUP`. Raises :class:`InputError` if not installed."""
    return common.part(GROUP, name, "boards")


def build(
    board: BoardName = None,
    profile: ProfileName = DEFAULT_PROFILE,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Placements to try; the fastest is kept.")
    ] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Placements at a time.")] = 1,
    check: Annotated[
        bool,
        typer.Option("--check", help="Build what the manifest says again and compare the bytes."),
    ] = False,
    folder: Folder = bitstreams.FOLDER,
    work: Annotated[
        Path, typer.Option("--work", metavar="DIR", help="Where the tools leave their files.")
    ] = Path("build"),
    as_json: Json = False,
) -> None:
    """Build the bitstream of a board with yosys and nextpnr, or --check the one that is there.

    Native tools are taken from PATH (an OSS CAD Suite, say), else YoWASP's from PyPI, which need
    three to five times as long. The routed design must be faster than the engine clock. Writes the
    bitstream and its manifest; --json prints the manifest, or with --check the differences.
    """
    if board is None:
        _list(folder, as_json)
        return
    place = work / f"{board}-{profile}"
    if check:
        manifest = bitstreams.load(board, profile, folder)
        bitstreams.bitstream(manifest, folder)
        if part("is_stale")(manifest):
            raise InputError(
                f"{manifest.name} is stale, so it cannot come out the same: "
                f"check out {manifest.git_revision[:12]}, or build it again"
            )
        with _phases(manifest.name) as report:
            differences = part("check")(manifest, work=place, report=report)
        if as_json:
            print_json({"name": manifest.name, "differences": differences})
        elif differences:
            for difference in differences:
                print(f"{manifest.name}: {difference}")
        else:
            print(f"{manifest.name}: built again, the same bytes: SHA-256 {manifest.sha256}")
        raise typer.Exit(FAILED if differences else OK)
    with _phases(f"{board}-{profile}") as report:
        manifest, data = part("build")(
            board, profile, seeds=seeds, jobs=jobs, work=place, report=report
        )
    path = bitstreams.save(manifest, data, folder)
    title = f"{manifest.name}: {manifest.device}, {manifest.fmax_hz / 1e6:.1f} MHz routed"
    try:
        part("draw")(place / "routed.json", path.with_name(f"{manifest.name}.png"), title)
    except IntaglioError as error:
        say(f"no picture of the floorplan: {error}")
    if as_json:
        print_json(dataclasses.asdict(manifest))
    else:
        print_fields({"bitstream": path, **_shown(manifest)})


def _shown(manifest: Manifest) -> Mapping[str, object]:
    used = manifest.utilisation.items()
    return {
        "device": manifest.device,
        "clock": f"{manifest.clock_hz / 1e6:g} MHz",
        "routed_maximum": f"{manifest.fmax_hz / 1e6:.2f} MHz, seed {manifest.seed}",
        "cells": ", ".join(f"{name} {n['used']} of {n['available']}" for name, n in used),
        "sha256": manifest.sha256,
        "rtl_digest": manifest.rtl_digest,
        "git_revision": manifest.git_revision,
    }


def _list(folder: Path, as_json: bool) -> None:
    """All boards, and which bitstream there is for each."""
    boards, is_stale = part("boards"), part("is_stale")
    made: dict[str, list[Manifest]] = {name: [] for name in boards}
    for manifest in bitstreams.manifests(folder):
        made.setdefault(manifest.board, []).append(manifest)
    if as_json:
        print_json([_listed(name, boards, found, is_stale) for name, found in made.items()])
        return
    table = Table(title="Boards", title_justify="left")
    for heading in ("board", "what it is", "bitstreams"):
        table.add_column(heading)
    for name, found in made.items():
        row = _listed(name, boards, found, is_stale)
        told = [
            f"{one['profile']} at {one['clock_hz'] / 1e6:g} MHz"
            + (" (stale: the gateware has changed since)" if one["stale"] else "")
            for one in row["bitstreams"]
        ]
        table.add_row(name, escape(row["title"]), "\n".join(told) or "none")
    stdout().print(table)


def _listed(
    name: str,
    boards: Mapping[str, Any],
    found: list[Manifest],
    is_stale: Callable[[Manifest], bool],
) -> dict[str, Any]:
    return {
        "board": name,
        "title": boards[name].title if name in boards else "no longer known",
        "bitstreams": [
            {
                "profile": manifest.profile,
                "clock_hz": manifest.clock_hz,
                "fmax_hz": manifest.fmax_hz,
                "stale": is_stale(manifest),
            }
            for manifest in found
        ],
    }


@contextmanager
def _phases(what: str) -> Iterator[Any]:
    """A function that shows a phase and the time so far: a line that moves, or one a phase."""
    if not sys.stderr.isatty():
        lock, last = threading.Lock(), [""]

        def plain(stage: str, seconds: float) -> None:
            with lock:
                phase = stage.partition(": ")[0] if stage.startswith("synth") else stage
                if phase != last[0]:
                    last[0] = phase
                    say(f"{what}: {phase}, {seconds:.0f} s")

        yield plain
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what)
        yield lambda stage, seconds: bar.update(task, description=escape(f"{what}: {stage}"))
