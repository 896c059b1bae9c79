"""The figures of the PCIe link: counted, and what is computed from them."""

from __future__ import annotations

import pytest

from intaglio import wire_ring
from intaglio.sim import pcie_figures
from intaglio.sim.pcie_figures import LINKS, Traffic

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
