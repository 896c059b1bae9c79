"""Root complex of cocotbext-pcie in front of a function with raw TLP pins, and what may go wrong.

The endpoint block is a model: it answers configuration requests itself, as endpoint blocks do, and
gives all else to the pins.
"""

from __future__ import annotations

import logging
import random
import struct
from collections.abc import Callable, Iterable
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from cocotbext.pcie.core import Device, Endpoint, RootComplex
from cocotbext.pcie.core.caps import MsiCapability
from cocotbext.pcie.core.tlp import CplStatus, Tlp, TlpType

from intaglio import wire_ring

DWS = list[int]
Tamper = Callable[[Tlp], Iterable[Tlp | DWS]]
"""What arrives instead of a TLP sent to the function; DWs are passed on as they are."""


def to_dws(tlp: Tlp) -> DWS:
    """DWs of a TLP in the order and byte order of the pins."""
    raw = bytes(tlp.pack())
    return list(struct.unpack(f">{len(raw) // 4}I", raw))


def split(tlp: Tlp, boundary: int = 64) -> list[Tlp]:
    """The completion ``tlp`` in pieces that end where addresses are multiples of ``boundary``."""
    pieces, data = [], tlp.get_data()
    address, left = tlp.lower_address, tlp.byte_count
    while data:
        size = min(len(data), boundary - address % boundary)
        piece = Tlp(tlp)
        piece.lower_address, piece.byte_count = address & 0x7F, left
        piece.set_data(data[:size])
        pieces.append(piece)
        data, address, left = data[size:], address + size, left - size
    return pieces


def failed(tlp: Tlp, status: CplStatus) -> Tlp:
    """A completion without data that stands for ``tlp``."""
    answer = Tlp(tlp)
    answer.fmt_type, answer.status, answer.length = TlpType.CPL, status, 0
    answer.data = bytearray()
    return answer


