"""NiteFury II and LiteFury: M.2 cards with an Artix-7, one lane of generation 2.

There is no bitstream of these and none has been tried on silicon: this writes the Verilog and the
constraints that go with the sources of `pcie_7x <https://github.com/regymm/pcie_7x>`_ into an
Artix-7 flow (nextpnr-xilinx or the vendor's)::

    python -m intaglio.hdl.boards.nitefury nitefury FOLDER
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Const,
    DomainRenamer,
    Instance,
    Module,
    ResetSignal,
    Signal,
)
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth_boards.nitefury import LitefuryPlatform, NitefuryIIPlatform

from intaglio.hdl.core import SigningCore
from intaglio.hdl.link.pcie.crossing import Crossing, core_domain
from intaglio.hdl.link.pcie.link import PcieLink
from intaglio.hdl.link.pcie.seven_series import SevenSeries
from intaglio.hdl.profiles import SMALL, Profile

from .top import GIT_REVISION_BYTES

LINK_HZ = 125_000_000
_VCO_HZ = 1_000_000_000


@dataclass(frozen=True)
class FuryBoard:
    """One card. ``clock_hz`` is the engine clock, a divisor of 1 GHz, not routed yet."""

    name: str
    title: str
    platform: type
    clock_hz: int = 31_250_000


BOARDS = {
    board.name: board
    for board in (
        FuryBoard("nitefury", "NiteFury II, xc7a200t", NitefuryIIPlatform),
        FuryBoard("litefury", "LiteFury, xc7a100t", LitefuryPlatform),
    )
}


class FuryTop(wiring.Component):
    """The design of a card, with its pins as ports; composition only.

    Parameters
    ----------
    board : FuryBoard
        Where it runs.
    profile : Profile
        Size of the core.
    git_revision : bytes
        The 20 bytes of the commit that it is built from, for the identity record.

    Clock domains: ``sync``, made by the endpoint block; ``core``, the engine clock, made from it.
    :class:`.Crossing` is the only way between them.
    """

    sys_clk_p: In(1)
    sys_clk_n: In(1)
    sys_rst_n: In(1)
    pci_exp_rxp: In(1)
    pci_exp_rxn: In(1)
    pci_exp_txp: Out(1)
    pci_exp_txn: Out(1)
    clkreq_n: Out(1)
    led: Out(1)

    def __init__(self, board: FuryBoard, profile: Profile, git_revision: bytes) -> None:
        if len(git_revision) != GIT_REVISION_BYTES:
            raise ValueError(
                f"git_revision must be {GIT_REVISION_BYTES} bytes, not {len(git_revision)}"
            )
        if _VCO_HZ % board.clock_hz:
            raise ValueError(f"{board.name}: clock_hz={board.clock_hz} must divide {_VCO_HZ}")
        self.board, self.profile, self.git_revision = board, profile, git_revision
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain("sync")
        reference, locked, engine_clock = Signal(), Signal(), Signal()
        m.submodules.reference = Instance(
            "IBUFDS_GTE2", i_I=self.sys_clk_p, i_IB=self.sys_clk_n, i_CEB=Const(0), o_O=reference
        )
        m.submodules.block = block = SevenSeries()
        m.submodules.link = link = PcieLink()
        m.submodules.crossing = crossing = Crossing()
        core = SigningCore(self.profile, clock_hz=self.board.clock_hz)
        m.submodules.core = DomainRenamer("core")(core)
        self._engine_clock(m, engine_clock, locked)
        core_domain(m, clock=engine_clock, reset=~locked | link.core_reset)

        connect(m, block.rx, link.rx)
        connect(m, link.tx, block.tx)
        connect(m, link.function, block.function)
        connect(m, link.requests, crossing.requests)
        connect(m, crossing.replies, link.replies)
        connect(m, crossing.core_requests, core.requests)
        connect(m, core.replies, crossing.core_replies)
        busy = Signal()
        m.d.core += busy.eq(core.busy)
        m.d.comb += [
            ClockSignal().eq(block.user_clk),
            ResetSignal().eq(block.user_reset),
            block.sys_clk.eq(reference),
            block.sys_rst_n.eq(self.sys_rst_n),
            block.pci_exp_rxp.eq(self.pci_exp_rxp),
            block.pci_exp_rxn.eq(self.pci_exp_rxn),
            self.pci_exp_txp.eq(block.pci_exp_txp),
            self.pci_exp_txn.eq(block.pci_exp_txn),
            self.led.eq(~block.user_lnk_up),
            crossing.core_busy.eq(busy),
            crossing.reset.eq(link.core_reset),
            link.core_busy.eq(crossing.busy),
            link.identity.eq(core.identity),
            core.git_revision.eq(Const(int.from_bytes(self.git_revision, "little"), 160)),
        ]
        return m

    def _engine_clock(self, m: Module, clock: Signal, locked: Signal) -> None:
        feedback, divided = Signal(), Signal()
        m.submodules.mmcm = Instance(
            "MMCME2_BASE",
            p_CLKIN1_PERIOD=1e9 / LINK_HZ,
            p_CLKFBOUT_MULT_F=float(_VCO_HZ // LINK_HZ),
            p_CLKOUT0_DIVIDE_F=float(_VCO_HZ // self.board.clock_hz),
            i_CLKIN1=ClockSignal(),
            i_RST=ResetSignal(),
            i_PWRDWN=Const(0),
            i_CLKFBIN=feedback,
            o_CLKFBOUT=feedback,
            o_CLKOUT0=divided,
            o_LOCKED=locked,
        )
        m.submodules.buffer = Instance("BUFG", i_I=divided, o_O=clock)


def constraints(board: FuryBoard) -> str:
    """Constraints in XDC: pins as amaranth-boards has them, and the clocks."""
    resources = {r.name: r for r in board.platform.resources if r.number == 0}
    pcie = {part.name: part.ios[0] for part in resources["pcie"].ios}
    pins = {
        "sys_clk_p": pcie["clk"].p.names[0],
        "sys_clk_n": pcie["clk"].n.names[0],
        "pci_exp_rxp": pcie["rx"].p.names[0],
        "pci_exp_rxn": pcie["rx"].n.names[0],
        "pci_exp_txp": pcie["tx"].p.names[0],
        "pci_exp_txn": pcie["tx"].n.names[0],
        "sys_rst_n": pcie["rst"].names[0],
        "clkreq_n": pcie["clkreq"].names[0],
        "led": resources["m2led"].ios[0].names[0],
    }
    lines = [f"set_property LOC {pin} [get_ports {name}]" for name, pin in pins.items()]
    lines += [
        f"set_property IOSTANDARD LVCMOS33 [get_ports {name}]"
        for name in ("sys_rst_n", "clkreq_n", "led")
    ]
    lines += [
        "set_property PULLUP true [get_ports sys_rst_n]",
        "create_clock -name sys_clk -period 10 [get_ports sys_clk_p]",
    ]
    return "\n".join(lines) + "\n"


def write(board: FuryBoard, folder: Path, profile: Profile = SMALL) -> None:
    """Write ``top.v`` and ``top.xdc`` into ``folder``."""
    from .build import git_revision

    folder.mkdir(parents=True, exist_ok=True)
    top = FuryTop(board, profile, git_revision())
    (folder / "top.v").write_text(verilog.convert(top, name="top", emit_src=False))
    (folder / "top.xdc").write_text(constraints(board))


def main() -> None:
    """``python -m intaglio.hdl.boards.nitefury BOARD FOLDER``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("board", choices=BOARDS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    write(BOARDS[given.board], given.folder)


if __name__ == "__main__":
    main()
