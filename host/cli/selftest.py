"""``intaglio selftest``: published vectors and comparison with the libraries, on one device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import intaglio
from intaglio import selftest as checks
from intaglio import selftest_wire
from intaglio.cli.common import (
    FAILED,
    OK,
    Device,
    Json,
    Timeout,
    advance,
    print_json,
    progress,
    stdout,
)


def selftest(
    device: Device = "soft:",
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Random messages for each curve.")
    ] = 32,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the random keys and messages.")] = 1,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Test a device: RFC 8032 and RFC 6979 vectors, random and edge inputs, keys kept apart.

    Every signature is compared with the one of libsodium or libsecp256k1. A device on a link is
    also sent what the driver never sends: wrong slots, replayed and damaged frames, every opcode in
    search of a key. What keys the device held before are wiped. The exit status is 0 only if every
    check passed.
    """
    with intaglio.open(device, timeout_s=timeout, verify=False) as signer:
        on_a_link = signer.identity.key_slots > 0
        results = _collect(checks.run(signer, seed=seed, rounds=rounds))
    if on_a_link:
        results += _collect(selftest_wire.run(device, seed=seed))
    good = all(result.passed for result in results)
    if as_json:
        print_json([result._asdict() for result in results])
        raise typer.Exit(OK if good else FAILED)
    table = Table(title=f"Self-test of {device}", title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("what was seen", overflow="fold")
    for result in results:
        mark = "[green]pass[/]" if result.passed else "[bold red]FAIL[/]"
        table.add_row(result.check, mark, escape(result.detail))
    console = stdout()
    console.print(table)
    passed = sum(result.passed for result in results)
    console.print(f"{passed} of {len(results)} checks passed.")
    raise typer.Exit(OK if good else FAILED)


def _collect(results: Iterator[checks.Result]) -> list[checks.Result]:
    collected = []
    with progress("testing") as bar:
        for result in results:
            advance(bar)
            collected.append(result)
    return collected
