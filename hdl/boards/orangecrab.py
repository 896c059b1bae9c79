"""OrangeCrab r0.2, programmed by its USB bootloader; the link needs a 3.3 V serial adapter."""

from amaranth.build import Attrs
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import UARTResource

from .board import Board, Programmer

_UART = UARTResource(
    0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")
)


class OrangeCrab25F(OrangeCrabR0_2_25FPlatform):
    """The 25F board with a UART on header pins 0 and 1."""

    resources = (*OrangeCrabR0_2_25FPlatform.resources, _UART)


class OrangeCrab85F(OrangeCrabR0_2_85FPlatform):
    """The 85F board with a UART on header pins 0 and 1."""

    resources = (*OrangeCrabR0_2_85FPlatform.resources, _UART)


BOARDS = tuple(
    Board(
        name=f"orangecrab-{size}",
        title=f"OrangeCrab r0.2 {size.upper()}",
        platform=platform,
        clock_hz=75_000_000,
        baud=3_000_000,
        link="A USB adapter of 3.3 V levels on header pins 0 and 1: /dev/ttyUSB0",
        wiring="Adapter's TX to pin 0 (FPGA N17), its RX to pin 1 (FPGA M18), GND to GND; power "
        "by USB-C. To flash, hold the button while plugging in: the LED glows.",
        programmer=Programmer(
            tool="dfu-util",
            sram=None,
            flash=("-a", "0", "-d", "1209:5af0", "-D"),
            usb=("1209", "5af0"),
        ),
        led=("rgb_led", 0),
        pack=("--compress", "--freq", "38.8"),
    )
    for size, platform in (("25f", OrangeCrab25F), ("85f", OrangeCrab85F))
)
