"""The one door to hardware multipliers."""

from amaranth.hdl import C, ClockSignal, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Dsp(wiring.Component):
    """``p = a * b`` of unsigned 18-bit numbers, every clock, ``latency`` clocks later.

    On ECP5 this is a MULT18X18D with all its registers; elsewhere, and in simulation, plain
    registers and a product that synthesis may map as it likes.
    """

    WIDTH = 18
    latency = 3

    a: In(18)
    b: In(18)
    p: Out(36)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if str(getattr(platform, "device", "")).startswith("LFE5U"):
            m.submodules.mult = self._ecp5()
            return m
        a, b = Signal(18, reset_less=True), Signal(18, reset_less=True)
        product = Signal(36, reset_less=True)
        m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b), self.p.eq(product)]
        return m

    def _ecp5(self) -> Instance:
        """Lattice FPGA-TN-02205, section 5.3: input, pipeline and output registers on CLK0."""
        ports: dict[str, object] = {f"i_A{i}": self.a[i] for i in range(18)}
        ports |= {f"i_B{i}": self.b[i] for i in range(18)}
        ports |= {f"o_P{i}": self.p[i] for i in range(36)}
        for register in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT"):
            ports |= {
                f"p_REG_{register}_CLK": "CLK0",
                f"p_REG_{register}_CE": "CE0",
                f"p_REG_{register}_RST": "RST0",
            }
        for signed in ("SIGNEDA", "SIGNEDB", "SOURCEA", "SOURCEB"):
            ports[f"i_{signed}"] = C(0, 1)
        return Instance(
            "MULT18X18D",
            p_REG_INPUTC_CLK="NONE",
            p_GSR="DISABLED",
            p_CAS_MATCH_REG="FALSE",
            p_SOURCEB_MODE="B_SHIFT",
            p_MULT_BYPASS="DISABLED",
            p_RESETMODE="SYNC",
            i_CLK0=ClockSignal(),
            i_CE0=C(1, 1),
            i_RST0=C(0, 1),
            **ports,
        )
