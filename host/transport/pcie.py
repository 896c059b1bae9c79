"""Descriptor rings as a transport: registers, doorbells, and the wait for completions.

Completions are polled for in memory, which costs the bus nothing. When none came for
:data:`SPIN_S`, the thread sleeps until the device's interrupt, or, without one, looks again ever
less often. A device whose registers read as all ones has gone: that is a :class:`LinkError`, as
when a serial port vanishes, and what it had in hand is the owner's to send elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable

from intaglio import wire, wire_ring
from intaglio.errors import InputError, LinkError, ProtocolError
from intaglio.ring import RING_LOG2, RingCodec, Rings
from intaglio.transport import discovery
from intaglio.transport.base import ParsedUrl, Transport
from intaglio.transport.function import Function
from intaglio.values import version_mismatch
from intaglio.wire_ring import BY_NAME, GONE, IDENTITY_OFFSET, Control, Interrupt, State

SPIN_S = 200e-6
"""Seconds without a completion after which the thread sleeps."""
LOOK_S = 0.05
"""Longest sleep while requests are unanswered; then it is seen whether the device is there."""
NAP_S = 1e-3
"""First sleep where there is no interrupt; doubled each time up to :data:`LOOK_S`."""
TIMEOUT_S = 2.0


class RingTransport(Transport):
    """The device behind ``function``, which it owns from now on.

    ``bring_up_s`` is how long a reset may take; ``on_close`` is called once at the end. Raises
    :class:`LinkError` if it cannot be brought up, :class:`ProtocolError` if it is none of ours.
    """

    def __init__(
        self,
        function: Function,
        *,
        default_timeout_s: float = TIMEOUT_S,
        bring_up_s: float = TIMEOUT_S,
        on_close: Callable[[], object] | None = None,
    ) -> None:
        self.name = function.name
        self.default_timeout_s = default_timeout_s
        self._function = function
        self._bring_up_s = bring_up_s
        self._on_close = on_close
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._woken = select.poll()
        self._woken.register(self._wake, select.POLLIN)
        self._either = select.poll()
        self._either.register(self._wake, select.POLLIN)
        self._closed = self._full = False
        try:
            self._identify()
            self._rings = Rings(function.allocate(Rings.SIZE))
            self._event = function.interrupt()
            if self._event is not None:
                self._either.register(self._event, select.POLLIN)
            self._restart()
        except BaseException:
            self.close()
            raise

    def codec(self) -> RingCodec:
        return RingCodec()

    def write(self, data: bytes | memoryview) -> int:
        """Take whole blocks of descriptors, and ring the doorbell once."""
        self._check_open()
        taken = self._rings.put(data)
        if not taken and self._rings.stale:
            self._restart()
            taken = self._rings.put(data)
        if taken:
            self._set("doorbell", self._rings.written & 0xFFFFFFFF)
        self._full = not taken
        return taken

    def read(self, timeout_s: float | None, *, or_writable: bool = False) -> bytes:
        self._check_open()
        now = time.monotonic()
        until = float("inf") if timeout_s is None else now + timeout_s
        spin_until, nap_s = now + SPIN_S, NAP_S
        while True:
            data = self._rings.take()
            if data:
                self._set("completion_taken", self._rings.taken & 0xFFFFFFFF)
                self._full = False
                return data
            if (
                self._drained(self._woken.poll(0))
                or now >= until
                or (or_writable and not self._full)
            ):
                return b""
            if now >= spin_until or not self._rings.outstanding:
                if self._sleep(until - now, nap_s):
                    return b""
                nap_s = min(2 * nap_s, LOOK_S)
            now = time.monotonic()

    def wake(self) -> None:
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(LinkError):
            self._reset()
        with contextlib.suppress(AttributeError):
            del self._rings
        self._function.close()
        os.close(self._wake)
        if self._on_close is not None:
            self._on_close()

    def register(self, name: str) -> int:
        """The value of a 32-bit register. Raises :class:`LinkError` if the device has gone."""
        value = self._function.read(BY_NAME[name].offset)
        if value == GONE and self._function.read(BY_NAME["status"].offset) == GONE:
            raise LinkError(
                f"{self.name} has gone: its registers read as all ones; check power and slot, "
                "then rescan the bus"
            )
        return value

    def _set(self, name: str, value: int) -> None:
        self._function.write(BY_NAME[name].offset, value)

    def _set_long(self, name: str, value: int) -> None:
        offset = BY_NAME[name].offset
        self._function.write(offset, value & 0xFFFFFFFF)
        self._function.write(offset + 4, value >> 32)

    def _identify(self) -> None:
        magic = self._function.read(IDENTITY_OFFSET).to_bytes(4, "little")
        version = self.register("protocol")
        if magic != wire.MAGIC:
            raise ProtocolError(
                f"{self.name} is not an Intaglio device: its BAR 0 begins otherwise"
            )
        if version != wire.VERSION:
            raise version_mismatch(self.name, version)

    def _reset(self) -> None:
        """Reset the device and wait until it reads and writes host memory no more."""
        self._set("control", Control.RESET)
        until = time.monotonic() + self._bring_up_s
        while not self.register("status") & State.READY:
            if time.monotonic() > until:
                raise LinkError(
                    f"{self.name} is still in reset after {self._bring_up_s:g} s: power-cycle it"
                )
            time.sleep(0)

    def _restart(self) -> None:
        """Reset the device, which forgets keys and requests, and set its rings up anew."""
        rings = self._rings
        self._reset()
        rings.reset()
        self._set_long("submission_base", rings.submission_base)
        self._set_long("completion_base", rings.completion_base)
        self._set("submission_log2", RING_LOG2)
        self._set("completion_log2", RING_LOG2)
        self._set("interrupt", Interrupt.ENABLE | Interrupt.MASK if self._event is not None else 0)
        self._set("control", Control.ENABLE)
        status = self.register("status")
        if not status & State.RUNNING:
            raise LinkError(f"{self.name} did not take its rings (status {status:#x}): report this")
        if not status & State.BUS_MASTER:
            raise LinkError(
                f"{self.name} may not read and write host memory: set the bus master bit, e.g. "
                "setpci -s ADDRESS COMMAND=6"
            )

    def _sleep(self, left_s: float, nap_s: float) -> bool:
        """Wait for a completion or :meth:`wake`, not for ever; whether it was the latter."""
        if not self._rings.outstanding:
            limit = None if left_s == float("inf") else left_s * 1e3
            return self._drained(self._woken.poll(limit))
        self.register("status")
        if self._event is None:
            return self._drained(self._woken.poll(min(left_s, nap_s) * 1e3))
        self._set("interrupt", Interrupt.ENABLE)
        found = self._either.poll(min(left_s, LOOK_S) * 1e3)
        self._set("interrupt", Interrupt.ENABLE | Interrupt.MASK)
        if any(fd == self._event for fd, _ in found):
            os.eventfd_read(self._event)
        return self._drained([(fd, event) for fd, event in found if fd == self._wake])

    def _drained(self, found: list[tuple[int, int]]) -> bool:
        if found:
            os.eventfd_read(self._wake)
        return bool(found)

    def _check_open(self) -> None:
        if self._closed:
            raise LinkError(f"{self.name} was closed: open it again")


def counters(transport: RingTransport) -> dict[str, int]:
    """The counts that the device keeps in registers, by name."""
    names = [r.name for r in wire_ring.REGISTERS if r.offset >= BY_NAME["descriptors_taken"].offset]
    return {name: transport.register(name) for name in names}


def open_transport(url: ParsedUrl) -> RingTransport:
    """Open ``pcie:0000:03:00.0`` by VFIO, or with ``?via=sysfs`` as root without."""
    url.allow("via")
    via = url.params.get("via", "vfio")
    if via not in ("vfio", "sysfs"):
        raise InputError(f"device URL {url.text!r}: via={via} must be vfio or sysfs")
    device = discovery.at(url.path)
    if via == "sysfs":
        from intaglio.transport.sysfs import SysfsFunction

        return RingTransport(SysfsFunction(device))
    from intaglio.transport.vfio import VfioFunction

    return RingTransport(VfioFunction(device))
