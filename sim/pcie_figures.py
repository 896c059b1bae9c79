"""Figures of the PCIe endpoint: what it costs, how fast it is, what a link can carry.

:data:`FIGURES` holds what was simulated and routed, with the digest of the endpoint it is of.
``python -m intaglio.sim.pcie_figures`` prints it as tables; ``--measure`` simulates again, which
takes a minute, ``--route`` places and routes too, and ``--save`` keeps the result and renders the
tables of ``hdl/link/pcie/README.md`` anew.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from intaglio import hdl, wire, wire_ring
from intaglio.curve import Curve
from intaglio.sim import fences, pcie_route, runner
from intaglio.sim.benches import pcie_echo
from intaglio.sim.fences import table

FIGURES = Path(__file__).with_name("pcie_figures.json")
README = Path(next(iter(hdl.__path__))) / "link" / "pcie" / "README.md"

FRAMING_BYTES = 8
"""Around each TLP on lanes of generation 1 and 2: two symbols of framing, sequence number, LCRC."""
DLLP_BYTES = 8
DLLPS_PER_TLP = 2
"""Sent for each TLP the other way, at worst: one to acknowledge it, one to update credits."""

LINKS = {"Gen1 x1": 250e6, "Gen2 x1": 500e6, "Gen2 x4": 2000e6}
"""Bytes a second each way, after 8b/10b."""

BODIES = {
    "digest or key, 32 bytes inline": wire_ring.INLINE_BYTES,
    "message of 100 bytes": 100,
    "message of 4096 bytes": wire.MAX_MESSAGE_BYTES,
}
BATCH = 32

SIGNED = {Curve.ED25519: "message of 100 bytes", Curve.SECP256K1: "digest or key, 32 bytes inline"}
"""What ``intaglio perf`` has each curve sign."""


@dataclass(frozen=True)
class Traffic:
    """What one request costs; see :mod:`intaglio.sim.benches.pcie_count`."""

    first: int
    clocks: float
    up_tlps: float
    up_bytes: float
    down_tlps: float
    down_bytes: float

    def on_the_wire(self) -> tuple[float, float]:
        """Bytes to the host and from it, with framing and DLLPs."""
        each = DLLP_BYTES * DLLPS_PER_TLP
        up = self.up_bytes + self.up_tlps * FRAMING_BYTES + self.down_tlps * each
        down = self.down_bytes + self.down_tlps * FRAMING_BYTES + self.up_tlps * each
        return up, down

    def rate(self, bytes_per_second: float) -> float:
        """Requests a second that a link of this rate can carry."""
        return bytes_per_second / max(self.on_the_wire())


@dataclass(frozen=True)
class Figures:
    """Everything known of one endpoint.

    ``traffic``: by names of :data:`BODIES`, ``first`` that of a lone request, the others those of
    :data:`BATCH` to a doorbell. ``routed``: see :func:`.pcie_route.route`; ``None`` if it is not.
    """

    digest: str
    traffic: dict[str, Traffic]
    device: str = pcie_route.DEVICE
    routed: dict[str, float] | None = None

    @property
    def is_stale(self) -> bool:
        """Whether the endpoint has changed since."""
        return self.digest != pcie_route.digest()


@functools.cache
def measure(body: int, batch: int = BATCH) -> Traffic:
    """Simulate requests with bodies of ``body`` bytes, ``batch`` to a doorbell."""
    bench = "intaglio.sim.benches.pcie_count"
    told = runner.run(pcie_echo.build(), bench, env={"BODY": body, "BATCH": batch})
    up, down = told["up"], told["down"]
    return Traffic(
        told["first"], told["clocks"], up["tlps"], up["bytes"], down["tlps"], down["bytes"]
    )


def measured() -> Figures:
    """Simulate all of :data:`BODIES`."""
    traffic = {
        name: replace(measure(body), first=measure(body, 1).first) for name, body in BODIES.items()
    }
    return Figures(pcie_route.digest(), traffic)


def load(path: Path = FIGURES) -> Figures | None:
    """What is kept; ``None`` if nothing is."""
    if not path.is_file():
        return None
    told = json.loads(path.read_text())
    traffic = {name: Traffic(**each) for name, each in told.pop("traffic").items()}
    return Figures(**told, traffic=traffic)


def save(figures: Figures, path: Path = FIGURES) -> None:
    """Keep ``figures``."""
    path.write_text(json.dumps(asdict(figures), indent=1) + "\n")


def row(curve: str, figures: Figures | None = None) -> dict[str, Any] | None:
    """What a signature of ``curve`` takes of the link, as an object of ``intaglio perf --json``.

    ``figures`` are those kept unless given; ``None`` if there are none.
    """
    figures = figures or load()
    if figures is None:
        return None
    request = SIGNED[Curve(curve)]
    traffic = figures.traffic[request]
    return {
        "request": request,
        "stale": figures.is_stale,
        "doorbell_to_completion_cycles": traffic.first,
        "cycles_per_request": round(traffic.clocks),
        "tlps": {"up": traffic.up_tlps, "down": traffic.down_tlps},
        "tlp_bytes": {"up": traffic.up_bytes, "down": traffic.down_bytes},
        "wire_bytes": dict(zip(("up", "down"), traffic.on_the_wire(), strict=True)),
        "links": {name: int(traffic.rate(rate)) for name, rate in LINKS.items()},
        "device": figures.device,
        "routed": figures.routed,
    }


def traffic_table(figures: Figures) -> str:
    """Clocks, TLPs and bytes of a request."""
    header = ["request", "first, clocks", "next, clocks", "TLPs, bytes up", "TLPs, bytes down"]
    return table(
        [*header, "wire bytes up", "wire bytes down"],
        (
            (
                name,
                one.first,
                f"{one.clocks:.0f}",
                f"{one.up_tlps:.2f}, {one.up_bytes:.0f}",
                f"{one.down_tlps:.2f}, {one.down_bytes:.0f}",
                *(f"{size:.0f}" for size in one.on_the_wire()),
            )
            for name, one in figures.traffic.items()
        ),
    )


def rate_table(figures: Figures) -> str:
    """Signatures a second that the link alone allows."""
    return table(
        ["request", *LINKS],
        (
            (name, *(f"{one.rate(rate):,.0f}" for rate in LINKS.values()))
            for name, one in figures.traffic.items()
        ),
    )


def route_table(figures: Figures) -> str:
    """Cells and Fmax."""
    if figures.routed is None:
        return "Not routed yet."
    *cells, fmax = figures.routed
    values = (f"{figures.routed[name]:,}" for name in (*cells, fmax))
    return table(["device", *cells, "Fmax, MHz"], [(figures.device, *values)])


TABLES = {"traffic": traffic_table, "link rates": rate_table, "routed": route_table}


def main(argv: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="simulate again")
    parser.add_argument("--route", action="store_true", help="simulate, place and route again")
    parser.add_argument("--save", action="store_true", help="keep the figures, render the tables")
    given = parser.parse_args(argv)
    figures = load()
    if given.measure or given.route or figures is None:
        kept, figures = figures, measured()
        routed = kept.routed if kept and kept.digest == figures.digest else None
        figures = replace(figures, routed=pcie_route.route() if given.route else routed)
    if given.save:
        save(figures)
        rendered = {name: functools.partial(render, figures) for name, render in TABLES.items()}
        README.write_text(fences.refreshed(README.read_text(), rendered))
    for render in TABLES.values():
        print(render(figures), end="\n\n")
    if figures.is_stale:
        print("The endpoint has changed since: --measure, --route", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
