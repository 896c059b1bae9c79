"""The cycle-level model's lone jobs against the virtual board's."""

from __future__ import annotations

import pytest

import intaglio
from intaglio.hdl.engine.isa import Curve
from intaglio.sim.model.cycles import SMALL, Simulation


def test_lone_jobs_take_the_clocks_of_the_model() -> None:
    with intaglio.open("sim:") as signer:
        ed25519 = signer.load_key(intaglio.Curve.ED25519, bytes(range(32)))
        ecdsa = signer.load_key(intaglio.Curve.SECP256K1, bytes(range(1, 33)))
        board = {
            Curve.ED25519: signer.sign(ed25519, message=bytes(SMALL.message_bytes)).cycles,
            Curve.SECP256K1: signer.sign(ecdsa, digest=bytes(32)).cycles,
        }
    for curve, cycles in board.items():
        assert Simulation(SMALL).lone(curve) == pytest.approx(cycles, rel=0.005)
