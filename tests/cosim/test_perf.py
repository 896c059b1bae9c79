"""Clocks a signature, measured on the RTL under load."""

from __future__ import annotations

import pytest

from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.hdl.boards.build import cycles_per_signature
from intaglio.hdl.engine.isa import Curve as EngineCurve
from intaglio.hdl.profiles import PROFILES, SMALL
from intaglio.sim import perf
from intaglio.sim.model import cycles

STREAMS = {"ed25519": "Ed25519", "secp256k1": "ECDSA"}
ENGINE_CURVES = {"ed25519": EngineCurve.ED25519, "secp256k1": EngineCurve.SECP256K1}


def test_rate_of_the_small_core() -> None:
    """As the cycle-level model has it; lone jobs to half a per cent."""
    measured = perf.measure("small", rounds=6)
    assert [one.curve for one in measured] == [curve.value for curve in DEVICE_CURVES]
    for one in measured:
        report = cycles.measure(cycles.SMALL, STREAMS[one.curve])
        assert one.products_per_signature == report.instructions
        assert one.multiplier_occupancy == pytest.approx(report.multiplier, abs=0.02)
        alone = cycles.Simulation(cycles.SMALL).lone(ENGINE_CURVES[one.curve])
        assert one.latency_cycles == pytest.approx(alone, rel=0.005)
        assert one.bottleneck == "multiplier"
        assert not one.is_stale


def test_builds_ask_for_the_rate() -> None:
    told = cycles_per_signature("small")
    assert list(told) == [Curve.ED25519, Curve.SECP256K1]
    assert all(cycles and cycles > 200 * SMALL.interval for cycles in told.values())


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("profile", PROFILES)
def test_committed_figures_are_those_of_today(profile: str) -> None:
    """Simulating again gives what is committed: else ``make figures``."""
    assert perf.measure(profile) == [one for one in perf.load() if one.profile == profile]
