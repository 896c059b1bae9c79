"""What a driver needs of a PCIe function: its registers, memory it can reach, its interrupt.

:mod:`intaglio.transport.vfio` and :mod:`intaglio.transport.sysfs` are two ways to get at one from a
process; a simulation is a third.
"""

from __future__ import annotations

import mmap
from abc import ABC, abstractmethod

from intaglio.ring import Memory

GIB = 1 << 30
IOVA_BASE = 4 * GIB
"""Where memory is given to devices behind an IOMMU: above what a PC keeps for itself."""


class Function(ABC):
    """A PCIe function that this process drives. ``name`` is what messages call it.

    What fails raises :class:`intaglio.LinkError`.
    """

    name: str

    @abstractmethod
    def read(self, offset: int) -> int:
        """The register at ``offset`` of BAR 0, by one 32-bit access."""

    @abstractmethod
    def write(self, offset: int, value: int) -> None:
        """Write ``value`` to the register at ``offset`` of BAR 0, by one 32-bit access."""

    @abstractmethod
    def allocate(self, size: int) -> Memory:
        """Zeroed memory of ``size`` bytes for the device to read and write, until :meth:`close`."""

    @abstractmethod
    def interrupt(self) -> int | None:
        """A descriptor that becomes readable with the interrupt; ``None``: there is none."""

    @abstractmethod
    def close(self) -> None:
        """Let the device and its memory go; a second call does nothing."""


class Bar:
    """A mapped BAR of 32-bit registers.

    Each access is one of 32 bits on the bus, which only an item of ``memoryview.cast("I")`` is:
    slices are copied in pieces, :mod:`struct` writes zeros first, and :mod:`ctypes` reads first.
    """

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped
        self._bytes = memoryview(mapped)
        self._words = self._bytes.cast("I")

    def read(self, offset: int) -> int:
        """The register at ``offset``."""
        return self._words[offset >> 2]

    def write(self, offset: int, value: int) -> None:
        """Write ``value`` to the register at ``offset``."""
        self._words[offset >> 2] = value

    def close(self) -> None:
        """Unmap it."""
        self._words.release()
        self._bytes.release()
        self._mapped.close()
