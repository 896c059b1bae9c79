"""The reset of a board's design: the ECP5's global one, which needs no routing of its own."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

_NEVER = Const(0, 1)

CLOCKS = 8
"""Clocks the reset lasts at least."""


class GlobalReset(wiring.Component):
    """Puts every flip-flop of the device, but for those in here, to its initial value.

    Members
    -------
    unlocked : In(1)
        Asynchronous: the clock is not to be trusted. Resets at once.
    found : In(1)
        Resets until ``line`` is high, though this input may fall with the reset itself.
    line : In(1)
        Asynchronous.

    Timing: the reset ends, in step with the clock, :data:`CLOCKS` clocks after its cause; after
    configuration it is on until the clock has run for as long.
    SGSR stands as Amaranth's own platform for Lattice devices uses it. Of the flip-flops FD1S3BX
    wakes up set and FD1S3DX clear, as yosys maps them. How the device lets go of its flip-flops has
    no timing analysis in nextpnr, and has not been tried on silicon.
    """

    unlocked: In(1)
    found: In(1)
    line: In(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()

        def stage(name: str, d: Value, *, wakes_up: int, forced: Value = _NEVER) -> Signal:
            q = Signal(name=name)
            cell, pin = ("FD1S3BX", "i_PD") if wakes_up else ("FD1S3DX", "i_CD")
            ports = {"i_CK": ClockSignal(), "i_D": d, "o_Q": q, pin: forced}
            m.submodules[name] = Instance(cell, p_GSR="DISABLED", **ports)
            return q

        held = Signal()
        high = stage("high", stage("line", self.line, wakes_up=1), wakes_up=1)
        wanted = stage("held", (self.found | held) & ~high, wakes_up=0)
        m.d.comb += held.eq(wanted)
        last = held
        for i in range(CLOCKS):
            last = stage(f"stage{i}", last, wakes_up=1, forced=self.unlocked | held)
        m.submodules.sgsr = Instance("SGSR", i_CLK=ClockSignal(), i_GSR=~last)
        return m
