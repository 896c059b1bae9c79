"""Configuration space of the virtual function: header, MSI and PCI Express capabilities."""

from __future__ import annotations

import struct

from intaglio import wire_ring

SIZE = 256
COMMAND = 0x04
BUS_MASTER = 1 << 2
MEMORY = 1 << 1
_BAR0 = 0x10
_CAPABILITIES = 0x34
_MSI = 0x50
_EXPRESS = 0x70
_DEVICE_CONTROL = _EXPRESS + 0x08
_FLR = 1 << 15

_WRITABLE = {
    COMMAND: 0x0406.to_bytes(2, "little"),
    0x0C: b"\xff",
    _BAR0: (0xFFFFFFFF & -wire_ring.BAR_BYTES).to_bytes(4, "little"),
    0x3C: b"\xff",
    _MSI + 2: b"\x01",
    _MSI + 4: b"\xfc" + b"\xff" * 7 + b"\xff\xff",
    _DEVICE_CONTROL: 0x70FF.to_bytes(2, "little"),
}
"""Bits that software can write, by offset."""


class ConfigSpace:
    """The 256 bytes, with the writes that change them."""

    def __init__(self) -> None:
        space = bytearray(SIZE)
        ids = (wire_ring.PCI_VENDOR_ID, wire_ring.PCI_DEVICE_ID)
        struct.pack_into("<HHHH", space, 0x00, *ids, 0, 0x0010)
        space[0x09:0x0C] = wire_ring.PCI_CLASS.to_bytes(3, "little")
        struct.pack_into("<HH", space, 0x2C, *ids)
        space[_CAPABILITIES] = _MSI
        struct.pack_into("<BBH", space, _MSI, 0x05, _EXPRESS, 0x0080)  # 64-bit address, 1 vector
        struct.pack_into("<BBHI", space, _EXPRESS, 0x10, 0, 0x0002, 1 << 28)  # endpoint, v2, FLR
        struct.pack_into("<H", space, _DEVICE_CONTROL, 0x2810)  # 512-byte reads, 128-byte payloads
        struct.pack_into("<I", space, _EXPRESS + 0x0C, 0x11)  # 2.5 GT/s x1
        struct.pack_into("<H", space, _EXPRESS + 0x12, 0x11)
        self._space = space
        self._mask = bytearray(SIZE)
        for offset, mask in _WRITABLE.items():
            self._mask[offset : offset + len(mask)] = mask

    @property
    def bus_master(self) -> bool:
        """Whether the function may read and write host memory."""
        return bool(self._space[COMMAND] & BUS_MASTER)

    @property
    def max_payload(self) -> int:
        """Code of the greatest payload, as Device Control has it: 0 is 128 bytes."""
        return self._space[_DEVICE_CONTROL] >> 5 & 7

    @property
    def max_read_request(self) -> int:
        """Code of the greatest read request, as Device Control has it: 0 is 128 bytes."""
        return self._space[_DEVICE_CONTROL + 1] >> 4 & 7

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes from ``offset``; zeros beyond the end."""
        return bytes(self._space[offset : offset + size]).ljust(size, b"\0")

    def write(self, offset: int, data: bytes) -> bool:
        """Write what can be written; whether a function-level reset was asked for."""
        for at, byte in enumerate(data, offset):
            if at < SIZE:
                mask = self._mask[at]
                self._space[at] = self._space[at] & ~mask | byte & mask
        high = _DEVICE_CONTROL + 1 - offset
        return 0 <= high < len(data) and bool(data[high] & _FLR >> 8)
