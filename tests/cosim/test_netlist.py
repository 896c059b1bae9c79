"""Below RTL: netlists of whole boards, before and after place and route, from pin to pin.

``INTAGLIO_PROFILE`` chooses the profile of the core, ``INTAGLIO_ROUTED`` a netlist that nextpnr
wrote (``routed.json``) to be simulated instead of the one that goes into it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from intaglio.hdl.boards import BOARDS, build, top
from intaglio.hdl.digest import rtl_digest
from intaglio.hdl.profiles import PROFILES
from intaglio.sim import netlist, runner
from intaglio.sim.cells.probe import Probe

PROFILE = os.environ.get("INTAGLIO_PROFILE", "small")
PROBED, SIGNS_ON = BOARDS["ulx3s-25f"], BOARDS["ulx3s-85f"]


def compiled(path: Path, board: Any) -> runner.Build:
    oscillator_hz = board.platform().default_clk_frequency
    return netlist.build(json.loads(path.read_text()), oscillator_hz=oscillator_hz)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_cell_before_and_after_routing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(top, "SerialSigner", Probe)
    monkeypatch.setattr(build, "cycles_per_signature", lambda profile: {})
    build.build(PROBED.name, "small", work=tmp_path, report=lambda stage, seconds: None)
    for name in ("top.json", build.ROUTED):
        model = compiled(tmp_path / name, PROBED)
        env = {"BAUD": PROBED.baud}
        told = runner.run(model, "intaglio.sim.benches.netlist_probe", env=env)
        assert told["answers"] > 0


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_the_core_signs(tmp_path: Path) -> None:
    """At least one published vector of each curve."""
    given = os.environ.get("INTAGLIO_ROUTED")
    path = Path(given) if given else tmp_path / "top.json"
    if not given:
        build.synthesise(SIGNS_ON, PROFILES[PROFILE], tmp_path, lambda stage, seconds: None)
    identity = {
        "profile": PROFILE,
        "clock_hz": SIGNS_ON.clock_hz,
        "rtl_digest": rtl_digest(PROFILE).hex(),
    }
    told = runner.run(
        compiled(path, SIGNS_ON),
        "intaglio.sim.benches.netlist_signs",
        env={"BAUD": SIGNS_ON.baud, "IDENTITY": json.dumps(identity)},
    )
    assert set(told["cycles"]) == {"ed25519", "secp256k1"}


def test_verilog_of_a_netlist() -> None:
    cell = {
        "type": "DP16KD",
        "parameters": {"CSA0MUX": "INV", "ADA0MUX": "1 ", "RESETMODE": "SYNC", "WIDTH": "101"},
        "connections": {"CSA0": [5], "ADA0": [], "CEA": [], "DOA0": [], "AD": [3, "0"]},
        "port_directions": {"CSA0": "input", "ADA0": "input", "CEA": "input", "DOA0": "output"},
    }
    pins = {"rx": "input", "tx": "output"}
    ports = {
        f"uart_0__{name}__io": {"direction": way, "bits": [bit]}
        for bit, (name, way) in enumerate(pins.items(), 10)
    }
    ports["clk__p"], ports["clk__n"] = ({"direction": "input", "bits": [b]} for b in (20, 21))
    ports["led_0__io"] = {"direction": "output", "bits": [22]}
    factor = {
        "type": "MULT18X18D",
        "parameters": {"A17MUX": "0 ", "GSR": "DISABLED"},
        "connections": {"A16": [6], "A17": []},
        "port_directions": {"A16": "input", "A17": "input"},
    }
    module = {"attributes": {"top": "1"}, "ports": ports, "cells": {"a": cell, "b": factor}}
    text = netlist.verilog({"modules": {"m": module}}, oscillator_hz=100e6)
    assert (
        '  DP16KD #(.RESETMODE("SYNC"), .WIDTH(3\'b101)) c0 '
        "(.AD({1'b0, n3}), .ADA0(1'b1), .CEA(1'b1), .CSA0(~n5));" in text
    )
    assert '  MULT18X18D #(.GSR("DISABLED")) c1 (.A16(n6), .A17(1\'b0));' in text
    assert ".clk__p(oscillator), .clk__n(~oscillator)" in text
    assert "always #(5.000000) oscillator" in text
    with pytest.raises(netlist.NetlistError, match="0 top modules"):
        netlist.verilog({"modules": {}}, oscillator_hz=1)
    del ports["uart_0__rx__io"]
    with pytest.raises(netlist.NetlistError, match="no serial port"):
        netlist.verilog({"modules": {"m": module}}, oscillator_hz=1)
