# amaranth: UnusedElaboratable=no
"""The ALU, and its Reducer alone, against the instruction-accurate model on edge operands."""

from __future__ import annotations

import pytest

from intaglio.hdl.engine.alu import Alu, Reducer
from intaglio.hdl.engine.comb import Comb
from intaglio.hdl.engine.isa import A, Addend, B, Curve, Out
from intaglio.hdl.engine.pipelined import PipelinedAlu
from intaglio.params import ED25519, SECP256K1
from intaglio.sim import runner

COMBS = {
    Curve.ED25519: Comb(ED25519.order, 4),
    Curve.SECP256K1: Comb(SECP256K1.order, 4),
}


def test_reducer() -> None:
    orders = {curve: comb.order for curve, comb in COMBS.items()}
    built = runner.build(Reducer(orders), "reducer")
    measured = runner.run(built, "intaglio.sim.benches.engine_reducer", env={"VECTORS": 1000})
    assert measured["words"] > 5000


@pytest.mark.parametrize(
    ("interval", "vectors"), [(0, 4000), (16, 1500)], ids=["pipelined", "small"]
)
def test_alu(interval: int, vectors: int) -> None:
    unit = Alu(interval, COMBS) if interval else PipelinedAlu(COMBS)
    built = runner.build(unit, f"alu_{interval}")
    env = {"INTERVAL": interval, "VECTORS": vectors}
    measured = runner.run(built, "intaglio.sim.benches.engine_alu", env=env)
    seen = {(name, value) for name, value in measured["seen"]}
    for name, values in (("a", A), ("b", B), ("addend", Addend), ("out", Out)):
        assert {value for kind, value in seen if kind == name} == set(map(int, values))
    assert {v for kind, v in seen if kind == "canonical"} == set(range(2 * len(Out)))
    assert {v for kind, v in seen if kind == "negative"} == set(range(2 * len(B)))
