"""The PLL of the ECP5 (EHXPLLL): any engine clock from any oscillator, if the ranges allow it."""

from collections.abc import Iterator
from dataclasses import dataclass

from amaranth.hdl import Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

COMPARED_HZ = (10_000_000, 400_000_000)
"""Range of the phase detector's frequency."""
VCO_HZ = (400_000_000, 800_000_000)
"""Range of the oscillator's frequency."""
MAX_DIVIDER = 128
"""Largest value of each of the four dividers."""


@dataclass(frozen=True)
class Dividers:
    """``output = input / reference * feedback * loop / output``; ``vco = output * output_div``."""

    reference: int
    feedback: int
    loop: int
    output: int

    def vco_hz(self, input_hz: int) -> float:
        """Frequency of the oscillator."""
        return input_hz / self.reference * self.feedback * self.loop


def _candidates(input_hz: int, output_hz: int) -> Iterator[Dividers]:
    for reference in range(1, MAX_DIVIDER + 1):
        compared = input_hz / reference
        if not COMPARED_HZ[0] <= compared <= COMPARED_HZ[1]:
            continue
        for output in range(1, MAX_DIVIDER + 1):
            vco = output_hz * output
            if not VCO_HZ[0] <= vco <= VCO_HZ[1] or (vco * reference) % input_hz:
                continue
            ratio = vco * reference // input_hz
            for feedback in range(1, min(ratio, MAX_DIVIDER) + 1):
                if ratio % feedback == 0 and ratio // feedback <= MAX_DIVIDER:
                    yield Dividers(reference, feedback, ratio // feedback, output)


def dividers(input_hz: int, output_hz: int) -> Dividers:
    """Dividers that make exactly ``output_hz``, with the smallest reference and feedback dividers.

    Of several the one whose oscillator is nearest to the middle of its range.

    Raises :class:`ValueError` if there are none within the ranges of the datasheet (ECP5 and
    ECP5-5G Family Data Sheet, FPGA-DS-02012, sysCLOCK PLL timing).
    """
    best = min(
        _candidates(input_hz, output_hz),
        key=lambda found: (
            found.reference,
            found.feedback,
            abs(found.vco_hz(input_hz) - sum(VCO_HZ) / 2),
            found.output,
        ),
        default=None,
    )
    if best is None:
        raise ValueError(
            f"no PLL setting makes {output_hz} Hz of {input_hz} Hz; choose another clock"
        )
    return best


class Pll(wiring.Component):
    """One clock from another.

    Parameters
    ----------
    input_hz, output_hz : int
        Frequencies.

    Members
    -------
    clk_in, clk_out : In(1), Out(1)
        The clocks.
    locked : Out(1)
        The output is stable. Asynchronous.

    Source: ECP5 and ECP5-5G sysCLOCK PLL/DLL Design and Usage Guide, FPGA-TN-02200. The loop is
    closed over CLKOP; the engine clock is CLKOS, of no fixed phase.
    """

    clk_in: In(1)
    clk_out: Out(1)
    locked: Out(1)

    def __init__(self, input_hz: int, output_hz: int) -> None:
        self.input_hz, self.output_hz = input_hz, output_hz
        self.dividers = dividers(input_hz, output_hz)
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        found = self.dividers
        feedback = Signal()
        m.submodules.pll = Instance(
            "EHXPLLL",
            a_FREQUENCY_PIN_CLKI=f"{self.input_hz / 1e6:g}",
            a_FREQUENCY_PIN_CLKOS=f"{self.output_hz / 1e6:g}",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1",
            a_MFG_GMCREF_SEL="2",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            p_OUTDIVIDER_MUXA="DIVA",
            p_OUTDIVIDER_MUXB="DIVB",
            p_OUTDIVIDER_MUXC="DIVC",
            p_OUTDIVIDER_MUXD="DIVD",
            p_FEEDBK_PATH="CLKOP",
            p_CLKI_DIV=found.reference,
            p_CLKFB_DIV=found.feedback,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=found.loop,
            p_CLKOP_CPHASE=found.loop - 1,
            p_CLKOP_FPHASE=0,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_DIV=found.output,
            p_CLKOS_CPHASE=found.output - 1,
            p_CLKOS_FPHASE=0,
            i_CLKI=self.clk_in,
            i_CLKFB=feedback,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            i_ENCLKOS=Const(0),
            o_CLKOP=feedback,
            o_CLKOS=self.clk_out,
            o_LOCK=self.locked,
        )
        return m
