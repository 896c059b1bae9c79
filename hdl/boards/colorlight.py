"""Colorlight i5 v7.0 and i9 v7.2 modules on the extension board that carries a DAPLink.

Pins: the table of pins at https://github.com/wuxx/Colorlight-FPGA-Projects.
"""

from amaranth.build import Attrs, Clock, Pins, Resource
from amaranth.vendor import LatticeECP5Platform
from amaranth_boards.resources import LEDResources, UARTResource

from .board import Board, Programmer

_LVCMOS33 = Attrs(IO_TYPE="LVCMOS33")


class _Module(LatticeECP5Platform):
    """What both modules share: the oscillator and the DAPLink's serial line."""

    package = "BG381"
    speed = "6"
    default_clk = "clk25"
    resources = (
        Resource("clk25", 0, Pins("P3", dir="i"), Clock(25e6), _LVCMOS33),
        UARTResource(0, rx="H18", tx="J17", attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),
    )
    connectors = ()


class ColorlightI5Platform(_Module):
    """Module i5 v7.0."""

    device = "LFE5U-25F"
    resources = (*_Module.resources, *LEDResources(pins="U16", invert=True, attrs=_LVCMOS33))


class ColorlightI9Platform(_Module):
    """Module i9 v7.2."""

    device = "LFE5U-45F"
    resources = (*_Module.resources, *LEDResources(pins="L2", invert=True, attrs=_LVCMOS33))


BOARDS = tuple(
    Board(
        name=f"colorlight-{module}",
        title=f"Colorlight {module}",
        platform=platform,
        clock_hz=60_000_000,
        baud=1_000_000,
        link="The DAPLink of the extension board: /dev/ttyACM0",
        wiring="The module in the extension board; one USB-C cable to the board carries power, "
        "programming and the serial link.",
        programmer=Programmer(
            tool="openFPGALoader",
            sram=("-b", f"colorlight-{module}", "-m"),
            flash=("-b", f"colorlight-{module}", "-f", "--unprotect-flash"),
            usb=("0d28", "0204"),
        ),
    )
    for module, platform in (("i5", ColorlightI5Platform), ("i9", ColorlightI9Platform))
)
