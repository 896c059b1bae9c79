"""The tables of what :mod:`intaglio.sim.perf` knows, for the README files.

``python -m intaglio.sim.perfdoc README.md`` renders anew what stands between the fences
``<!-- engine rates: begin (make docs) -->`` and ``<!-- engine rates: end -->`` of the file;
``hdl/README.md`` takes :func:`limits` through :mod:`intaglio.sim.enginedoc`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from intaglio import bitstreams
from intaglio.bitstreams import Manifest
from intaglio.hdl.profiles import PROFILES
from intaglio.sim import perf
from intaglio.sim.fences import command, table
from intaglio.sim.perf import LINKS, Figures, link_rate, rows

NAMES = {"ed25519": "Ed25519", "secp256k1": "ECDSA"}


def rates(
    figures: Sequence[Figures] | None = None, manifests: Sequence[Manifest] | None = None
) -> str:
    """The table of the top README: a line for each profile, device and curve. A build of other
    gateware than the figures' gives no rates."""
    header = [
        "profile",
        "release check",
        "signs",
        "clocks a signature",
        "multiplier busy",
        "limited by (next)",
        "alone, clocks",
        "device",
        "Fmax, MHz",
        "engine, per second",
        "3 Mbaud UART, per second",
        "RTL",
    ]
    return table(header, (_rates(row) for row in rows(figures, manifests)))


def _rates(row: dict[str, Any]) -> Sequence[object]:
    routed = row["device"] is not None
    fits = routed and not row["stale"]
    return (
        f"`{row['profile']}`",
        row["release_check"],
        NAMES[row["curve"]],
        f"{row['cycles_per_signature']:,}",
        f"{row['multiplier_occupancy']:.1%}",
        f"{row['bottleneck']} ({row['limits_next']['unit']})",
        f"{row['latency_cycles']:,}",
        row["device"] if routed else "not routed yet",
        f"{row['fmax_hz'] / 1e6:.1f}" if fits else "stale" if routed else "",
        f"{row['signatures_per_second']:,}" if fits else "",
        f"{link_rate(row['curve'], LINKS['UART, 3 Mbaud']):,}",
        f"`{row['rtl_digest'][:8]}`",
    )


def limits(
    figures: Sequence[Figures] | None = None, manifests: Sequence[Manifest] | None = None
) -> str:
    """The table of ``hdl/README.md``: products a signature, and how close each profile comes."""
    figures = perf.load() if figures is None else figures
    manifests = bitstreams.manifests() if manifests is None else manifests
    header = [
        "profile",
        "signs",
        "products",
        "clocks each",
        "clocks at best",
        "clocks, simulated",
        "of the limit",
        "limit a second, by device",
    ]
    lines = []
    for one in figures:
        if one.profile not in PROFILES:
            continue
        profile = PROFILES[one.profile]
        each = profile.interval / profile.barrels
        best = one.products_per_signature * each
        by_device = [
            f"{built.fmax_hz / best:,.0f} ({built.device}, {built.fmax_hz / 1e6:.1f} MHz)"
            for built in manifests
            if built.profile == one.profile and built.rtl_digest == one.rtl_digest
        ]
        lines.append(
            (
                f"`{one.profile}`",
                NAMES[one.curve],
                f"{one.products_per_signature:,.0f}",
                f"{each:g}",
                f"{best:,.0f}",
                f"{one.cycles_per_signature:,}",
                f"{one.multiplier_occupancy:.1%}",
                "; ".join(by_device) or "not routed yet",
            )
        )
    return table(header, lines)


TABLES = {"engine rates": rates}


def main(arguments: Sequence[str] | None = None) -> int:
    """See :func:`.fences.command`."""
    return command(TABLES, "Refresh the table of rates in a Markdown file.", arguments)


if __name__ == "__main__":
    sys.exit(main())
