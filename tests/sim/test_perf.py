"""Figures of simulation and routed builds, joined; the tables and the picture made of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from intaglio import frame, wire
from intaglio.bitstreams import Manifest
from intaglio.errors import InputError
from intaglio.hdl.boards import BOARDS
from intaglio.hdl.digest import rtl_digest
from intaglio.hdl.profiles import PROFILES
from intaglio.sim import perf, perfdoc, perfplot
from intaglio.sim.perf import Figures

README = Path(__file__).parent.parent.parent / "README.md"
BOARD = BOARDS["ulx3s-85f"]

KEYS = {
    "profile",
    "device",
    "curve",
    "release_check",
    "stale",
    "cycles_per_signature",
    "multiplier_occupancy",
    "fmax_hz",
    "signatures_per_second",
    "latency_cycles",
    "utilisation",
}
"""Of each object of ``intaglio perf --json``."""

UNITS = {
    "issue slots": 0.98,
    "contexts": 1.0,
    "SHA-512 lanes": 0.05,
    "ECDSA lanes": 0.13,
    "inverters": 0.1,
    "wiping": 0.0,
    "intake": 0.0,
    "finish": 0.0,
    "reply": 0.01,
}


def figures(**changes: Any) -> Figures:
    """Some figures of ``small`` as it is now."""
    stages = [["RFC 6979", 10, 1500], ["comb", 0, 9000]]
    fields: dict[str, Any] = {
        "profile": "small",
        "curve": "secp256k1",
        "release_check": "algebraic",
        "rtl_digest": rtl_digest("small").hex(),
        "cycles_per_signature": 12_000,
        "products_per_signature": 700.0,
        "multiplier_occupancy": 0.95,
        "latency_cycles": 30_000,
        "signatures": 48,
        "units": UNITS,
        "timeline": {"alone": stages, "loaded": stages},
    }
    return Figures(**fields | changes)


def manifest(**changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        each.name: {} if each.type.startswith("dict") else 0
        for each in dataclasses.fields(Manifest)
    }
    fields |= {
        "board": BOARD.name,
        "profile": "small",
        "device": BOARD.device,
        "fmax_hz": 24_000_000,
        "rtl_digest": rtl_digest("small").hex(),
        "utilisation": {"LUT4": {"used": 1, "available": 2}},
    }
    return Manifest(**fields | changes)


def test_a_build_gives_rates() -> None:
    (row,) = perf.rows([figures()], [manifest()])
    assert set(row) >= KEYS
    assert not row["stale"]
    assert (row["device"], row["fmax_hz"]) == (BOARD.device, 24_000_000)
    assert row["signatures_per_second"] == 2000
    assert row["latency_us"] == 1250.0
    assert row["utilisation"] == {"LUT4": {"used": 1, "available": 2}}


def test_without_a_build_there_is_a_row_all_the_same() -> None:
    (row,) = perf.rows([figures()], [manifest(profile="other")])
    assert set(row) >= KEYS
    assert row["device"] is row["fmax_hz"] is row["signatures_per_second"] is None
    assert not row["stale"]


def test_what_is_of_another_gateware_is_stale() -> None:
    other = "00" * 16
    assert perf.rows([figures(rtl_digest=other)], [])[0]["stale"]
    assert perf.rows([figures(profile="gone")], [])[0]["stale"]
    assert perf.rows([figures()], [manifest(rtl_digest=other)])[0]["stale"]
    assert not figures().is_stale


@pytest.mark.parametrize(
    ("multiplier", "units", "bottleneck", "then"),
    [
        (0.95, {}, "multiplier", ("ECDSA lanes", 1560)),
        (0.95, {"wiping": 0.5}, "multiplier", ("wiping", 6000)),
        (0.6, {"inverters": 1.0}, "inverters", ("multiplier", 7200)),
        (0.6, {}, "issue slots", ("multiplier", 7200)),
        (0.6, {"issue slots": 0.7}, "contexts", ("multiplier", 7200)),
    ],
)
def test_bottlenecks(
    multiplier: float, units: dict[str, float], bottleneck: str, then: tuple[str, int]
) -> None:
    one = figures(multiplier_occupancy=multiplier, units=UNITS | units)
    assert one.bottleneck == bottleneck
    assert one.limits_next == then


def test_links_carry_frames() -> None:
    reply = len(frame.encode(bytes(wire.REPLY.size + wire.SIGNATURE_BYTES)))
    request = len(frame.encode(bytes(wire.REQUEST.size + perf.MESSAGE_BYTES)))
    assert perf.link_frames("ed25519") == (request, reply)
    assert perf.link_rate("ed25519", 300_000) == 300_000 // request
    assert perf.link_rate("secp256k1", 300_000) == 300_000 // reply


def test_figures_are_kept_by_profile(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    assert perf.load(path) == []
    old = [figures(), figures(profile="gone"), figures(profile="full")]
    path.write_text(json.dumps([dataclasses.asdict(one) for one in old]))
    assert perf.load(path) == old
    new = [figures(curve="ed25519"), figures(latency_cycles=1)]
    perf.save(new, path)
    assert perf.load(path) == [*new, old[2]]


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(InputError, match="'huge': known are small"):
        perf.measure("huge")


def test_committed_figures_are_whole() -> None:
    found = perf.load()
    assert {one.profile for one in found} <= set(PROFILES)
    for one in found:
        profile = PROFILES[one.profile]
        best = one.products_per_signature * profile.interval / profile.barrels
        assert one.cycles_per_signature == pytest.approx(best / one.multiplier_occupancy, rel=1e-3)
        assert one.release_check == PROFILES[one.profile].release_check.name.lower()
        for stages in one.timeline.values():
            assert [stage[0] for stage in stages][-1] == "reply and wiping"
        total = sum(waited + worked for _, waited, worked in one.timeline["alone"])
        assert total == pytest.approx(one.latency_cycles, rel=0.02)


def test_the_table_of_the_readme_is_fresh() -> None:
    assert perfdoc.main([str(README), "--check"]) == 0, "run: make docs"


def test_tables_tell_of_builds() -> None:
    table = perfdoc.rates([figures()], [manifest()])
    assert f"| {BOARD.device} | 24.0 | 2,000 |" in table
    assert "not routed yet" in perfdoc.rates([figures()], [])
    older = manifest(rtl_digest="00" * 16)
    assert "| stale |  |" in perfdoc.rates([figures()], [older])
    assert "not routed yet" in perfdoc.limits([figures()], [older])
    limits = perfdoc.limits([figures()], [manifest()])
    assert f"| 700 | 16 | 11,200 | 12,000 | 95.0% | 2,143 ({BOARD.device}" in limits
    assert perfdoc.limits([figures(profile="gone")], []).count("\n") == 1


def test_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perfplot, "SLOTS", (1, 2))
    monkeypatch.setattr(perfplot, "INTERVALS", (16,))
    path = tmp_path / "perf.png"
    perfplot.draw(path, [figures()])
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="cannot write"):
        perfplot.draw(tmp_path / "none" / "perf.png", [figures()])


def test_more_slots_and_shorter_intervals_are_faster() -> None:
    assert perfplot.rate("Ed25519", 4, 16, 2) < perfplot.rate("Ed25519", 4, 16, 1)
    assert perfplot.rate("Ed25519", 4, 2, 8) < perfplot.rate("Ed25519", 4, 16, 8)
