"""7-series endpoint block: raw TLPs on two AXI streams of 64 bits.

The block is `pcie_7x <https://github.com/regymm/pcie_7x>`_, which needs no vendor tools and whose
pins are those of the vendor's core of the same name (AMD PG054). Simulated, never on silicon.
"""

from amaranth.hdl import Cat, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio import wire_ring

from . import tlp
from .filter import MAX_PAYLOAD_BYTES
from .gears import Narrow, Widen

_BUS_MASTER = 2
"""Bit of ``cfg_command``."""


class SevenSeriesPins(wiring.Component):
    """The streams and the configuration pins of the block, without the block.

    Members
    -------
    m_axis_rx_*, s_axis_tx_*, cfg_*, rx_np_*
        Pins of the block, see PG054.
    rx, tx : Out, In(stream of Packet(32)); function : In(Function)
        To :class:`.link.PcieLink`.

    Timing: one clock a DW, no latency.
    """

    m_axis_rx_tdata: In(64)
    m_axis_rx_tkeep: In(8)
    m_axis_rx_tlast: In(1)
    m_axis_rx_tvalid: In(1)
    m_axis_rx_tready: Out(1)
    s_axis_tx_tdata: Out(64)
    s_axis_tx_tkeep: Out(8)
    s_axis_tx_tlast: Out(1)
    s_axis_tx_tvalid: Out(1)
    s_axis_tx_tready: In(1)
    s_axis_tx_tuser: Out(4)
    rx_np_ok: Out(1)
    rx_np_req: Out(1)
    cfg_command: In(16)
    cfg_dcommand: In(16)
    cfg_bus_number: In(8)
    cfg_device_number: In(5)
    cfg_function_number: In(3)
    cfg_interrupt: Out(1)
    cfg_interrupt_rdy: In(1)
    cfg_interrupt_msienable: In(1)
    cfg_received_func_lvl_rst: In(1)
    rx: Out(tlp.tlps())
    tx: In(tlp.tlps())
    function: In(tlp.Function())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.narrow = narrow = Narrow()
        m.submodules.widen = widen = Widen()
        connect(m, narrow.o, flipped(self.rx))
        connect(m, flipped(self.tx), widen.i)
        function, sent = self.function, widen.o.payload
        m.d.comb += [
            narrow.i.valid.eq(self.m_axis_rx_tvalid),
            narrow.i.payload.data.eq(self.m_axis_rx_tdata),
            narrow.i.payload.both.eq(self.m_axis_rx_tkeep[4]),
            narrow.i.payload.last.eq(self.m_axis_rx_tlast),
            self.m_axis_rx_tready.eq(narrow.i.ready),
            self.s_axis_tx_tvalid.eq(widen.o.valid),
            self.s_axis_tx_tdata.eq(sent.data),
            self.s_axis_tx_tkeep.eq(Cat(Const(0xF, 4), sent.both.replicate(4))),
            self.s_axis_tx_tlast.eq(sent.last),
            widen.o.ready.eq(self.s_axis_tx_tready),
            self.rx_np_ok.eq(~function.posted_only),
            self.rx_np_req.eq(1),
            function.bdf.eq(
                Cat(self.cfg_function_number, self.cfg_device_number, self.cfg_bus_number)
            ),
            function.bus_master.eq(self.cfg_command[_BUS_MASTER]),
            function.max_payload.eq(self.cfg_dcommand[5:8]),
            function.max_read_request.eq(self.cfg_dcommand[12:15]),
            function.msi_enable.eq(self.cfg_interrupt_msienable),
            function.reset.eq(self.cfg_received_func_lvl_rst),
            self.cfg_interrupt.eq(function.msi_request),
            function.msi_ack.eq(self.cfg_interrupt_rdy),
        ]
        return m


