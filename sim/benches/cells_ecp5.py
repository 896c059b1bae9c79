"""Bench of ``sim/cells`` on :class:`intaglio.sim.cells.farm.Farm`: what Lattice says the cells do.

The references here are written from the guides (FPGA-TN-02200, 02204 and 02205), another way than
the models: memory as a list of bits, products as Python's, periods in picoseconds.
"""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge, Timer
from cocotb.utils import get_sim_time

from intaglio.hdl.blockram import FAR_LATENCY
from intaglio.sim import bfm
from intaglio.sim.cells import farm
from intaglio.sim.cells.farm import FLIPFLOPS, MULTS, PLLS, RAMS, ROMS, Ram

CLOCKS = 600
BUSY_ADDRESSES = 24
"""Few words, so that ports meet."""


class Bits:
    """The array of a DP16KD as bits, and which of them a port of some width reaches."""

    def __init__(self, ram: int) -> None:
        whole = farm.initial_bits(ram)
        self.bits = [whole >> i & 1 for i in range(farm.WORDS * farm.WORD_BITS)]

    @staticmethod
    def places(width: int, address: int) -> list[int]:
        """Position of each data bit of a port; its unused low address bits are ignored."""
        if width % 9 == 0:
            first = address // {9: 8, 18: 16, 36: 32}[width] * width
            return [first + i for i in range(width)]
        first = address // width * width
        return [(first + i) // 8 * 9 + (first + i) % 8 for i in range(width)]

    def read(self, places: list[int]) -> int:
        return sum(self.bits[place] << i for i, place in enumerate(places))


class Port:
    """What is driven into a port, and what it must show."""

    def __init__(self, dut: Any, n: int, side: str) -> None:
        ram, which = RAMS[n], "ab".index(side)
        self.width, self.writemode = ram.widths[which], ram.writemodes[which]
        self.registered = ram.regmodes[which] == "OUTREG"
        self.select = ram.select[which]
        self.resetmode = ram.resetmode
        self.pins = {
            name: getattr(dut, f"ram{n}_{name}_{side}")
            for name in ("ad", "di", "ce", "oce", "we", "rst", "cs", "do")
        }
        self.given = dict.fromkeys(self.pins, 0)
        self.latch = self.register = 0
        self.places: list[int] = []

    def drive(self, *, reset: bool, writes: bool) -> None:
        chance = random.random
        self.given = {
            "ad": random.randrange(BUSY_ADDRESSES) << 4 | random.getrandbits(4),
            "di": random.getrandbits(18),
            "ce": int(chance() < 0.8),
            "oce": int(chance() < 0.7),
            "we": int(writes and chance() < 0.5),
            "rst": int(reset and chance() < 0.05),
            "cs": self.select if chance() < 0.9 else random.getrandbits(3),
        }
        for name, value in self.given.items():
            self.pins[name].value = value
        self.places = Bits.places(self.width, self.given["ad"])
        if self.resetmode == "ASYNC" and self.given["rst"]:
            self.latch = self.register = 0

    @property
    def active(self) -> bool:
        return bool(self.given["ce"]) and self.given["cs"] == self.select

    @property
    def writes(self) -> bool:
        return self.active and bool(self.given["we"]) and not self.given["rst"]

    def written(self, data: int) -> dict[int, int]:
        """Bits that this port writes now."""
        if not self.writes:
            return {}
        enables = {18: 2, 36: 4}.get(self.width, 0)
        lanes = [self.given["ad"] >> lane & 1 for lane in range(enables)] or [1]
        return {place: data >> i & 1 for i, place in enumerate(self.places) if lanes[i // 9]}

    def clock(self, old: int, new: int, clash: int) -> None:
        """At the rising edge; ``clash`` masks bits that the other port writes."""
        if self.given["rst"]:
            self.latch = self.register = 0
            return
        if self.given["oce"]:
            self.register = self.latch
        if not self.active:
            return
        if self.given["we"]:
            if self.writemode == "NORMAL":
                return
            old = new if self.writemode == "WRITETHROUGH" else old
        self.latch = old ^ clash if clash else old

    def shown(self) -> int:
        return self.register if self.registered else self.latch


class Reference:
    """Both ports of a RAM."""

    def __init__(self, dut: Any, n: int) -> None:
        self.ram: Ram = RAMS[n]
        self.wide = 36 in self.ram.widths
        self.array = Bits(n)
        self.a, self.b = Port(dut, n, "a"), Port(dut, n, "b")

    def drive(self) -> None:
        self.a.drive(reset=not self.wide, writes=True)
        self.b.drive(reset=True, writes=not self.wide)
        words = [{place // farm.WORD_BITS for place in port.places} for port in (self.a, self.b)]
        if self.a.writes and self.b.writes and words[0] & words[1]:
            self.b.given["we"] = self.b.pins["we"].value = 0  # both in one word: not modelled

    def clock(self) -> None:
        data = {self.a: self.a.given["di"], self.b: self.b.given["di"]}
        if self.ram.widths[0] == 36:
            data[self.a] |= self.b.given["di"] << 18
        written = {port: port.written(data[port]) for port in data}
        before = {port: self.array.read(port.places) for port in data}
        clash = {
            port: ((1 << port.width) - 1) * bool(set(port.places) & set(written[other]))
            for port, other in ((self.a, self.b), (self.b, self.a))
        }
        for bits in written.values():
            for place, bit in bits.items():
                self.array.bits[place] = bit
        for port in data:
            port.clock(before[port], self.array.read(port.places), clash[port])

    def check(self, n: int) -> None:
        for side, port in (("a", self.a), ("b", self.b)):
            if self.wide and side == "a":
                continue
            shown = int(port.pins["do"].value)
            if port.width == 36:
                shown = shown << 18 | int(self.a.pins["do"].value)
            expected = port.shown()
            assert shown == expected, (
                f"RAM {n} {side}: {self.ram} shows {shown:x}, not {expected:x}"
            )


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def block_rams(dut: Any) -> None:
    await bfm.start(dut)
    references = [Reference(dut, n) for n in range(len(RAMS))]
    seen = 0
    await FallingEdge(dut.clk)
    for _ in range(CLOCKS):
        for reference in references:
            reference.drive()
        await RisingEdge(dut.clk)
        for reference in references:
            reference.clock()
        await FallingEdge(dut.clk)
        for n, reference in enumerate(references):
            reference.check(n)
            seen += reference.b.shown() != 0
    assert seen > CLOCKS


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def tables(dut: Any) -> None:
    """Each reader gets the word it asked for so many clocks before, until it asks again; of blocks
    that are far, word 0 where it did not ask."""
    await bfm.start(dut)
    words = [farm.rom_words(n) for n in range(len(ROMS))]
    readers = [(n, reader) for n in range(len(ROMS)) for reader in range(2)]
    found: dict[tuple[int, int], list[int | None]] = {}
    for n, reader in readers:
        found[n, reader] = [None] * ((FAR_LATENCY if ROMS[n][2] else 2) - 1)
    await FallingEdge(dut.clk)
    for _ in range(CLOCKS):
        for n, reader in readers:
            depth = len(words[n])
            address = random.choice(
                (0, depth - 1, random.randrange(depth), random.randrange(depth))
            )
            enable = random.random() < 0.9
            getattr(dut, f"rom{n}_en_{reader}").value = int(enable)
            getattr(dut, f"rom{n}_addr_{reader}").value = address
            coming = found[n, reader]
            idle = words[n][0] if ROMS[n][2] else coming[-1]
            coming.append(words[n][address] if enable else idle)
        await FallingEdge(dut.clk)
        for n, reader in readers:
            expected = found[n, reader].pop(0)
            shown = int(getattr(dut, f"rom{n}_word_{reader}").value)
            if expected is not None:
                assert shown == expected, f"table {ROMS[n]}: {shown:x} is not {expected:x}"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def multipliers(dut: Any) -> None:
    await bfm.start(dut)
    stages = [[0] * mult.latency for mult in MULTS]
    await FallingEdge(dut.clk)
    for _ in range(CLOCKS):
        a, b, signed = (random.getrandbits(bits) for bits in (18, 18, 2))
        a, b = (random.choice((value, 0, 0x3FFFF, 0x20000)) for value in (a, b))
        enable, reset = random.random() < 0.9, random.random() < 0.03
        for name, value in {
            "a": a,
            "b": b,
            "signed": signed,
            "ce": int(enable),
            "rst": int(reset),
        }.items():
            getattr(dut, f"mult_{name}").value = value
        factors = [
            value - (value >> 17 << 18) * (signed >> i & 1) for i, value in enumerate((a, b))
        ]
        product = factors[0] * factors[1] & (1 << 36) - 1
        await RisingEdge(dut.clk)
        for stage in stages:
            if reset:
                stage[:] = [0] * len(stage)
            elif enable and stage:
                stage[:] = [product, *stage[:-1]]
        await FallingEdge(dut.clk)
        for n, stage in enumerate(stages):
            expected = stage[-1] if stage else product
            shown = int(getattr(dut, f"mult{n}_p").value)
            assert shown == expected, f"{MULTS[n]}: {shown:x} is not {expected:x}"


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def flipflops(dut: Any) -> None:
    """Random levels, one change at a time, at each pin."""
    levels = dict.fromkeys(("clk", "ce", "lsr", "di"), 0)
    for name in levels:
        getattr(dut, f"ff_{name}").value = 0
    await Timer(1, "ns")
    expected = [int(regset == "SET") for *_, regset in FLIPFLOPS]
    toggled = set()
    for _ in range(CLOCKS):
        name = random.choice(tuple(levels))
        levels[name] ^= 1
        getattr(dut, f"ff_{name}").value = levels[name]
        await ReadOnly()
        for n, (cemux, lsrmux, srmode, regset) in enumerate(FLIPFLOPS):
            edge = name == "clk" and levels["clk"]
            enable = {"1": 1, "CE": levels["ce"], "INV": 1 - levels["ce"]}[cemux]
            if levels["lsr"] != (lsrmux == "INV"):
                if edge or srmode == "ASYNC":
                    expected[n] = int(regset == "SET")
            elif edge and enable:
                expected[n] = levels["di"]
        await Timer(1, "ns")
        shown = int(dut.ff_q.value)
        for n, bit in enumerate(expected):
            assert shown >> n & 1 == bit, f"{FLIPFLOPS[n]} is {shown >> n & 1}, not {bit}"
        toggled.add(shown)
    assert len(toggled) > len(FLIPFLOPS)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def plls(dut: Any) -> None:
    """Each board's PLL: no clock before it has locked, then one of the right period."""
    for n, (input_hz, _) in enumerate(PLLS):
        half_ps = round(5e11 / input_hz)
        clock = Clock(getattr(dut, f"pll{n}_in"), 2 * half_ps, "ps", period_high=half_ps)
        clock.start()
    for n, (input_hz, output_hz) in enumerate(PLLS):
        locked, output = getattr(dut, f"pll{n}_locked"), getattr(dut, f"pll{n}_out")
        if not int(locked.value):
            await RisingEdge(locked)
        await RisingEdge(output)
        started, periods = get_sim_time("ps"), 100
        for _ in range(periods):
            await RisingEdge(output)
        measured = (get_sim_time("ps") - started) / periods
        exact = 2 * round(5e11 / input_hz) * input_hz / output_hz
        assert abs(measured / exact - 1) < 1e-4, f"{input_hz} Hz gives a period of {measured} ps"
