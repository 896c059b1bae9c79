"""The figures of the PCIe link: counted, and what is computed from them."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest

from intaglio import wire_ring
from intaglio.sim import fences, pcie_figures, pcie_route
from intaglio.sim.pcie_figures import BODIES, LINKS, README, Figures, Traffic

WRITE_BYTES = 12 + wire_ring.COMPLETION.size
FETCH_BYTES = 12 + wire_ring.DESCRIPTOR.size
"""A completion, and a descriptor as it comes, behind headers of three DWs."""


def test_rate_is_that_of_the_busier_way() -> None:
    traffic = Traffic(
        first=0, clocks=0.0, up_tlps=2.0, up_bytes=200.0, down_tlps=1.0, down_bytes=50.0
    )
    assert traffic.on_the_wire() == (200 + 2 * 8 + 1 * 16, 50 + 1 * 8 + 2 * 16)
    assert traffic.rate(232e6) == pytest.approx(1e6)


def test_an_inline_request_costs_what_it_must() -> None:
    """One read and one write up; the descriptor down, and a doorbell and a count for 32 of them."""
    traffic = pcie_figures.measure(wire_ring.INLINE_BYTES)
    assert (traffic.up_tlps, traffic.up_bytes) == (2, 12 + WRITE_BYTES)
    assert traffic.down_tlps == 1 + 2 / pcie_figures.BATCH
    assert traffic.down_bytes == FETCH_BYTES + 2 * 16 / pcie_figures.BATCH


def test_links_are_named_with_their_rates() -> None:
    assert LINKS["Gen2 x4"] == 4 * LINKS["Gen2 x1"] == 8 * LINKS["Gen1 x1"]


SOME = Traffic(first=100, clocks=80.0, up_tlps=2.0, up_bytes=152.0, down_tlps=1.0, down_bytes=76.0)


def test_figures_are_kept_and_tell_when_they_are_of_another_endpoint(tmp_path) -> None:
    path = tmp_path / "pcie_figures.json"
    assert pcie_figures.load(path) is None
    today = Figures(pcie_route.digest(), dict.fromkeys(BODIES, SOME), routed={"fmax_mhz": 125.0})
    pcie_figures.save(today, path)
    assert pcie_figures.load(path) == today
    assert not today.is_stale
    assert replace(today, digest="00").is_stale


def test_each_curve_has_its_row() -> None:
    figures = Figures("00", dict.fromkeys(BODIES, SOME))
    row = pcie_figures.row("ed25519", figures)
    assert (row["request"], row["stale"], row["routed"]) == ("message of 100 bytes", True, None)
    assert row["links"] == {name: int(SOME.rate(rate)) for name, rate in LINKS.items()}
    assert pcie_figures.row("secp256k1", figures)["request"].startswith("digest")


def test_the_tables_are_those_of_what_is_kept() -> None:
    kept = pcie_figures.load()
    assert set(kept.traffic) == set(BODIES)
    tables = {n: functools.partial(render, kept) for n, render in pcie_figures.TABLES.items()}
    text = README.read_text()
    assert fences.refreshed(text, tables) == text, "run: make docs"