class SevenSeries(wiring.Component):
    """The block, one lane of generation 2, on its pins.

    Members
    -------
    pci_exp_rxp, pci_exp_rxn : In(1), pci_exp_txp, pci_exp_txn : Out(1)
        The lane.
    sys_clk, sys_rst_n : In(1)
        Reference clock of 100 MHz, from its buffer, and reset of the slot.
    user_clk, user_reset, user_lnk_up : Out(1)
        Clock of 125 MHz, reset and state of the link for all that follows; ``user_clk`` is to
        drive the domain that this component is in.
    rx, tx : Out, In(stream of Packet(32)); function : In(Function)
        To :class:`.link.PcieLink`.
    """

    pci_exp_rxp: In(1)
    pci_exp_rxn: In(1)
    pci_exp_txp: Out(1)
    pci_exp_txn: Out(1)
    sys_clk: In(1)
    sys_rst_n: In(1)
    user_clk: Out(1)
    user_reset: Out(1)
    user_lnk_up: Out(1)
    rx: Out(tlp.tlps())
    tx: In(tlp.tlps())
    function: In(tlp.Function())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pins = pins = SevenSeriesPins()
        connect(m, pins.rx, flipped(self.rx))
        connect(m, flipped(self.tx), pins.tx)
        connect(m, flipped(self.function), pins.function)
        beside = {"rx", "tx", "function"}
        flows = {
            name: member.flow
            for name, member in pins.signature.members.items()
            if name not in beside
        }
        joined = {
            f"{'o' if flow == In else 'i'}_{name}": getattr(pins, name)
            for name, flow in flows.items()
        }
        turnoff = Signal()
        idle = {
            "tx_cfg_gnt": Const(1, 1),
            "cfg_trn_pending": Const(0, 1),
            "cfg_pm_halt_aspm_l0s": Const(0, 1),
            "cfg_pm_halt_aspm_l1": Const(0, 1),
            "cfg_pm_force_state_en": Const(0, 1),
            "cfg_pm_force_state": Const(0, 2),
            "cfg_dsn": Const(0, 64),
            "cfg_turnoff_ok": turnoff,
            "cfg_pm_wake": Const(0, 1),
            "cfg_interrupt_assert": Const(0, 1),
            "cfg_interrupt_di": Const(0, 8),
            "cfg_interrupt_stat": Const(0, 1),
            "cfg_pciecap_interrupt_msgnum": Const(0, 5),
            "pipe_mmcm_rst_n": Const(1, 1),
        }
        m.submodules.block = Instance(
            "pcie_7x",
            p_LINK_CAP_MAX_LINK_SPEED=Const(2, 4),
            p_LINK_CTRL2_TARGET_LINK_SPEED=Const(2, 4),
            p_LINK_STATUS_SLOT_CLOCK_CONFIG="TRUE",
            p_USER_CLK_FREQ=2,
            p_CFG_VEND_ID=Const(wire_ring.PCI_VENDOR_ID, 16),
            p_CFG_DEV_ID=Const(wire_ring.PCI_DEVICE_ID, 16),
            p_CLASS_CODE=Const(wire_ring.PCI_CLASS, 24),
            p_BAR0=Const((1 << 32) - wire_ring.BAR_BYTES, 32),
            p_DEV_CAP_MAX_PAYLOAD_SUPPORTED=(MAX_PAYLOAD_BYTES // 128).bit_length() - 1,
            p_DEV_CAP_FUNCTION_LEVEL_RESET_CAPABLE="TRUE",
            o_cfg_to_turnoff=turnoff,
            **{f"i_{name}": value for name, value in idle.items()},
            **joined,
            o_user_clk_out=self.user_clk,
            o_user_reset_out=self.user_reset,
            o_user_lnk_up=self.user_lnk_up,
            i_sys_clk=self.sys_clk,
            i_sys_rst_n=self.sys_rst_n,
            i_pci_exp_rxp=self.pci_exp_rxp,
            i_pci_exp_rxn=self.pci_exp_rxn,
            o_pci_exp_txp=self.pci_exp_txp,
            o_pci_exp_txn=self.pci_exp_txn,
        )
        return m
