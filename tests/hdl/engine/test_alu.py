# amaranth: UnusedElaboratable=no
"""The ALU against the instruction-accurate model on edge operands."""

from __future__ import annotations

import pytest

from intaglio.hdl.engine.alu import Alu
from intaglio.hdl.engine.comb import Comb
from intaglio.hdl.engine.isa import A, Addend, B, Curve, Out
from intaglio.params import ED25519, SECP256K1
from intaglio.sim import runner

COMBS = {
    Curve.ED25519: Comb(ED25519.order, 4),
    Curve.SECP256K1: Comb(SECP256K1.order, 4),
}


@pytest.mark.parametrize("interval", [2, 4, 8, 16])
def test_alu(interval: int) -> None:
    built = runner.build(Alu(interval, COMBS), f"alu_{interval}")
    env = {"INTERVAL": interval, "VECTORS": 1500}
    measured = runner.run(built, "intaglio.sim.benches.engine_alu", env=env)
    seen = {(name, value) for name, value in measured["seen"]}
    for name, values in (("a", A), ("b", B), ("addend", Addend), ("out", Out)):
        assert {value for kind, value in seen if kind == name} == set(map(int, values))
    assert {v for kind, v in seen if kind == "canonical"} == set(range(2 * len(Out)))
    assert {v for kind, v in seen if kind == "negative"} == set(range(2 * len(B)))


@pytest.mark.parametrize("interval", [0, 1, 3, 32])
def test_constructor_errors(interval: int) -> None:
    with pytest.raises(ValueError, match=f"interval must be 2, 4, 8 or 16, not {interval}"):
        Alu(interval, COMBS)
