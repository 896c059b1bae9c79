"""The vfio-user protocol, as far as one function with one BAR and one MSI needs it.

Messages over a UNIX socket, after QEMU's ``docs/interop/vfio-user.rst`` (protocol 0.1): a header,
a body by command, and file descriptors beside it. All integers are in the machine's own order.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import socket
import struct

HEADER = struct.Struct("=HHIII")
"""Message id, command, size with this header, flags, errno."""
DMA_MAP = struct.Struct("=IIQQQ")
"""Size of this, :class:`Dma`, offset into the file, address for the device, size."""
DMA_UNMAP = struct.Struct("=IIQQ")
"""Size of this, flags, address for the device, size."""
DEVICE_INFO = struct.Struct("=IIII")
"""Size of this, flags, regions, interrupts."""
REGION_INFO = struct.Struct("=IIIIQQ")
"""Size of this, :class:`Region`, index, capabilities, size, offset in the device's file."""
IRQ_INFO = struct.Struct("=IIII")
"""Size of this, flags, index, count."""
IRQ_SET = struct.Struct("=IIIII")
"""Size of this, flags, index, first, count."""
ACCESS = struct.Struct("=QII")
"""Offset, region, bytes; the data follows."""
VERSION = struct.Struct("=HH")
"""Major, minor; JSON follows."""

REPLY = 1
NO_REPLY = 1 << 4
ERROR = 1 << 5

BAR0 = 0
CONFIG = 7
REGIONS = 9
MSI = 1
"""Index of the interrupt."""
IRQS = 5
DEVICE_FLAGS = 0b11
"""It can be reset; it is a PCI device."""
IRQ_EVENTFD = 1
IRQ_SET_EVENTFD = 1 << 2 | 1 << 5
"""Trigger; the descriptor comes beside the message."""
MAX_FDS = 8
MAX_MESSAGE_BYTES = 1 << 20


class Command(enum.IntEnum):
    """What a message asks."""

    VERSION = 1
    DMA_MAP = 2
    DMA_UNMAP = 3
    DEVICE_GET_INFO = 4
    DEVICE_GET_REGION_INFO = 5
    DEVICE_GET_IRQ_INFO = 7
    DEVICE_SET_IRQS = 8
    REGION_READ = 9
    REGION_WRITE = 10
    DEVICE_RESET = 13


class Dma(enum.IntFlag):
    """What the device may do with memory."""

    READ = 1
    WRITE = 2


class Region(enum.IntFlag):
    """What a client may do with a region."""

    READ = 1
    WRITE = 2


class Closed(Exception):
    """The other side has gone."""


class Channel:
    """Whole messages over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def fileno(self) -> int:
        """Of the socket."""
        return self._connection.fileno()

    def send(
        self,
        ident: int,
        command: int,
        flags: int,
        body: bytes,
        error: int = 0,
        fd: int | None = None,
    ) -> None:
        """Send a message, with ``fd`` beside it. Raises :class:`Closed`."""
        data = HEADER.pack(ident, command, HEADER.size + len(body), flags, error) + body
        try:
            if fd is None:
                self._connection.sendall(data)
            else:
                socket.send_fds(self._connection, [data], [fd])
        except OSError:
            raise Closed from None

    def receive(self) -> tuple[tuple[int, int, int, int, int], bytes, list[int]]:
        """Header, body and descriptors of the next message. Raises :class:`Closed`."""
        fds: list[int] = []
        header = HEADER.unpack(self._bytes(HEADER.size, fds))
        size = header[2] - HEADER.size
        if not 0 <= size <= MAX_MESSAGE_BYTES:
            raise Closed
        return header, self._bytes(size, fds), fds

    def close(self) -> None:
        """Close the socket; who waits for a message, here or at the other end, gets Closed."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _bytes(self, size: int, fds: list[int]) -> bytes:
        data = b""
        while len(data) < size:
            try:
                piece, new, _, _ = socket.recv_fds(self._connection, size - len(data), MAX_FDS)
            except OSError:
                raise Closed from None
            if not piece:
                raise Closed
            data += piece
            fds += new
        return data


def hello(minor: int) -> bytes:
    """Body of VERSION and of its reply."""
    limits = {"max_msg_fds": MAX_FDS, "max_data_xfer_size": MAX_MESSAGE_BYTES, "pgsizes": 4096}
    return VERSION.pack(0, minor) + json.dumps({"capabilities": limits}).encode() + b"\0"


def close_all(fds: list[int]) -> None:
    """Close descriptors that nobody wants."""
    for fd in fds:
        os.close(fd)
