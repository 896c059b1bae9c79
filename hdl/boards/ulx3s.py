"""Radiona ULX3S, with the FT231X on ``US1`` for both programming and the serial link."""

from amaranth_boards.ulx3s import ULX3S_12F_Platform, ULX3S_25F_Platform, ULX3S_85F_Platform

from .board import Board, Programmer

_PLATFORMS = {
    "12f": ULX3S_12F_Platform,
    "25f": ULX3S_25F_Platform,
    "85f": ULX3S_85F_Platform,
}

BOARDS = tuple(
    Board(
        name=f"ulx3s-{size}",
        title=f"ULX3S {size.upper()}",
        platform=platform,
        clock_hz=60_000_000,
        baud=3_000_000,
        link="The FT231X behind the socket US1: /dev/ttyUSB0",
        wiring="One USB cable to US1 carries power, programming and the serial link.",
        programmer=Programmer(
            tool="openFPGALoader",
            sram=("-b", "ulx3s", "-m"),
            flash=("-b", "ulx3s", "-f", "--unprotect-flash"),
            usb=("0403", "6015"),
        ),
    )
    for size, platform in _PLATFORMS.items()
)
