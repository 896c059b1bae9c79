"""``intaglio demo``: real orders signed by a device, each signature checked."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

import intaglio
from intaglio import orders, reference
from intaglio.cli import jsonl
from intaglio.cli.common import (
    FAILED,
    KEY_HELP,
    OK,
    Device,
    Json,
    Payload,
    Timeout,
    advance,
    print_json,
    progress,
    say,
    stdout,
)
from intaglio.cli.pipeline import Item, Outcome, Pipeline, failed
from intaglio.cli.secret import read_secret
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.errors import InputError, IntaglioError
from intaglio.signer import Signer
from intaglio.values import Key, Signature

_KEY_LABEL = "intaglio demo key, worth nothing: "
_Row = dict[str, Any]


def demo_secret(curve: Curve) -> bytes:
    """The demo's key of ``curve``: SHA-256 of a published text, so never to be used for money."""
    return hashlib.sha256((_KEY_LABEL + curve.value).encode()).digest()


def demo(
    device: Device = "sim:",
    orders_file: Annotated[
        Path | None,
        typer.Option(
            "--orders",
            metavar="FILE.jsonl",
            exists=True,
            dir_okay=False,
            help="Sign these orders too, a JSON object a line (see host/orders/README.md).",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            metavar="CURVE:KEY",
            help="Your key instead of the demo's, e.g. ed25519:@seed.hex. " + KEY_HELP,
        ),
    ] = None,
    timeout: Timeout = None,
    as_json: Json = False,
) -> None:
    """Sign real trading orders and check every signature against libsodium and libsecp256k1.

    Signs the sample orders of this package, then those of --orders, on the simulated board unless
    --device says otherwise. The keys are made from a published text: they are for show only.

    The exit status is 0 only if every order was signed and every signature is the one that the
    library gives for the same key and payload. --json prints a list of objects with order, curve,
    signature, cycles and equal.
    """
    secrets = {curve: demo_secret(curve) for curve in DEVICE_CURVES}
    secrets.update(_own_keys(key or []))
    started = time.perf_counter()
    rows: list[_Row] = []
    signed: dict[Curve, Outcome] = {}
    bad = 0
    with intaglio.open(device, timeout_s=timeout, verify=False) as signer:
        opened = time.perf_counter()
        with progress("signing") as bar:
            for outcome in Pipeline(signer).run(_items(orders_file, secrets)):
                advance(bar)
                if outcome.key is None or outcome.signature is None:
                    bad += 1
                    say(f"{outcome.item.where}: {outcome.error}")
                else:
                    rows.append(_row(outcome.item, outcome.key, outcome.signature))
                    signed.setdefault(outcome.item.curve, outcome)
        finished = time.perf_counter()
        identity = signer.identity
        alone = {} if as_json or not identity.key_slots else _sign_alone(signer, signed)
    if as_json:
        print_json(rows)
    else:
        own = sorted({k.partition(":")[0] for k in key or []})
        _show(rows, bad, f"{device} ({identity.profile})", own)
        simulated = identity.key_slots > 0 and identity.clock_hz == 0
        _show_cost(rows, alone, opened - started, finished - opened, simulated)
    good = bad == 0 and all(row["equal"] for row in rows)
    raise typer.Exit(OK if good else FAILED)


def _sign_alone(signer: Signer, signed: dict[Curve, Outcome]) -> dict[str, int]:
    """Device cycles of one order of each curve with nothing else in the device, by its label."""
    cycles = {}
    for outcome in signed.values():
        message, digest = outcome.item.payload
        if outcome.key is None:
            continue
        try:
            again = signer.sign(outcome.key, message, digest=digest)
        except IntaglioError as error:
            say(f"{outcome.item.where}, signed once more: {error}")
        else:
            cycles[outcome.item.label] = again.cycles
    return cycles


