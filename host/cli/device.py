"""``intaglio info`` and ``intaglio doctor``: what a device says of itself, what a machine lacks."""

from __future__ import annotations

import dataclasses
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

import intaglio
from intaglio import bitstreams
from intaglio import doctor as machine
from intaglio.cli.common import (
    FAILED,
    OK,
    Device,
    Json,
    OptionalDevice,
    Timeout,
    part,
    print_json,
    stdout,
)
from intaglio.doctor import Finding, Level
from intaglio.errors import InputError, IntaglioError
from intaglio.member import MemberStatus
from intaglio.pool import Pool
from intaglio.values import Counters, Identity

_COUNTER_TEXT = {
    "frames_good": "frames the device received whole",
    "frames_bad": "frames the device received damaged",
    "duplicates": "requests refused as repeated",
    "refused": "requests refused for another reason",
    "jobs_done": "jobs done",
    "faults": "jobs stopped by the release check",
    "host_frames_bad": "frames that arrived here damaged",
    "host_resent": "requests sent again",
    "host_unmatched": "replies to no open request",
}
_READ_IT = "see the sentence on the left"
_COLOUR = {
    Level.OK: "green",
    Level.NOTE: "cyan",
    Level.WARNING: "yellow",
    Level.PROBLEM: "bold red",
}


def info(device: Device = "soft:", timeout: Timeout = None, as_json: Json = False) -> None:
    """Show what a device says of itself, and its counters of this session.

    Of a pool, also how each of its members is doing.
    """
    with intaglio.open(device, timeout_s=timeout) as signer:
        identity, counters = signer.identity, signer.counters()
        members = signer.members() if isinstance(signer, Pool) else []
    if as_json:
        told: dict[str, Any] = {
            "identity": _as_dict(identity),
            "counters": dataclasses.asdict(counters),
        }
        if members:
            told["members"] = [dataclasses.asdict(member) for member in members]
        print_json(told)
        return
    table = Table(title=f"Device {device}", title_justify="left", show_header=False)
    for name, value in _identity_rows(identity):
        table.add_row(name, escape(value))
    table.add_section()
    for name, value in _counter_rows(counters):
        table.add_row(name, value)
    stdout().print(table)
    if members:
        stdout().print(_member_table(members))


def _member_table(members: list[MemberStatus]) -> Table:
    table = Table(title="Members", title_justify="left")
    for heading in ("name", "device", "state", "last error"):
        table.add_column(heading, overflow="fold")
    for one in members:
        state = f"{one.state}, fallback" if one.fallback else one.state
        table.add_row(*(escape(text) for text in (one.name, one.url, state, one.last_error)))
    return table


def _as_dict(identity: Identity) -> dict[str, Any]:
    fields = dataclasses.asdict(identity)
    fields["curves"] = [curve.value for curve in identity.curves]
    fields["release_check"] = identity.release_check.name.lower()
    return fields


def _identity_rows(identity: Identity) -> list[tuple[str, str]]:
    clock = f"{identity.clock_hz / 1e6:g} MHz" if identity.clock_hz else "not told (simulated)"
    hardware = identity.key_slots > 0
    rows = [
        ("name", identity.name),
        ("profile", identity.profile),
        ("curves", ", ".join(curve.value for curve in identity.curves)),
        ("protocol version", str(identity.version)),
        ("longest message", f"{identity.max_message_bytes} bytes"),
    ]
    if not hardware:
        return [*rows, ("kind", "software: no key slots, no gateware")]
    return [
        *rows,
        ("release check", identity.release_check.name.lower()),
        ("key slots", f"{identity.key_slots} (a cache: any number of keys can be loaded)"),
        ("job slots", f"{identity.job_slots} jobs at once"),
        ("message pool", f"{identity.pool_bytes} bytes"),
        ("clock", clock),
        ("RTL digest", identity.rtl_digest),
        ("git revision", identity.git_revision if identity.git_revision.strip("0") else "unknown"),
        *(("bitstream", told) for told in _bitstreams(identity)),
    ]


def _bitstreams(identity: Identity) -> list[str]:
    """Those of this package that the device may hold, and whether its sources have moved on."""
    fields = ("profile", "clock_hz", "rtl_digest", "git_revision")
    alike = [
        manifest
        for manifest in bitstreams.manifests()
        if all(getattr(manifest, name) == getattr(identity, name) for name in fields)
    ]
    try:
        is_stale = part("intaglio.boards", "is_stale", "boards")
    except InputError:
        return [manifest.name for manifest in alike]
    stale = ", stale: the gateware has changed since it was built"
    return [f"{manifest.name}{stale if is_stale(manifest) else ''}" for manifest in alike]


def _counter_rows(counters: Counters) -> list[tuple[str, str]]:
    values = dataclasses.asdict(counters)
    return [(_COUNTER_TEXT.get(name, name), f"{value:,}") for name, value in values.items()]


def doctor(device: OptionalDevice = None, as_json: Json = False) -> None:
    """Check this machine for what signing and simulating need, and say how to mend what lacks.

    With --device also tries to open that device. The exit status is 1 if there is a problem; notes
    and warnings do not count.
    """
    findings = machine.examine()
    if device is not None:
        findings += _try_device(device)
    good = machine.healthy(findings)
    if as_json:
        print_json([{**f._asdict(), "level": f.level.value} for f in findings])
        raise typer.Exit(OK if good else FAILED)
    table = Table(title="This machine", title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found", overflow="fold")
    table.add_column("what to do", overflow="fold")
    for finding in findings:
        level = f"[{_COLOUR[finding.level]}]{finding.level.value}[/]"
        table.add_row(escape(finding.check), level, escape(finding.found), escape(finding.mend))
    console = stdout()
    console.print(table)
    console.print("Ready." if good else "[bold red]Not ready:[/] mend the problems above.")
    raise typer.Exit(OK if good else FAILED)


def _try_device(url: str) -> list[Finding]:
    """Whether a device can be opened, and of a pool each member; a pool works without some."""
    what = f"device {url}"
    try:
        with intaglio.open(url) as signer:
            profile = signer.identity.profile
            members = signer.members() if isinstance(signer, Pool) else []
    except IntaglioError as error:
        return [Finding(what, Level.PROBLEM, str(error), _READ_IT)]
    return [
        Finding(what, Level.OK, f"answers, profile {profile}"),
        *(
            Finding(f"member {one.name}", Level.OK, f"{one.state}, {one.url}")
            if not one.last_error
            else Finding(f"member {one.name}", Level.WARNING, one.last_error, _READ_IT)
            for one in members
        ),
    ]
