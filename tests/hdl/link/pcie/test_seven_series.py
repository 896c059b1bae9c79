# amaranth: UnusedElaboratable=no
"""The 7-series adapter against the ports of the block, and the boards that carry it."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Instance, Value
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator

from intaglio.hdl.boards import nitefury
from intaglio.hdl.link.pcie import seven_series
from intaglio.hdl.link.pcie.seven_series import SevenSeries, SevenSeriesPins

INPUTS = {
    **dict.fromkeys(("pci_exp_rxn", "pci_exp_rxp", "pipe_mmcm_rst_n", "sys_clk", "sys_rst_n"), 1),
    **dict.fromkeys(("tx_cfg_gnt", "rx_np_ok", "rx_np_req", "cfg_turnoff_ok"), 1),
    **dict.fromkeys(("cfg_trn_pending", "cfg_pm_halt_aspm_l0s", "cfg_pm_halt_aspm_l1"), 1),
    **{"cfg_pm_force_state_en": 1, "cfg_pm_force_state": 2, "cfg_dsn": 64, "cfg_pm_wake": 1},
    **{"s_axis_tx_tdata": 64, "s_axis_tx_tvalid": 1, "s_axis_tx_tkeep": 8, "s_axis_tx_tlast": 1},
    **{"s_axis_tx_tuser": 4, "m_axis_rx_tready": 1, "cfg_interrupt": 1, "cfg_interrupt_di": 8},
    **{"cfg_interrupt_assert": 1, "cfg_interrupt_stat": 1, "cfg_pciecap_interrupt_msgnum": 5},
}
"""Inputs of ``src/pcie_7x.v`` of https://github.com/regymm/pcie_7x, revision 2d97129, but those
named ``pipe_..._in``, which are of use only with ``EXTERNAL_MMCM``."""

OUTPUTS = {
    **dict.fromkeys(("pci_exp_txn", "pci_exp_txp", "user_clk_out", "user_reset_out"), 1),
    **{"user_lnk_up": 1, "s_axis_tx_tready": 1, "m_axis_rx_tdata": 64, "m_axis_rx_tvalid": 1},
    **{"m_axis_rx_tkeep": 8, "m_axis_rx_tlast": 1, "cfg_command": 16, "cfg_dcommand": 16},
    **{"cfg_to_turnoff": 1, "cfg_bus_number": 8, "cfg_device_number": 5},
    **{"cfg_function_number": 3, "cfg_received_func_lvl_rst": 1, "cfg_interrupt_rdy": 1},
    **{"cfg_interrupt_msienable": 1},
}
"""Those of its outputs that are of use here."""

PARAMETERS = {
    *("LINK_CAP_MAX_LINK_SPEED", "LINK_CTRL2_TARGET_LINK_SPEED", "LINK_STATUS_SLOT_CLOCK_CONFIG"),
    *("USER_CLK_FREQ", "CFG_VEND_ID", "CFG_DEV_ID", "CLASS_CODE", "BAR0"),
    *("DEV_CAP_MAX_PAYLOAD_SUPPORTED", "DEV_CAP_FUNCTION_LEVEL_RESET_CAPABLE"),
}
"""Those of its parameters that are set here."""


def test_every_port_is_joined_with_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, dict[str, Any]] = {}

    def instance(kind: str, **joined: Any) -> Instance:
        made[kind] = joined
        return Instance(kind, **joined)

    monkeypatch.setattr(seven_series, "Instance", instance)
    SevenSeries().elaborate(None)
    joined = made["pcie_7x"]
    for prefix, known in (("i_", INPUTS), ("o_", OUTPUTS)):
        ports = {
            name.removeprefix(prefix): len(Value.cast(value))
            for name, value in joined.items()
            if name.startswith(prefix)
        }
        assert ports == known
    assert {name.removeprefix("p_") for name in joined if name.startswith("p_")} == PARAMETERS


def test_configuration_reaches_the_link() -> None:
    dut = SevenSeriesPins()

    async def bench(context: Any) -> None:
        for pin, value in (
            (dut.cfg_command, 1 << 2),
            (dut.cfg_dcommand, 2 << 12 | 1 << 5),
            (dut.cfg_bus_number, 3),
            (dut.cfg_device_number, 4),
            (dut.cfg_function_number, 5),
            (dut.cfg_interrupt_msienable, 1),
            (dut.cfg_received_func_lvl_rst, 1),
            (dut.cfg_interrupt_rdy, 1),
            (dut.function.msi_request, 1),
            (dut.function.posted_only, 1),
        ):
            context.set(pin, value)
        function = dut.function
        told = {
            name: int(context.get(getattr(function, name)))
            for name, member in function.signature.members.items()
            if member.flow is Out
        }
        assert told == {
            **{"bdf": 3 << 8 | 4 << 3 | 5, "bus_master": 1, "max_payload": 1},
            **{"max_read_request": 2, "msi_enable": 1, "msi_ack": 1, "reset": 1},
        }
        assert context.get(dut.cfg_interrupt)
        assert not context.get(dut.rx_np_ok)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("name", list(nitefury.BOARDS))
def test_each_pin_of_a_board_has_its_place(name: str) -> None:
    board = nitefury.BOARDS[name]
    top = nitefury.FuryTop(board, nitefury.SMALL, bytes(20))
    lines = nitefury.constraints(board).splitlines()
    placed = {line.split()[-1].rstrip("]"): line.split()[2] for line in lines if " LOC " in line}
    assert set(placed) == set(top.signature.members)
    assert len(set(placed.values())) == len(placed)


def test_a_board_becomes_verilog(tmp_path: Any) -> None:
    nitefury.write(nitefury.BOARDS["litefury"], tmp_path)
    text = (tmp_path / "top.v").read_text()
    for kind in ("pcie_7x", "IBUFDS_GTE2", "MMCME2_BASE", "BUFG"):
        assert f"  {kind} " in text
    assert "create_clock" in (tmp_path / "top.xdc").read_text()
