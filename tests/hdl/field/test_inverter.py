"""The inverter in RTL, and its model against plain modular inverses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intaglio.hdl.field.inverter import Inverter
from intaglio.params import ED25519
from intaglio.sim import runner
from intaglio.sim.benches.field_inverter import JOBS, MODULI, edges
from intaglio.sim.model.divstep import invert

ALL_MODULI = (*MODULI, ED25519.order)


@given(x=st.integers(1, 2**256), m=st.sampled_from(ALL_MODULI))
def test_model_inverts(x: int, m: int) -> None:
    x = x % m or 1
    assert invert(x, m) == pow(x, -1, m)


@pytest.mark.parametrize("m", ALL_MODULI)
def test_model_on_edges(m: int) -> None:
    assert invert(0, m) == 0
    for x in edges(m)[1:]:
        assert invert(x % m, m) == pow(x, -1, m)


def test_small_moduli_exhaustively() -> None:
    for m in (3, 5, 7, 257):
        assert [invert(x, m) for x in range(1, m)] == [pow(x, -1, m) for x in range(1, m)]


def test_gateware() -> None:
    dut = Inverter(MODULI, JOBS)
    latency = dut.latency
    measured = runner.run(runner.build(dut, "inverter"), "intaglio.sim.benches.field_inverter")
    assert measured["latency"] == latency
