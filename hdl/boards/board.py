"""What a board is: its platform, its engine clock, its serial link and how to program it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.vendor import LatticePlatform

MAX_BAUD_ERROR = 0.01
"""Largest deviation of the UART's real rate from ``Board.baud``, as a fraction."""


@dataclass(frozen=True)
class Programmer:
    """How ``intaglio flash`` writes a bitstream.

    ``tool`` is ``openFPGALoader`` or ``dfu-util``; ``sram`` and ``flash`` are its arguments before
    the file's name, ``None`` where the tool cannot do that on this board. ``usb`` is the vendor and
    product id of the programmer on the bus, each four hexadecimal digits, for the udev rule.
    """

    tool: str
    sram: tuple[str, ...] | None
    flash: tuple[str, ...] | None
    usb: tuple[str, str]


@dataclass(frozen=True)
class Board:
    """One board, in one size of FPGA.

    ``clock_hz`` is the engine clock, made by the PLL from the platform's default clock. ``baud`` is
    the rate of the serial link in bits per second; the clock must be a multiple of it to within
    :data:`MAX_BAUD_ERROR`. ``led`` names the platform's resource of the status LED. ``link`` tells
    where the serial port appears, ``wiring`` what must be connected or set, in a sentence each.
    ``pack`` are options of ecppack.
    """

    name: str
    title: str
    platform: Callable[[], LatticePlatform]
    clock_hz: int
    baud: int
    link: str
    wiring: str
    programmer: Programmer
    led: tuple[str, int] = ("led", 0)
    pack: tuple[str, ...] = ("--compress",)

    def __post_init__(self) -> None:
        rate = self.clock_hz / self.clocks_per_bit
        if abs(rate / self.baud - 1) > MAX_BAUD_ERROR:
            raise ValueError(
                f"{self.name}: {self.clock_hz} Hz divided by {self.clocks_per_bit} is "
                f"{rate:.0f} baud, too far from {self.baud}; choose another rate or clock"
            )

    @property
    def clocks_per_bit(self) -> int:
        """Engine clocks a bit lasts on the serial link."""
        return round(self.clock_hz / self.baud)

    @property
    def device(self) -> str:
        """The FPGA's part number, e.g. ``LFE5U-85F-6BG381C``."""
        part = self.platform()
        return f"{part.device}-{part.speed}{part.package}{part.grade}"