def _own_keys(options: list[str]) -> dict[Curve, bytes]:
    secrets = {}
    for option in options:
        name, colon, source = option.partition(":")
        if not colon or name not in DEVICE_CURVES:
            names = " or ".join(f"{curve.value}:KEY" for curve in DEVICE_CURVES)
            raise InputError(f"--key of the demo names its curve too: write {names}")
        secrets[Curve(name)] = read_secret(source, Curve(name))
    return secrets


def _items(orders_file: Path | None, secrets: dict[Curve, bytes]) -> Iterator[Item]:
    with resources.as_file(resources.files(orders) / "samples.jsonl") as samples:
        yield from _items_of(samples, "samples.jsonl", secrets)
    if orders_file is not None:
        yield from _items_of(orders_file, str(orders_file), secrets)


def _items_of(path: Path, name: str, secrets: dict[Curve, bytes]) -> Iterator[Item]:
    with jsonl.opened(str(path)) as file:
        for number, order, error in jsonl.read(file):
            where = f"{name} line {number}"
            if order is None:
                yield failed(number, where, str(error))
                continue
            try:
                payload = orders.encode(order)
            except IntaglioError as refused:
                yield failed(number, where, str(refused))
                continue
            what = Payload(payload.message, payload.digest)
            secret = secrets[payload.curve]
            yield Item(number, where, payload.label, payload.curve, secret, what)


def _row(item: Item, key: Key, signature: Signature) -> _Row:
    expected = reference.sign(item.curve, item.secret, *item.payload)
    got = (signature.raw, signature.recid, key.public_key)
    return {
        "order": item.label,
        "curve": item.curve.value,
        "signature": signature.raw.hex(),
        "cycles": signature.cycles,
        "equal": got == tuple(expected),
    }


def _show(rows: list[_Row], bad: int, device: str, own: list[str]) -> None:
    table = Table(title=f"Orders signed by {device}", title_justify="left")
    table.add_column("order", overflow="fold", ratio=1)
    table.add_column("curve", no_wrap=True)
    table.add_column("signature", no_wrap=True)
    table.add_column("device cycles", justify="right", no_wrap=True)
    table.add_column("equal to", no_wrap=True)
    for row in rows:
        library = reference.LIBRARY[Curve(row["curve"])]
        mark = f"[green]yes[/] {library}" if row["equal"] else f"[bold red]NO[/] {library}"
        short = f"{row['signature'][:12]}…{row['signature'][-8:]}"
        table.add_row(
            escape(row["order"]),
            row["curve"],
            short,
            f"{row['cycles']:,}" if row["cycles"] else "none",
            mark,
        )
    console = stdout()
    console.print(table)
    equal = sum(row["equal"] for row in rows)
    by_curve = ", ".join(f"{n} {c}" for c, n in Counter(r["curve"] for r in rows).items())
    console.print(
        f"Signed {len(rows)} orders ({by_curve}); {equal} equal to the library's signature."
    )
    if bad or equal < len(rows):
        console.print(f"[bold red]{bad} not signed, {len(rows) - equal} different.[/]")
    keys = " and ".join(curve.value for curve in DEVICE_CURVES if curve.value not in own)
    if keys:
        console.print(
            f"The {keys} keys are the demo's own, made from a published text: worth nothing."
        )


def _show_cost(
    rows: list[_Row], alone: dict[str, int], opening_s: float, signing_s: float, simulated: bool
) -> None:
    console = stdout()
    for curve in DEVICE_CURVES:
        cycles = [row["cycles"] for row in rows if row["curve"] == curve.value]
        if any(cycles):
            least, most = f"{min(cycles):,}", f"{max(cycles):,}"
            span = least if least == most else f"{least} to {most}"
            console.print(f"Device cycles for one {curve.value} order: {span}.")
    if alone:
        console.print("They count from a request's last byte to its answer, waiting included.")
        console.print("Signed once more with nothing else in the device:")
        for label, lone in alone.items():
            console.print(escape(f"  {lone:,} cycles: {label}"))
    took = f"Took {opening_s:.3f} s to open the device, {signing_s:.3f} s to sign and check."
    console.print(took + (" Simulated: seconds say nothing of a board." if simulated else ""))
