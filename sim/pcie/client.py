"""A PCIe function behind a vfio-user socket, for the driver: no QEMU, no guest, no privileges."""

from __future__ import annotations

import mmap
import os
import socket
import threading

from intaglio.errors import LinkError
from intaglio.ring import Memory
from intaglio.sim.pcie import protocol
from intaglio.sim.pcie.config_space import BUS_MASTER, COMMAND, MEMORY
from intaglio.sim.pcie.protocol import Channel, Closed, Command, Dma
from intaglio.transport.function import IOVA_BASE, Function


class VfioUserFunction(Function):
    """The function at the other end of ``connection``, which this owns from now on."""

    def __init__(self, connection: socket.socket, *, name: str = "vfio-user") -> None:
        self.name = name
        self._ident, self._asking = 0, threading.Lock()
        self._memory: list[mmap.mmap] = []
        self._event: int | None = None
        self._closed = False
        self._next_address = IOVA_BASE
        self._channel = Channel(connection)
        self._ask(Command.VERSION, protocol.hello(1))
        command = (BUS_MASTER | MEMORY).to_bytes(2, "little")
        self._write(protocol.CONFIG, COMMAND, command)

    def read(self, offset: int) -> int:
        request = protocol.ACCESS.pack(offset, protocol.BAR0, 4)
        reply = self._ask(Command.REGION_READ, request)
        return int.from_bytes(reply[protocol.ACCESS.size :], "little")

    def write(self, offset: int, value: int) -> None:
        self._write(protocol.BAR0, offset, value.to_bytes(4, "little"))

    def allocate(self, size: int) -> Memory:
        fd = os.memfd_create("intaglio", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, size)
            mapped = mmap.mmap(fd, size)
            address = self._next_address
            body = protocol.DMA_MAP.pack(
                protocol.DMA_MAP.size, Dma.READ | Dma.WRITE, 0, address, size
            )
            self._ask(Command.DMA_MAP, body, fd)
        finally:
            os.close(fd)
        self._next_address += size
        self._memory.append(mapped)
        return Memory(memoryview(mapped), address)

    def unmap(self, address: int, size: int) -> None:
        """Take memory away from the device, which may be using it."""
        body = protocol.DMA_UNMAP.pack(protocol.DMA_UNMAP.size, 0, address, size)
        self._ask(Command.DMA_UNMAP, body)

    def interrupt(self) -> int | None:
        if self._event is None:
            self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            body = protocol.IRQ_SET.pack(
                protocol.IRQ_SET.size, protocol.IRQ_SET_EVENTFD, protocol.MSI, 0, 1
            )
            self._ask(Command.DEVICE_SET_IRQS, body, self._event)
        return self._event

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._channel.close()
        self._memory.clear()
        if self._event is not None:
            os.close(self._event)

    def write_bytes(self, offset: int, data: bytes) -> None:
        """Write part of a register, as no driver should."""
        self._write(protocol.BAR0, offset, data)

    def _write(self, region: int, offset: int, data: bytes) -> None:
        self._ask(Command.REGION_WRITE, protocol.ACCESS.pack(offset, region, len(data)) + data)

    def _ask(self, command: int, body: bytes, fd: int | None = None) -> bytes:
        if self._closed:
            raise LinkError(f"{self.name} was closed: open it again")
        try:
            with self._asking:  # a driver's thread asks while another closes it
                self._ident = (self._ident + 1) & 0xFFFF
                self._channel.send(self._ident, command, 0, body, fd=fd)
                header, reply, fds = self._channel.receive()
        except Closed:
            raise LinkError(f"{self.name} has gone: its simulation ended") from None
        protocol.close_all(fds)
        if header[3] & protocol.ERROR:
            raise LinkError(
                f"{self.name} refused {Command(command).name}: {os.strerror(header[4])}"
            )
        return reply
