"""A PCIe function by sysfs, for root, where no IOMMU stands before it.

BAR 0 is the file ``resource0``; memory is a huge page, one piece of physical memory, whose address
``/proc/self/pagemap`` tells. There are no interrupts. Nothing keeps a faulty device from writing
anywhere: prefer :mod:`intaglio.transport.vfio`.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
from pathlib import Path

from intaglio.errors import LinkError
from intaglio.ring import Memory
from intaglio.transport.discovery import PciDevice
from intaglio.transport.function import Bar, Function
from intaglio.wire_ring import BAR_BYTES

HUGE_PAGE_BYTES = 2 << 20
_MAP_HUGETLB = 0x40000
_MAP_LOCKED = 0x2000
_COMMAND = 4
_MEMORY_AND_MASTER = 0b110
_PRESENT = 1 << 63
_FRAME = (1 << 55) - 1
_PAGEMAP = Path("/proc/self/pagemap")


class SysfsFunction(Function):
    """``device``, bound to no driver. Raises :class:`LinkError` that tells the mend if it is."""

    def __init__(self, device: PciDevice) -> None:
        self.name = f"pcie:{device.address}"
        self._folder = device.folder
        self._memory: list[mmap.mmap] = []
        self._bar: Bar | None = None
        self._file: int | None = None
        if device.iommu_group is not None:
            raise self._failed("an IOMMU stands before it", "use VFIO: leave ?via=sysfs out")
        if device.driver is not None:
            mend = f"echo {device.address} > {device.folder}/driver/unbind"
            raise self._failed(f"it is bound to the driver {device.driver}", mend)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def read(self, offset: int) -> int:
        return self._open_bar.read(offset)

    def write(self, offset: int, value: int) -> None:
        self._open_bar.write(offset, value)

    def allocate(self, size: int) -> Memory:
        if size > HUGE_PAGE_BYTES:
            raise self._failed(f"{size} bytes are more than a huge page", "report this error")
        flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _MAP_HUGETLB | _MAP_LOCKED
        try:
            mapped = mmap.mmap(-1, HUGE_PAGE_BYTES, flags=flags)
        except OSError:
            mend = "echo 4 | sudo tee /proc/sys/vm/nr_hugepages"
            raise self._failed("no huge page of 2 MiB is free", mend) from None
        mapped[:] = bytes(HUGE_PAGE_BYTES)
        self._memory.append(mapped)
        return Memory(memoryview(mapped)[:size], self._physical(mapped))

    def interrupt(self) -> int | None:
        return None

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._file is not None:
            with contextlib.suppress(OSError, LinkError):
                self._command(0, _MEMORY_AND_MASTER)
            os.close(self._file)
            self._file = None
        self._memory.clear()

    @property
    def _open_bar(self) -> Bar:
        if self._bar is None:
            raise LinkError(f"{self.name} was closed: open it again")
        return self._bar

    def _open(self) -> None:
        path = self._folder / "resource0"
        try:
            (self._folder / "enable").write_text("1")
            self._file = os.open(path, os.O_RDWR | os.O_SYNC | os.O_CLOEXEC)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._command(_MEMORY_AND_MASTER, 0)
            self._bar = Bar(mmap.mmap(self._file, BAR_BYTES))
        except BlockingIOError:
            raise self._failed("another process drives it", "end that one") from None
        except PermissionError:
            raise self._failed(f"no right to open {path}", "run as root, or use VFIO") from None
        except OSError as error:
            raise self._failed(f"{path}: {error.strerror}", "look at dmesg") from error

    def _command(self, on: int, off: int) -> None:
        """Set and clear bits of the command register."""
        fd = os.open(self._folder / "config", os.O_RDWR | os.O_CLOEXEC)
        try:
            command = int.from_bytes(os.pread(fd, 2, _COMMAND), "little")
            os.pwrite(fd, (command & ~off | on).to_bytes(2, "little"), _COMMAND)
        finally:
            os.close(fd)

    def _physical(self, mapped: mmap.mmap) -> int:
        """Where the huge page ``mapped`` is in physical memory."""
        place = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        with open(_PAGEMAP, "rb") as file:
            file.seek(place // mmap.PAGESIZE * 8)
            entry = int.from_bytes(file.read(8), "little")
        if not entry & _PRESENT or not entry & _FRAME:
            raise self._failed("the kernel does not tell physical addresses", "run as root")
        return (entry & _FRAME) * mmap.PAGESIZE

    def _failed(self, found: str, mend: str) -> LinkError:
        return LinkError(f"cannot drive {self.name} by sysfs: {found}: {mend}")
