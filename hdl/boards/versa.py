"""Lattice ECP5-5G Versa, with its FT2232H for programming and the link."""

from amaranth_boards.versa_ecp5_5g import VersaECP55GPlatform

from .board import Board, Programmer

BOARDS = (
    Board(
        name="versa-5g",
        title="Lattice ECP5-5G Versa",
        platform=VersaECP55GPlatform,
        clock_hz=90_000_000,
        baud=3_000_000,
        link="Channel B of the FT2232H behind J2: the second port, /dev/ttyUSB1",
        wiring="USB cable to J2, and the 12 V supply. J50 must bridge 1-2, 3-5 and 4-6, so that "
        "the FPGA alone is on the JTAG chain.",
        programmer=Programmer(
            tool="openFPGALoader",
            sram=("-c", "ft2232", "-m"),
            flash=("-c", "ft2232", "-f", "--unprotect-flash"),
            usb=("0403", "6010"),
        ),
    ),
)