class PinEndpoint(Endpoint):
    """Endpoint block whose function is the gateware ``dut``.

    ``stall`` is the chance of a clock without a transfer, for either direction. ``tamper``, if set,
    changes completions on their way to the function; ``sent`` holds all TLPs the function sent,
    ``received`` those that were given to it.
    """

    def __init__(self, dut: Any, *, stall: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.dut, self.stall = dut, stall
        self.tamper: Tamper | None = None
        self.sent: list[Tlp] = []
        self.received: list[DWS] = []
        self.interrupts = 0
        self.ack_interrupts = True
        self._random = random.Random(random.getrandbits(64))
        self._to_function: Queue[DWS] = Queue()
        self._to_root: Queue[Tlp] = Queue()
        self.vendor_id, self.device_id = wire_ring.PCI_VENDOR_ID, wire_ring.PCI_DEVICE_ID
        self.class_code = wire_ring.PCI_CLASS
        self.msi_cap = MsiCapability()
        self.msi_cap.msi_64bit_address_capable = 1
        self.register_capability(self.msi_cap)
        self.configure_bar(0, wire_ring.BAR_BYTES)
        for kind in (
            TlpType.MEM_READ,
            TlpType.MEM_READ_64,
            TlpType.MEM_WRITE,
            TlpType.MEM_WRITE_64,
        ):
            self.register_rx_tlp_handler(kind, self._give)
        dut.rx__valid.value = 0
        dut.tx__ready.value = 0
        dut.function__msi_ack.value = 0
        dut.function__reset.value = 0
        for work in (self._drive, self._watch, self._forward, self._tell, self._interrupt):
            cocotb.start_soon(work())

    async def handle_tlp(self, tlp: Tlp) -> None:
        if tlp.is_completion():
            tlp.release_fc()
            for one in self.tamper(tlp) if self.tamper else [tlp]:
                self.give(one)
        else:
            await super().handle_tlp(tlp)

    async def _give(self, tlp: Tlp) -> None:
        self.give(tlp)

    def give(self, tlp: Tlp | DWS) -> None:
        """Queue ``tlp`` for the function."""
        self._to_function.put_nowait(tlp if isinstance(tlp, list) else to_dws(tlp))

    @property
    def quiet(self) -> bool:
        """Everything given has arrived."""
        return self._to_function.empty()

    async def _drive(self) -> None:
        dut = self.dut
        while True:
            dws = await self._to_function.get()
            await RisingEdge(dut.clk)  # the root complex knows no clock edges
            self.received.append(dws)
            for place, dw in enumerate(dws):
                while self._random.random() < self.stall:
                    dut.rx__valid.value = 0
                    await RisingEdge(dut.clk)
                dut.rx__valid.value = 1
                dut.rx__payload.value = dw | (place == len(dws) - 1) << 32
                await ReadOnly()
                while not int(dut.rx__ready.value):
                    await RisingEdge(dut.clk)
                    await ReadOnly()
                await RisingEdge(dut.clk)
            dut.rx__valid.value = 0
            dut.rx__payload.value = self._random.getrandbits(33)

    async def _watch(self) -> None:
        dut, dws = self.dut, []
        while True:
            ready = self._random.random() >= self.stall
            dut.tx__ready.value = int(ready)
            await ReadOnly()
            if not int(dut.tx__valid.value):
                await RisingEdge(dut.tx__valid)
                continue
            word = int(dut.tx__payload.value)
            await RisingEdge(dut.clk)
            if not ready:
                continue
            dws.append(word & 0xFFFFFFFF)
            if word >> 32:
                tlp = Tlp.unpack(struct.pack(f">{len(dws)}I", *dws))
                assert tlp.check(), f"malformed TLP sent: {tlp!r}"
                self.sent.append(tlp)
                self._to_root.put_nowait(tlp)
                dws = []

    async def _forward(self) -> None:
        while True:
            tlp = await self._to_root.get()
            await self.send(tlp)

    async def _tell(self) -> None:
        """What configuration space says, to the pins, whenever it may have changed."""
        dut = self.dut
        while True:
            dut.function__bdf.value = int(self.pcie_id)
            dut.function__bus_master.value = int(self.bus_master_enable)
            dut.function__msi_enable.value = int(self.msi_cap.msi_enable)
            dut.function__max_payload.value = int(self.pcie_cap.max_payload_size)
            dut.function__max_read_request.value = int(self.pcie_cap.max_read_request_size)
            await ClockCycles(dut.clk, 32)

    async def _interrupt(self) -> None:
        """Send the MSIs that are asked for, as endpoint blocks do."""
        dut = self.dut
        while True:
            await ReadOnly()
            if not int(dut.function__msi_request.value):
                await RisingEdge(dut.function__msi_request)
            await ClockCycles(dut.clk, self._random.randrange(1, 20))
            if not self.ack_interrupts:
                continue
            while not self._to_root.empty():
                await RisingEdge(dut.clk)
            dut.function__msi_ack.value = 1
            await RisingEdge(dut.clk)
            dut.function__msi_ack.value = 0
            await RisingEdge(dut.clk)
            self.interrupts += 1
            await self.mem_write_dword(
                self.msi_cap.msi_message_address, self.msi_cap.msi_message_data
            )


async def connect(
    dut: Any,
    *,
    stall: float = 0.0,
    max_payload: int = 0,
    max_read_request: int = 2,
    boundary_128: bool = False,
) -> tuple[RootComplex, PinEndpoint, Any]:
    """A root complex with one device, enumerated: the root, the endpoint, the device as found."""
    logging.getLogger("cocotb.pcie").setLevel(logging.ERROR)
    root = RootComplex()
    root.max_payload_size_supported = max_payload
    root.max_payload_size = max_payload
    root.read_completion_boundary = boundary_128
    endpoint = PinEndpoint(dut, stall=stall)
    device = Device(eps=endpoint)
    device.upstream_port.max_link_speed = 2
    device.upstream_port.max_link_width = 4
    root.make_port().connect(device)
    await root.enumerate()
    found = root.find_device(endpoint.pcie_id)
    await found.enable_device()
    await found.set_master()
    await found.alloc_irq_vectors(1, 1)
    endpoint.pcie_cap.max_read_request_size = max_read_request
    return root, endpoint, found
