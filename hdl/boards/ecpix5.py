"""LambdaConcept ECPIX-5, with the FT2232H of the debug socket for programming and the link."""

from amaranth_boards.ecpix5 import ECPIX545Platform, ECPIX585Platform

from .board import Board, Programmer

BOARDS = tuple(
    Board(
        name=f"ecpix5-{size}",
        title=f"ECPIX-5 {size.upper()}",
        platform=platform,
        clock_hz=90_000_000,
        baud=3_000_000,
        link="Channel B of the FT2232H behind the debug socket: the second port, /dev/ttyUSB1",
        wiring="One USB cable to the micro-USB debug socket; power by USB-C or the same cable.",
        programmer=Programmer(
            tool="openFPGALoader",
            sram=("-b", "ecpix5", "-m"),
            flash=("-b", "ecpix5", "-f", "--unprotect-flash"),
            usb=("0403", "6010"),
        ),
        led=("rgb_led", 0),
    )
    for size, platform in (("45f", ECPIX545Platform), ("85f", ECPIX585Platform))
)
