# amaranth: UnusedElaboratable=no
"""How fast the gateware is: clocks from RTL simulation, joined with the Fmax of routed builds.

:data:`FIGURES` holds what was simulated, with the RTL digest it is of; :func:`measure` simulates a
profile again, :func:`save` keeps it. :func:`rows` joins the two kinds of results and says which are
stale: not of the gateware as it is now.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from intaglio import bitstreams, frame, wire
from intaglio.bitstreams import Manifest
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.errors import InputError
from intaglio.hdl.boards import BOARDS
from intaglio.hdl.digest import rtl_digest
from intaglio.hdl.field.inverter import SLOTS as INVERTER_SLOTS
from intaglio.hdl.field.inverter import Inverter
from intaglio.hdl.profiles import PROFILES, Profile
from intaglio.params import SECP256K1
from intaglio.sim import pcie_figures, runner
from intaglio.sim.benches import core_build
from intaglio.sim.probe import Probe

FIGURES = Path(__file__).with_name("figures.json")
"""Committed results of :func:`measure`."""

MESSAGE_BYTES = 100
"""What an Ed25519 request of the measurement signs; ECDSA signs digests."""

ROUNDS = 24
"""Rounds that committed figures are of. Jobs come to a station in lumps, so that the rate of a few
rounds wanders: by how much, ``hdl/README.md`` tells."""

BUSY = 0.9
"""A unit busy for this part of the time or more is what limits the rate."""

LINKS = {"UART, 3 Mbaud": 300_000, "UART, 12 Mbaud": 1_200_000, "100 Mbit/s": 12_500_000}
"""Bytes a second each way of links: the boards' UART, the fastest a USB bridge of theirs (FT2232H)
does, and for comparison a bare 100 Mbit/s. A byte on a UART is 10 bits."""


@dataclass(frozen=True)
class Figures:
    """What a simulation told of one profile and curve.

    ``products_per_signature``: instructions, each of which takes the multiplier once.
    ``cycles_per_signature``: clocks in which as many are issued, every job slot taken and keys over
    all slots; replies come in lumps, issues do not.
    ``multiplier_occupancy``, ``units``: parts of the time, 0..1. ``latency_cycles``: ``cycles`` of
    a lone job's reply. ``timeline``: ``alone`` and ``loaded``, stages of a job in order, each a
    name, clocks of waiting and clocks of work.
    """

    profile: str
    curve: str
    release_check: str
    rtl_digest: str
    cycles_per_signature: int
    products_per_signature: float
    multiplier_occupancy: float
    latency_cycles: int
    signatures: int
    units: dict[str, float]
    timeline: dict[str, list[list[Any]]]

    @property
    def is_stale(self) -> bool:
        """Whether the gateware has changed since."""
        return self.profile not in PROFILES or self.rtl_digest != _digest(self.profile)

    @property
    def bottleneck(self) -> str:
        """What limits the rate: the busiest unit, or else too few issue slots or contexts."""
        unit, busy = self._by_occupancy()[0]
        if busy >= BUSY:
            return unit
        return "issue slots" if self.units["issue slots"] >= BUSY else "contexts"

    @property
    def limits_next(self) -> tuple[str, int]:
        """What would limit the rate if the bottleneck did not, and at how many clocks."""
        others = [each for each in self._by_occupancy() if each[0] != self.bottleneck]
        unit, busy = others[0]
        return unit, round(busy * self.cycles_per_signature)

    def _by_occupancy(self) -> list[tuple[str, float]]:
        servers = {"multiplier": self.multiplier_occupancy, **self.units}
        for holders in ("issue slots", "contexts"):
            servers.pop(holders)
        return sorted(servers.items(), key=lambda item: -item[1])


def _digest(profile: str) -> str:
    return rtl_digest(profile).hex()


def measure(profile: str, rounds: int = ROUNDS) -> list[Figures]:
    """Simulate the core of ``profile`` with every job slot taken, one curve after the other.

    The core without its link: requests and replies pass a byte a clock. ``rounds`` of as many
    signatures as it has job slots are measured. Raises :class:`InputError` for an unknown profile
    and :class:`~.runner.ToolError` if a tool lacks.
    """
    if profile not in PROFILES:
        raise InputError(f"no profile is called {profile!r}: known are {', '.join(PROFILES)}")
    size, digest = PROFILES[profile], _digest(profile)
    key = f"{digest} {Path(__file__).with_name('probe.py').read_text()}"
    build = core_build.open_build(lambda: Probe(size), "probe", key=key, state=False)
    told = runner.run(
        build, "intaglio.sim.benches.core_rate", env={"PROFILE": profile, "ROUNDS": str(rounds)}
    )
    return [_figures(size, digest, each) for each in told["figures"]]


def _figures(size: Profile, digest: str, told: dict[str, Any]) -> Figures:
    clocks, counts, products = told["clocks"], told["counts"], told["products_per_signature"]
    (curve,) = (curve for curve in DEVICE_CURVES if curve.wire_id.name == told["curve"])
    inverting = Inverter([SECP256K1.p], jobs=1).latency / INVERTER_SLOTS
    units = {
        "issue slots": counts["issue_slots"] / size.issue_slots / size.barrels,
        "contexts": counts["contexts"] / size.job_slots,
        "SHA-512 lanes": counts["sha512"] / size.sha512_lanes,
        "ECDSA lanes": counts["ecdsa"] / size.ecdsa_lanes,
        "inverters": counts["inverted"] * inverting / size.inverters,
        "wiping": counts["wiping"] / size.barrels,
        "intake": counts["intake"],
        "finish": counts["finish"],
        "reply": counts["reply"],
    }
    return Figures(
        profile=size.name,
        curve=curve.value,
        release_check=size.release_check.name.lower(),
        rtl_digest=digest,
        cycles_per_signature=round(products * clocks / counts["issued"]),
        products_per_signature=products,
        multiplier_occupancy=round(counts["issued"] * size.interval / size.barrels / clocks, 4),
        latency_cycles=told["latency_cycles"],
        signatures=told["signatures"],
        units={name: round(value / clocks, 4) for name, value in units.items()},
        timeline=told["timeline"],
    )


def cycles_per_signature(profile: str) -> dict[str, int]:
    """Clocks a signature of each curve, rounded: as committed for this very gateware, or measured.

    Raises as :func:`measure` does.
    """
    found = [one for one in load() if one.profile == profile and not one.is_stale]
    return {one.curve: one.cycles_per_signature for one in found or measure(profile)}


def load(path: Path = FIGURES) -> list[Figures]:
    """What was simulated and committed."""
    return [Figures(**each) for each in json.loads(path.read_text())] if path.is_file() else []


def save(measured: Sequence[Figures], path: Path = FIGURES) -> None:
    """Replace what the file holds of the same profiles, and of those that are no longer known."""
    names = {one.profile for one in measured}
    kept = [one for one in load(path) if one.profile in PROFILES and one.profile not in names]
    order = {name: index for index, name in enumerate(PROFILES)}
    found = sorted([*kept, *measured], key=lambda one: order[one.profile])
    lines = ",\n".join(json.dumps(asdict(one)) for one in found)
    path.write_text(f"[\n{lines}\n]\n")


def link_frames(curve: str) -> tuple[int, int]:
    """Bytes on the link of a request and its reply, framed, as they are measured here."""
    body = MESSAGE_BYTES if curve == Curve.ED25519.value else wire.DIGEST_BYTES
    # no byte is zero, as in the worst case of COBS
    request = frame.encode(b"\x01" * (wire.REQUEST.size + body))
    reply = frame.encode(b"\x01" * (wire.REPLY.size + wire.SIGNATURE_BYTES))
    return len(request), len(reply)


def link_rate(curve: str, bytes_per_second: float) -> int:
    """Signatures a second that a link carries: its busier direction is full."""
    return int(bytes_per_second / max(link_frames(curve)))


def rows(
    figures: Sequence[Figures] | None = None, manifests: Sequence[Manifest] | None = None
) -> list[dict[str, Any]]:
    """One object per profile, device and curve; without a routed build ``device`` is ``None``.

    ``signatures_per_second`` is what the engine does at the routed ``fmax_hz``; ``links`` what
    links carry, whatever is behind them, and ``pcie`` is :func:`.pcie_figures.row`. ``stale``: the
    simulation or the build is of another gateware than today's.
    """
    figures = load() if figures is None else figures
    manifests = bitstreams.manifests() if manifests is None else manifests
    told = []
    for one in figures:
        builds = [built for built in manifests if built.profile == one.profile]
        told += [_row(one, built) for built in builds or [None]]
    return told


def _row(one: Figures, built: Manifest | None) -> dict[str, Any]:
    next_unit, next_cycles = one.limits_next
    links = {name: link_rate(one.curve, rate) for name, rate in LINKS.items()}
    row = {
        "profile": one.profile,
        "device": None,
        "curve": one.curve,
        "release_check": one.release_check,
        "stale": one.is_stale,
        "cycles_per_signature": one.cycles_per_signature,
        "products_per_signature": one.products_per_signature,
        "multiplier_occupancy": one.multiplier_occupancy,
        "units": one.units,
        "bottleneck": one.bottleneck,
        "limits_next": {"unit": next_unit, "cycles_per_signature": next_cycles},
        "latency_cycles": one.latency_cycles,
        "fmax_hz": None,
        "signatures_per_second": None,
        "latency_us": None,
        "utilisation": None,
        "links": links,
        "pcie": pcie_figures.row(one.curve),
        "rtl_digest": one.rtl_digest,
    }
    if built is None:
        return row
    if built.board in BOARDS:
        baud = BOARDS[built.board].baud
        row["links"] = {f"UART, {baud / 1e6:g} Mbaud": link_rate(one.curve, baud / 10), **links}
    return row | {
        "board": built.board,
        "device": built.device,
        "stale": one.is_stale or built.rtl_digest != _digest(one.profile),
        "fmax_hz": built.fmax_hz,
        "clock_hz": built.clock_hz,
        "seeds": built.seeds,
        "signatures_per_second": built.fmax_hz // one.cycles_per_signature,
        "latency_us": round(one.latency_cycles / built.fmax_hz * 1e6, 1),
        "utilisation": built.utilisation,
    }
