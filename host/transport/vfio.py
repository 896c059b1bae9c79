"""A PCIe function by VFIO: no module of ours, no root, and the IOMMU keeps its DMA in bounds.

The interface is that of Linux' ``include/uapi/linux/vfio.h``, type 1 version 2.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import struct
from pathlib import Path

from intaglio.errors import LinkError
from intaglio.ring import Memory
from intaglio.transport.discovery import PciDevice, obstacle
from intaglio.transport.function import IOVA_BASE, Bar, Function

_FOLDER = Path("/dev/vfio")

_GET_API_VERSION = 0x3B64
_SET_IOMMU = 0x3B66
_GROUP_GET_STATUS = 0x3B67
_GROUP_SET_CONTAINER = 0x3B68
_GROUP_GET_DEVICE_FD = 0x3B6A
_GET_REGION_INFO = 0x3B6C
_SET_IRQS = 0x3B6E
_MAP_DMA = 0x3B71

_API_VERSION = 0
_TYPE1V2 = 3
_VIABLE = 1
_BAR0, _CONFIG = 0, 7
_CAN_MAP = 1 << 2
_MSI = 1
_EVENTFD_TRIGGERS = 1 << 2 | 1 << 5
_READ_WRITE = 0b11
_COMMAND = 4
_MEMORY_AND_MASTER = 0b110

_STATUS = struct.Struct("=II")
_REGION = struct.Struct("=IIIIQQ")
_IRQ_SET = struct.Struct("=IIIIIi")
_MAP = struct.Struct("=IIQQQ")

_MENDS = {
    _MAP_DMA: ": raise the limit of locked memory (ulimit -l)",
    _SET_IOMMU: ": it needs interrupt remapping, in the firmware and the kernel (dmesg)",
}
"""What to do about a call that failed."""


class VfioFunction(Function):
    """``device``, bound to vfio-pci. Raises :class:`LinkError` that tells the mend if it is not."""

    def __init__(self, device: PciDevice, folder: Path = _FOLDER) -> None:
        self.name = f"pcie:{device.address}"
        self._fds: list[int] = []
        self._memory: list[mmap.mmap] = []
        self._event: int | None = None
        self._next_address = IOVA_BASE
        self._bar: Bar | None = None
        lack = obstacle(device, folder / "vfio")
        if lack is not None:
            found, mend = lack
            raise LinkError(f"cannot drive {self.name} by VFIO: {found}: {mend}")
        try:
            self._open(device, folder)
        except BaseException:
            self.close()
            raise

    def read(self, offset: int) -> int:
        return self._open_bar.read(offset)

    def write(self, offset: int, value: int) -> None:
        self._open_bar.write(offset, value)

    def allocate(self, size: int) -> Memory:
        size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        mapped = mmap.mmap(-1, size, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
        address, self._next_address = self._next_address, self._next_address + size
        place = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        request = _MAP.pack(_MAP.size, _READ_WRITE, place, address, size)
        self._call("give it memory", self._container, _MAP_DMA, bytearray(request))
        self._memory.append(mapped)
        return Memory(memoryview(mapped), address)

    def interrupt(self) -> int | None:
        if self._event is None:
            event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._fds.append(event)
            request = _IRQ_SET.pack(_IRQ_SET.size, _EVENTFD_TRIGGERS, _MSI, 0, 1, event)
            self._call("have its interrupts", self._device, _SET_IRQS, bytearray(request))
            self._event = event
        return self._event

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        while self._fds:
            with contextlib.suppress(OSError):
                os.close(self._fds.pop())
        self._memory.clear()

    @property
    def _open_bar(self) -> Bar:
        if self._bar is None:
            raise LinkError(f"{self.name} was closed: open it again")
        return self._bar

    def _open(self, device: PciDevice, folder: Path) -> None:
        self._container = self._file(folder / "vfio")
        version = self._call("ask VFIO", self._container, _GET_API_VERSION, 0)
        if version != _API_VERSION:
            raise LinkError(f"this kernel's VFIO has version {version}, not {_API_VERSION}")
        self._group = self._file(folder / str(device.iommu_group))
        status = bytearray(_STATUS.pack(_STATUS.size, 0))
        self._call("ask its group", self._group, _GROUP_GET_STATUS, status)
        if not _STATUS.unpack(status)[1] & _VIABLE:
            raise LinkError(
                f"cannot drive {self.name} by VFIO: others of its IOMMU group "
                f"{device.iommu_group} are bound to other drivers: bind them to vfio-pci too, or "
                "use another slot"
            )
        container = bytearray(struct.pack("=i", self._container))
        self._call("join the container", self._group, _GROUP_SET_CONTAINER, container)
        self._call("switch the IOMMU on", self._container, _SET_IOMMU, _TYPE1V2)
        name = bytearray(device.address.encode() + b"\0")
        self._device = self._call("open it", self._group, _GROUP_GET_DEVICE_FD, name)
        self._fds.append(self._device)
        self._enable()
        size, place, flags = self._region(_BAR0)
        if not flags & _CAN_MAP:
            raise LinkError(f"BAR 0 of {self.name} cannot be mapped (flags {flags:#x})")
        self._bar = Bar(mmap.mmap(self._device, size, offset=place))

    def _enable(self) -> None:
        """Let it answer and master the bus."""
        place = self._region(_CONFIG)[1] + _COMMAND
        command = int.from_bytes(os.pread(self._device, 2, place), "little") | _MEMORY_AND_MASTER
        os.pwrite(self._device, command.to_bytes(2, "little"), place)

    def _region(self, index: int) -> tuple[int, int, int]:
        """Size, place in the device's file, and flags of a region."""
        request = bytearray(_REGION.pack(_REGION.size, 0, index, 0, 0, 0))
        self._call("ask for a region", self._device, _GET_REGION_INFO, request)
        _, flags, _, _, size, place = _REGION.unpack(request)
        return size, place, flags

    def _file(self, path: Path) -> int:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            raise LinkError(
                f"cannot drive {self.name} by VFIO: no right to open {path}: "
                f"sudo chown $USER {path}"
            ) from None
        except OSError as error:
            busy = "another process drives it: end that one" if error.errno == 16 else ""
            raise LinkError(
                f"cannot drive {self.name} by VFIO: {path}: {busy or error.strerror}"
            ) from error
        self._fds.append(fd)
        return fd

    def _call(self, what: str, fd: int, request: int, argument: int | bytearray) -> int:
        try:
            return fcntl.ioctl(fd, request, argument)
        except OSError as error:
            mend = _MENDS.get(request, "")
            raise LinkError(
                f"cannot drive {self.name} by VFIO: could not {what}: {error.strerror}{mend}"
            ) from error
