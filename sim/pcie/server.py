"""A vfio-user server: an endpoint, simulated or modelled, as a PCI device for whoever connects.

The client is a driver (:mod:`intaglio.sim.pcie.client`) or QEMU (``-device vfio-user-pci``). It
passes its memory as file descriptors, which are mapped here: the endpoint reads and writes them.
"""

from __future__ import annotations

import errno
import mmap
import os
import select
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from intaglio import wire_ring
from intaglio.sim.model.pcie import DmaFault, Host
from intaglio.sim.pcie import protocol
from intaglio.sim.pcie.config_space import SIZE as CONFIG_BYTES
from intaglio.sim.pcie.config_space import ConfigSpace
from intaglio.sim.pcie.protocol import Channel, Closed, Command, Dma, Region

_SIZES = {protocol.BAR0: wire_ring.BAR_BYTES, protocol.CONFIG: CONFIG_BYTES}


class Endpoint(Protocol):
    """What is behind the BAR: :class:`intaglio.sim.model.pcie.PcieModel`, or gateware."""

    @property
    def busy(self) -> bool:
        """Whether :meth:`step` has something to do."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes of BAR 0, within one 32-bit word."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes within one 32-bit word of BAR 0."""
        ...

    def configure(self, config: ConfigSpace, *, msi: bool) -> None:
        """Take over what configuration space says, and whether MSIs are wanted."""
        ...

    def step(self) -> None:
        """Work on, not for long."""
        ...

    def reset(self) -> None:
        """Function-level reset."""
        ...


@dataclass(frozen=True, slots=True)
class _Window:
    """Memory of the client: ``size`` bytes from ``address``."""

    address: int
    size: int
    flags: int
    mapped: mmap.mmap


class ClientMemory:
    """The client's memory and its interrupt, as the endpoint sees them."""

    def __init__(self) -> None:
        self._windows: list[_Window] = []
        self._event: int | None = None
        self.faults = 0
        """Accesses to memory that is not there."""

    @property
    def wants_interrupts(self) -> bool:
        """Whether an interrupt has somewhere to go."""
        return self._event is not None

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the client's. Raises :class:`DmaFault`."""
        window = self._find(address, size, Dma.READ)
        if window is None:
            raise DmaFault(f"{size} bytes at {address:#x}")
        start = address - window.address
        return window.mapped[start : start + size]

    def write(self, address: int, data: bytes) -> None:
        """Write to the client's memory; to none if it is not there."""
        window = self._find(address, len(data), Dma.WRITE)
        if window is not None:
            start = address - window.address
            window.mapped[start : start + len(data)] = data

    def interrupt(self) -> None:
        """Signal the client."""
        if self._event is not None:
            os.eventfd_write(self._event, 1)

    def map(self, body: bytes, fds: list[int]) -> None:
        """Take memory that comes with a descriptor; other memory is not there for the device."""
        _, flags, offset, address, size = protocol.DMA_MAP.unpack_from(body)
        if fds:
            write = mmap.PROT_WRITE if flags & Dma.WRITE else 0
            mapped = mmap.mmap(fds[0], size, offset=offset, prot=mmap.PROT_READ | write)
            self._windows.append(_Window(address, size, flags, mapped))
        protocol.close_all(fds)

    def unmap(self, body: bytes) -> None:
        """Give memory back."""
        _, _, address, size = protocol.DMA_UNMAP.unpack_from(body)
        gone = [w for w in self._windows if address <= w.address < address + size]
        for window in gone:
            self._windows.remove(window)
            window.mapped.close()

    def route(self, body: bytes, fds: list[int]) -> None:
        """Send the interrupt to another descriptor, or nowhere."""
        _, _, index, _, _ = protocol.IRQ_SET.unpack_from(body)
        if index != protocol.MSI:
            protocol.close_all(fds)
            return
        if self._event is not None:
            os.close(self._event)
        self._event = fds[0] if fds else None
        protocol.close_all(fds[1:])

    def close(self) -> None:
        """Give all memory and the interrupt back."""
        while self._windows:
            self._windows.pop().mapped.close()
        if self._event is not None:
            os.close(self._event)
            self._event = None

    def _find(self, address: int, size: int, flags: int) -> _Window | None:
        for window in self._windows:
            inside = window.address <= address <= window.address + window.size - size
            if inside and window.flags & flags:
                return window
        self.faults += 1
        return None


