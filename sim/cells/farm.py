"""Cells in the settings that matter, with their pins as ports, for the benches of their models."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from types import SimpleNamespace

from amaranth.hdl import ClockSignal, Const, Fragment, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from intaglio.hdl.blockram import BlockRom
from intaglio.hdl.boards import BOARDS
from intaglio.hdl.boards.pll import Pll
from intaglio.sim import netlist, runner

WORDS = 1024
WORD_BITS = 18
INITIAL_SEED = 20


@dataclass(frozen=True)
class Ram:
    """One setting of a DP16KD: each pair is of ports A and B."""

    widths: tuple[int, int] = (18, 18)
    writemodes: tuple[str, str] = ("NORMAL", "NORMAL")
    regmodes: tuple[str, str] = ("NOREG", "NOREG")
    resetmode: str = "SYNC"
    select: tuple[int, int] = (0, 0)


RAMS = (
    Ram((1, 1)),
    Ram((2, 2), ("WRITETHROUGH", "READBEFOREWRITE")),
    Ram((4, 4), ("READBEFOREWRITE", "WRITETHROUGH")),
    Ram((9, 9), ("READBEFOREWRITE", "NORMAL"), resetmode="ASYNC"),
    Ram((18, 18), ("READBEFOREWRITE", "WRITETHROUGH"), select=(5, 2)),
    Ram((18, 18), regmodes=("OUTREG", "NOREG")),
    Ram((9, 18), ("WRITETHROUGH", "NORMAL"), ("NOREG", "OUTREG"), "ASYNC"),
    Ram((1, 18), ("READBEFOREWRITE", "READBEFOREWRITE")),
    Ram((36, 36)),
    Ram((36, 9), regmodes=("NOREG", "OUTREG"), resetmode="ASYNC"),
)


@dataclass(frozen=True)
class Mult:
    """One setting of a MULT18X18D; what is ``True`` has a register, on clock, CE and RST 0."""

    inputs: bool = False
    pipeline: bool = False
    output: bool = False
    resetmode: str = "SYNC"

    @property
    def latency(self) -> int:
        """Clocks from operands to product."""
        return self.inputs + self.pipeline + self.output


MULTS = (
    Mult(),
    Mult(inputs=True),
    Mult(pipeline=True, resetmode="ASYNC"),
    Mult(output=True),
    Mult(inputs=True, pipeline=True, output=True),
    Mult(inputs=True, pipeline=True, output=True, resetmode="ASYNC"),
)

FLIPFLOPS = tuple(
    (cemux, lsrmux, srmode, regset)
    for cemux, lsrmux in (("1", "LSR"), ("CE", "INV"), ("INV", "LSR"))
    for srmode in ("LSR_OVER_CE", "ASYNC")
    for regset in ("SET", "RESET")
)
"""CEMUX, LSRMUX, SRMODE and REGSET of each flip-flop."""

PLLS = tuple(
    sorted(
        {
            (round(board.platform().default_clk_frequency), board.clock_hz)
            for board in BOARDS.values()
        }
    )
)
"""Input and output frequency, in Hz, of the PLL of each board."""


ROMS = (
    *((depth, width, False) for depth, width in ((700, 20), (2000, 11), (4096, 5), (6592, 20))),
    *((depth, width, True) for depth, width in ((700, 20), (3000, 11), (18000, 5))),
)
"""Words and width of tables that :class:`.BlockRom` makes of blocks, in one row or several, and
whether these are far."""

_ECP5 = SimpleNamespace(device="LFE5U-85F")


def rom_words(rom: int) -> list[int]:
    """What table number ``rom`` holds."""
    depth, width, _ = ROMS[rom]
    chance = random.Random(INITIAL_SEED - rom)
    return [chance.getrandbits(width) for _ in range(depth)]


def initial_bits(ram: int) -> int:
    """What RAM number ``ram`` holds at first: word n in bits 18 n to 18 n + 17."""
    return random.Random(INITIAL_SEED + ram).getrandbits(WORDS * WORD_BITS)


def build() -> runner.Build:
    """Compiles a :class:`Farm`, of which benches see the ports only: that builds much faster."""
    text = runner.verilog(Farm, name="farm")
    text = re.sub(r"(?m)^(  (?:in|out)put .*);$", r"\1 /*verilator public_flat_rw*/;", text)
    args = (*runner.TIMING, "-no-public-flat-rw")
    return runner.build(text, "farm", sources=netlist.CELLS, verilator_args=args)


class Farm(wiring.Component):
    """Ports are named by kind and number, like ``ram3_ad_a`` or ``pll0_locked``."""

    def __init__(self) -> None:
        rams = {"ad": In(14), "di": In(18), "ce": In(1), "oce": In(1), "we": In(1)}
        rams |= {"rst": In(1), "cs": In(3), "do": Out(18)}
        ports: dict[str, object] = {
            f"ram{n}_{name}_{side}": flow
            for n in range(len(RAMS))
            for side in "ab"
            for name, flow in rams.items()
        }
        for n, (depth, width, _) in enumerate(ROMS):
            for reader in range(2):
                ports |= {f"rom{n}_en_{reader}": In(1), f"rom{n}_addr_{reader}": In(range(depth))}
                ports |= {f"rom{n}_word_{reader}": Out(width)}
        ports |= {"mult_a": In(18), "mult_b": In(18), "mult_signed": In(2)}
        ports |= {"mult_ce": In(1), "mult_rst": In(1)}
        ports |= {f"mult{n}_p": Out(36) for n in range(len(MULTS))}
        ports |= {"ff_clk": In(1), "ff_ce": In(1), "ff_lsr": In(1), "ff_di": In(1)}
        ports |= {"ff_q": Out(len(FLIPFLOPS))}
        for n in range(len(PLLS)):
            ports |= {f"pll{n}_in": In(1), f"pll{n}_out": Out(1), f"pll{n}_locked": Out(1)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for n, ram in enumerate(RAMS):
            m.submodules[f"ram{n}"] = self._ram(n, ram)
        for n, (_, width, far) in enumerate(ROMS):
            rom = BlockRom(width=width, words=rom_words(n), readers=2, far=far)
            m.submodules[f"rom{n}"] = Fragment.get(rom, _ECP5)
            for reader in range(2):
                for name in ("en", "addr"):
                    asked = getattr(self, f"rom{n}_{name}_{reader}")
                    m.d.comb += getattr(rom, f"{name}_{reader}").eq(asked)
                found = getattr(rom, f"word_{reader}")
                m.d.comb += getattr(self, f"rom{n}_word_{reader}").eq(found)
        for n, mult in enumerate(MULTS):
            m.submodules[f"mult{n}"] = self._mult(n, mult)
        for n, (cemux, lsrmux, srmode, regset) in enumerate(FLIPFLOPS):
            m.submodules[f"ff{n}"] = Instance(
                "TRELLIS_FF",
                p_CEMUX=cemux,
                p_LSRMUX=lsrmux,
                p_SRMODE=srmode,
                p_REGSET=regset,
                i_CLK=self.ff_clk,
                i_CE=self.ff_ce,
                i_LSR=self.ff_lsr,
                i_DI=self.ff_di,
                o_Q=self.ff_q[n],
            )
        for n, (input_hz, output_hz) in enumerate(PLLS):
            m.submodules[f"pll{n}"] = pll = Pll(input_hz, output_hz)
            m.d.comb += [
                pll.clk_in.eq(getattr(self, f"pll{n}_in")),
                getattr(self, f"pll{n}_out").eq(pll.clk_out),
                getattr(self, f"pll{n}_locked").eq(pll.locked),
            ]
        return m

    def _ram(self, n: int, ram: Ram) -> Instance:
        initial = initial_bits(n)
        pins: dict[str, object] = {}
        for side, width, writemode, regmode, select in zip(
            "AB", ram.widths, ram.writemodes, ram.regmodes, ram.select, strict=True
        ):
            port = {
                name: getattr(self, f"ram{n}_{name}_{side.lower()}")
                for name in ("ad", "di", "ce", "oce", "we", "rst", "cs", "do")
            }
            pins |= {f"i_AD{side}{i}": port["ad"][i] for i in range(14)}
            pins |= {f"i_DI{side}{i}": port["di"][i] for i in range(WORD_BITS)}
            pins |= {f"o_DO{side}{i}": port["do"][i] for i in range(WORD_BITS)}
            pins |= {f"i_CS{side}{i}": port["cs"][i] for i in range(3)}
            pins |= {f"i_{name.upper()}{side}": port[name] for name in ("ce", "oce", "we", "rst")}
            pins |= {
                f"i_CLK{side}": ClockSignal(),
                f"p_DATA_WIDTH_{side}": width,
                f"p_WRITEMODE_{side}": writemode,
                f"p_REGMODE_{side}": regmode,
                f"p_CSDECODE_{side}": f"0b{select:03b}",
            }
        for row in range(WORDS // 16):
            words = [initial >> WORD_BITS * (16 * row + i) & 0x3FFFF for i in range(16)]
            value = sum(word << 20 * i for i, word in enumerate(words))
            pins[f"p_INITVAL_{row:02X}"] = Const(value, 320)
        return Instance(
            "DP16KD", p_RESETMODE=ram.resetmode, p_ASYNC_RESET_RELEASE=ram.resetmode, **pins
        )

    def _mult(self, n: int, mult: Mult) -> Instance:
        product = getattr(self, f"mult{n}_p")
        pins: dict[str, object] = {f"i_A{i}": self.mult_a[i] for i in range(18)}
        pins |= {f"i_B{i}": self.mult_b[i] for i in range(18)}
        pins |= {f"o_P{i}": product[i] for i in range(36)}
        chosen = {"INPUTA": mult.inputs, "INPUTB": mult.inputs}
        chosen |= {"PIPELINE": mult.pipeline, "OUTPUT": mult.output}
        for name, there in chosen.items():
            pins[f"p_REG_{name}_CLK"] = "CLK0" if there else "NONE"
        return Instance(
            "MULT18X18D",
            p_RESETMODE=mult.resetmode,
            i_SIGNEDA=self.mult_signed[0],
            i_SIGNEDB=self.mult_signed[1],
            i_CLK0=ClockSignal(),
            i_CE0=self.mult_ce,
            i_RST0=self.mult_rst,
            **pins,
        )
