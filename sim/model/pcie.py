"""The golden core as a PCIe function: registers, rings and interrupts of :mod:`intaglio.wire_ring`.

It is the reference for :mod:`intaglio.hdl.link.pcie`, transaction by transaction: there is no clock
and no TLP. ``model:pcie?seed=1&key_slots=4&job_slots=8&dma_faults=0.01&gone_after=500`` opens it as
a device in this process; :mod:`intaglio.sim.pcie.server` shows it to other processes.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any, Protocol

from intaglio import wire, wire_ring
from intaglio.errors import LinkError
from intaglio.ring import Memory
from intaglio.sim.model.core import GoldenCore
from intaglio.transport.function import IOVA_BASE, Function
from intaglio.wire import Status
from intaglio.wire_ring import (
    BODY_ALIGN_BYTES,
    BY_NAME,
    COMPLETION,
    DESCRIPTOR,
    GONE,
    INLINE_BYTES,
    RING_ALIGN_BYTES,
    Access,
    Body,
    Control,
    Interrupt,
    State,
)

_COUNT = 1 << 32
_LOG2S = range(wire_ring.MIN_RING_LOG2, wire_ring.MAX_RING_LOG2 + 1)
_SETUP = ("submission_base", "completion_base", "submission_log2", "completion_log2")
"""Registers that cannot be changed while the device is enabled."""


class DmaFault(Exception):
    """Host memory that cannot be read: unmapped, poisoned, or nobody answers."""


class Host(Protocol):
    """What the device can do to its host."""

    def read(self, address: int, size: int) -> bytes:
        """Bytes of host memory. Raises :class:`DmaFault`."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Write to host memory; what nobody takes is lost, as a posted write is."""
        ...

    def interrupt(self) -> None:
        """Send the message-signalled interrupt."""
        ...