class Server:
    """Serves one client; ``make`` makes the endpoint with the client's memory.

    ``accesses`` counts those to BAR 0 as (``"read"`` or ``"write"``, offset, bytes), and ``log``
    is called with each of them and the data.
    """

    def __init__(
        self,
        make: Callable[[Host], Endpoint],
        log: Callable[[str, int, bytes], object] | None = None,
    ) -> None:
        self.memory = ClientMemory()
        self.accesses: Counter[tuple[str, int, int]] = Counter()
        self._config = ConfigSpace()
        self._endpoint = make(self.memory)
        self._log = log
        self._gone = False

    def unplug(self) -> None:
        """Be gone: registers read as all ones, and nothing else is heard of the device."""
        self._gone = True

    def serve(self, connection: socket.socket) -> None:
        """Serve the client at the other end of ``connection`` until it goes."""
        channel = Channel(connection)
        self._configure()
        try:
            while True:
                working = self._endpoint.busy and not self._gone
                if working and not select.select([channel], [], [], 0)[0]:
                    self._endpoint.step()
                else:
                    self._answer(channel)
        except Closed:
            channel.close()
            self.memory.close()

    def _answer(self, channel: Channel) -> None:
        (ident, command, _, flags, _), body, fds = channel.receive()
        error = 0
        try:
            reply = self._handle(command, body, fds)
        except (OSError, ValueError) as refused:
            reply, error = b"", getattr(refused, "errno", None) or errno.EINVAL
        if not flags & protocol.NO_REPLY:
            kind = protocol.REPLY | (protocol.ERROR if error else 0)
            channel.send(ident, command, kind, reply, error)

    def _handle(self, command: int, body: bytes, fds: list[int]) -> bytes:
        match command:
            case Command.REGION_READ | Command.REGION_WRITE:
                return self._access(command, body)
            case Command.VERSION:
                return protocol.hello(0)
            case Command.DMA_MAP:
                self.memory.map(body, fds)
                return b""
            case Command.DMA_UNMAP:
                self.memory.unmap(body)
                return body[: protocol.DMA_UNMAP.size]
            case Command.DEVICE_SET_IRQS:
                self.memory.route(body, fds)
                self._configure()
                return b""
            case Command.DEVICE_RESET:
                self._endpoint.reset()
                return b""
        return self._describe(command, body)

    def _describe(self, command: int, body: bytes) -> bytes:
        """What there is to the device."""
        if command == Command.DEVICE_GET_INFO:
            info = (protocol.DEVICE_FLAGS, protocol.REGIONS, protocol.IRQS)
            return protocol.DEVICE_INFO.pack(protocol.DEVICE_INFO.size, *info)
        if command == Command.DEVICE_GET_REGION_INFO:
            index = protocol.REGION_INFO.unpack_from(body)[2]
            size = _SIZES.get(index, 0)
            flags = Region.READ | Region.WRITE if size else 0
            place = index << 40
            return protocol.REGION_INFO.pack(len(body), flags, index, 0, size, place)
        if command == Command.DEVICE_GET_IRQ_INFO:
            index = protocol.IRQ_INFO.unpack_from(body)[2]
            there = int(index == protocol.MSI)
            return protocol.IRQ_INFO.pack(len(body), there * protocol.IRQ_EVENTFD, index, there)
        raise OSError(errno.ENOTSUP, f"command {command}")

    def _access(self, command: int, body: bytes) -> bytes:
        offset, region, size = protocol.ACCESS.unpack_from(body)
        data = body[protocol.ACCESS.size :][:size]
        head = body[: protocol.ACCESS.size]
        if command == Command.REGION_READ:
            return head + self._read(region, offset, size)
        if region == protocol.CONFIG:
            if self._config.write(offset, data):
                self._endpoint.reset()
            self._configure()
        elif region == protocol.BAR0:
            self._note("write", offset, data)
            if not self._gone:
                for start, piece in _words(offset, data):
                    self._endpoint.write(start, piece)
        return head

    def _read(self, region: int, offset: int, size: int) -> bytes:
        if self._gone:
            data = b"\xff" * size
        elif region == protocol.CONFIG:
            return self._config.read(offset, size)
        elif region == protocol.BAR0:
            words = _words(offset, bytes(size))
            data = b"".join(self._endpoint.read(start, len(piece)) for start, piece in words)
        else:
            return bytes(size)
        self._note("read", offset, data)
        return data

    def _note(self, kind: str, offset: int, data: bytes) -> None:
        self.accesses[kind, offset, len(data)] += 1
        if self._log is not None:
            self._log(kind, offset, data)

    def _configure(self) -> None:
        self._endpoint.configure(self._config, msi=self.memory.wants_interrupts)


def _words(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """``data`` at ``offset`` in pieces that each lie in one 32-bit word."""
    pieces = []
    while data:
        size = 4 - offset % 4
        pieces.append((offset, data[:size]))
        offset, data = offset + size, data[size:]
    return pieces


def listen(path: str) -> socket.socket:
    """A socket that waits for one client at ``path``, where nothing is left of an earlier one."""
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)
    return listener