class PcieModel:
    """A :class:`GoldenCore` made by ``new_core`` behind BAR 0 and two rings in memory of ``host``.

    ``bus_master`` is the bit of configuration space.
    """

    def __init__(self, new_core: Callable[[], GoldenCore], host: Host) -> None:
        self._new_core = new_core
        self._host = host
        self.bus_master = True
        self.reset()

    def reset(self) -> None:
        """As after power-up: by RESET, or by a function-level reset."""
        self.core = self._new_core()
        self._identity = self.core.identity()
        self._values = dict.fromkeys(BY_NAME, 0)
        self._replies: list[bytes] = []
        self._running = self._bad_ring = self._pending = False
        self._values["protocol"] = wire.IDENTITY.unpack(self._identity)["version"]

    def configure(self, config: Any, *, msi: bool) -> None:
        """Take over the bus master bit of a ``ConfigSpace``; an MSI not wanted goes nowhere."""
        self.bus_master = config.bus_master

    @property
    def busy(self) -> bool:
        """Whether :meth:`step` has something to do."""
        if self._replies:
            return self.bus_master and not self._full
        return self.bus_master and bool(self.core.jobs or (self._waiting and self._running))

    def read(self, offset: int, size: int) -> bytes:
        """``size`` bytes of BAR 0 from ``offset``."""
        bar = bytearray(wire_ring.BAR_BYTES)
        start = wire_ring.IDENTITY_OFFSET
        bar[start : start + len(self._identity)] = self._identity
        self._values["status"] = self._status()
        for name, value in self._values.items():
            register = BY_NAME[name]
            bar[register.offset : register.offset + register.size] = value.to_bytes(
                register.size, "little"
            )
        return bytes(bar[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        """Write ``data``, whose bytes lie in one 32-bit word, at ``offset`` of BAR 0."""
        for register in wire_ring.REGISTERS:
            at = offset - register.offset
            if 0 <= at < register.size and register.access is Access.WRITE:
                old = self._values[register.name].to_bytes(register.size, "little")
                new = old[:at] + data + old[at + len(data) :]
                self._set(register.name, int.from_bytes(new[: register.size], "little"))

    def step(self) -> None:
        """Take in what there is room for, end one job, write what there is room for."""
        while self.bus_master and self._running and self._waiting and not self._replies:
            if not self._fetch():
                break
        if self.core.jobs and not self._replies:
            self._replies.append(self._entry(self.core.finish_one()))
        while self._replies and self.bus_master and not self._full:
            self._complete(self._replies.pop(0))
        self._interrupt()

    @property
    def _waiting(self) -> int:
        """Descriptors announced and not yet taken."""
        return (self._values["doorbell"] - self._values["descriptors_taken"]) % _COUNT

    @property
    def _full(self) -> bool:
        """Whether the completion ring has no room."""
        unread = (self._values["completions"] - self._values["completion_taken"]) % _COUNT
        return unread >= 1 << self._values["completion_log2"]

    def _status(self) -> int:
        status = State.READY
        status |= State.RUNNING if self._running else State(0)
        status |= State.BAD_RING if self._bad_ring else State(0)
        status |= State.BUS_MASTER if self.bus_master else State(0)
        return int(status | (State.FULL if self._replies and self._full else State(0)))

    def _set(self, name: str, value: int) -> None:
        values = self._values
        if name == "control":
            self._control(value)
        elif name == "doorbell":
            ahead = (value - values["descriptors_taken"]) % _COUNT
            forward = (value - values[name]) % _COUNT
            size = 1 << values["submission_log2"]
            self._count_up(name, value, self._running and ahead <= size and forward <= size)
        elif name == "completion_taken":
            unread = (values["completions"] - values[name]) % _COUNT
            self._count_up(name, value, (value - values[name]) % _COUNT <= unread)
            self._pending &= value != values["completions"]
        elif name not in _SETUP or not values["control"] & Control.ENABLE:
            values[name] = value
        self._interrupt()

    def _count_up(self, name: str, value: int, good: bool) -> None:
        if good:
            self._values[name] = value
        else:
            self._bump("bad_doorbells")

    def _control(self, value: int) -> None:
        if value & Control.RESET:
            self.reset()
            return
        values = self._values
        rising = value & ~values["control"] & Control.ENABLE
        values["control"] = value & Control.ENABLE
        if rising:
            bases = (values["submission_base"], values["completion_base"])
            sizes = (values["submission_log2"], values["completion_log2"])
            good = all(base and not base % RING_ALIGN_BYTES for base in bases)
            self._running = good and all(size in _LOG2S for size in sizes)
            self._bad_ring = not self._running
        elif not value & Control.ENABLE:
            self._running = self._bad_ring = False

    def _fetch(self) -> bool:
        """Take the next descriptor, if the core has room for it; whether it had."""
        values = self._values
        number = values["descriptors_taken"]
        index = number % (1 << values["submission_log2"])
        address = values["submission_base"] + index * DESCRIPTOR.size
        try:
            fields = DESCRIPTOR.unpack(self._host.read(address, DESCRIPTOR.size))
        except DmaFault:
            self._bump("dma_errors")
            self._refuse({"op": 0, "tag": 0}, Status.DMA_ERROR, number)
            return True
        header = {field.name: fields[field.name] for field in wire.REQUEST.fields}
        status = _judge(fields)
        if status is Status.OK and not self.core.has_room(
            bytes(wire.REQUEST.size + header["length"])
        ):
            return False
        body = fields["body"][: header["length"]]
        if status is not Status.OK:
            self._bump("bad_descriptors")
        elif fields["where"] == Body.MEMORY and header["length"]:
            try:
                body = self._host.read(fields["address"], header["length"])
            except DmaFault:
                self._bump("dma_errors")
                status = Status.DMA_ERROR
        if status is not Status.OK:
            self._refuse(header, status)
            return True
        self._bump("descriptors_taken")
        reply = self.core.accept(wire.REQUEST.pack(**header) + body)
        if reply is not None:
            self._replies.append(self._entry(reply))
        return True

    def _refuse(self, header: dict[str, int], status: Status, descriptor: int = 0) -> None:
        self._bump("descriptors_taken")
        reply = wire.REPLY.pack(
            version=wire.VERSION,
            op=header["op"],
            tag=header["tag"],
            status=status,
            recid=wire.NO_RECID,
        )
        self._replies.append(self._entry(reply, descriptor))

    def _entry(self, reply: bytes, descriptor: int = 0) -> bytes:
        """The completion that carries ``reply``, without its sequence."""
        fill = bytes(COMPLETION.offset("descriptor") - len(reply))
        rest = COMPLETION.offset("sequence") - COMPLETION.offset("descriptor") - 4
        return reply + fill + descriptor.to_bytes(4, "little") + bytes(rest)

    def _complete(self, entry: bytes) -> None:
        number = self._values["completions"]
        index = number % (1 << self._values["completion_log2"])
        address = self._values["completion_base"] + index * COMPLETION.size
        self._host.write(address, entry + ((number + 1) % _COUNT).to_bytes(4, "little"))
        self._bump("completions")
        self._pending = True

    def _interrupt(self) -> None:
        if self._pending and self._values["interrupt"] == Interrupt.ENABLE and self.bus_master:
            self._pending = False
            self._bump("interrupts")
            self._host.interrupt()

    def _bump(self, name: str) -> None:
        self._values[name] = (self._values[name] + 1) % _COUNT


def _judge(descriptor: dict[str, int]) -> Status:
    """What a descriptor alone is answered; OK: its body is to be fetched."""
    length, where = descriptor["length"], descriptor["where"]
    if where == Body.INLINE and length <= INLINE_BYTES:
        return Status.OK
    if where != Body.MEMORY:
        return Status.BAD_DESCRIPTOR
    if length > wire.MAX_MESSAGE_BYTES:
        return Status.BAD_LENGTH
    return Status.BAD_ADDRESS if length and descriptor["address"] % BODY_ALIGN_BYTES else Status.OK


class ModelFunction(Function):
    """A :class:`PcieModel` and its host memory in this process, at work when registers are written.

    A read of host memory fails with the chance ``dma_faults``; after ``gone_after`` completions
    the device has gone: its registers read as all ones, and it does nothing more.
    """

    def __init__(
        self,
        new_core: Callable[[], GoldenCore],
        *,
        name: str = "model:pcie",
        dma_faults: float = 0.0,
        gone_after: int | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.gone = False
        self._dma_faults = dma_faults
        self._left = gone_after
        self._rng = rng or random.Random(0)
        self._memory: list[Memory] = []
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = False
        self.model = PcieModel(new_core, _OwnHost(self))

    def read(self, offset: int) -> int:
        self._check_open()
        return GONE if self.gone else int.from_bytes(self.model.read(offset, 4), "little")

    def write(self, offset: int, value: int) -> None:
        self._check_open()
        if not self.gone:
            self.model.write(offset, value.to_bytes(4, "little"))
        while self.model.busy and not self.gone:
            self.model.step()

    def allocate(self, size: int) -> Memory:
        taken = sum(len(memory.view) for memory in self._memory)
        memory = Memory(memoryview(bytearray(size)), IOVA_BASE + taken)
        self._memory.append(memory)
        return memory

    def interrupt(self) -> int | None:
        return self._event

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._memory.clear()
            os.close(self._event)

    def find(self, address: int, size: int) -> memoryview | None:
        """Host memory as the device sees it; ``None``: none is there."""
        for memory in self._memory:
            if memory.address <= address <= memory.address + len(memory.view) - size:
                return memory.view[address - memory.address :][:size]
        return None

    def fetch(self, address: int, size: int) -> bytes:
        """A read of the device's. Raises :class:`DmaFault`."""
        view = self.find(address, size)
        if view is None or self._rng.random() < self._dma_faults:
            raise DmaFault
        return bytes(view)

    def store(self, address: int, data: bytes) -> None:
        """A write of the device's."""
        if self._left is not None and self._left <= 0:
            self.gone = True
        view = self.find(address, len(data))
        if view is not None and not self.gone:
            view[:] = data
        if self._left is not None:
            self._left -= 1

    def notify(self) -> None:
        """The device's interrupt."""
        os.eventfd_write(self._event, 1)

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError(f"{self.name} was closed: open it again")


class _OwnHost:
    """The host of a :class:`ModelFunction`."""

    def __init__(self, function: ModelFunction) -> None:
        self.read = function.fetch
        self.write = function.store
        self.interrupt = function.notify
