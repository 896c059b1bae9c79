"""Bus functional models for cocotb benches: what drives and watches streams, and time-outs."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Awaitable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from amaranth.lib import data
from cocotb.clock import Clock
from cocotb.simtime import get_sim_time
from cocotb.triggers import ReadOnly, RisingEdge, SimTimeoutError, with_timeout

from intaglio.sim.runner import RESULT_VARIABLE

T = TypeVar("T")

CLOCK_NS = 10
"""Clock period in every bench."""


def pack(layout: data.Layout, fields: dict[str, Any]) -> int:
    """Integer value of a payload of shape ``layout``; fields left out are 0."""
    value = 0
    for name, field in layout:
        given = fields.get(name, 0)
        if isinstance(given, dict):
            given = pack(field.shape, given)
        if not 0 <= given < 1 << field.width:
            raise ValueError(f"field {name!r} does not hold {given:#x}: it has {field.width} bits")
        value |= given << field.offset
    unknown = set(fields) - {name for name, _ in layout}
    if unknown:
        raise ValueError(f"no field {sorted(unknown)[0]!r} in {layout!r}")
    return value


def unpack(layout: data.Layout, value: int) -> dict[str, int]:
    """Fields (each unsigned) of a payload of shape ``layout``."""
    return {str(name): (value >> field.offset) & ((1 << field.width) - 1) for name, field in layout}


async def start(dut: Any, *, cycles: int = 2) -> None:
    """Start the clock, hold reset for ``cycles`` and leave just after a rising edge."""
    Clock(dut.clk, CLOCK_NS, "ns").start(start_high=False)
    await reset(dut, cycles=cycles)


async def reset(dut: Any, *, cycles: int = 2) -> None:
    """Hold reset for ``cycles`` clocks; sources and sinks must be idle."""
    dut.rst.value = 1
    for _ in range(cycles):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


async def settled() -> None:
    """Wait until this time step's signals have settled; nothing may be driven before the next."""
    await ReadOnly()


async def within(cycles: int, awaitable: Awaitable[T], what: str = "the bench") -> T:
    """Await with a time-out of ``cycles`` clocks; AssertionError naming ``what`` beyond it."""
    try:
        return await with_timeout(awaitable, cycles * CLOCK_NS, "ns")  # type: ignore[arg-type]
    except SimTimeoutError:
        raise AssertionError(f"{what} took more than {cycles} cycles") from None


def cycle() -> int:
    """Clock cycles since the simulation began."""
    return int(get_sim_time("ns")) // CLOCK_NS


def record(name: str, value: object) -> None:
    """Hand a JSON value to the caller of :func:`intaglio.sim.runner.run`."""
    path = Path(os.environ[RESULT_VARIABLE])
    values = json.loads(path.read_text()) if path.is_file() else {}
    values[name] = value
    path.write_text(json.dumps(values))


class _Port:
    """The three signals of a stream port ``name`` of ``dut``."""

    def __init__(self, dut: Any, name: str, layout: data.Layout | None, stall: float) -> None:
        if not 0 <= stall < 1:
            raise ValueError(f"stall must be a probability in [0, 1), got {stall}")
        self.dut = dut
        self.name = name
        self.layout = layout
        self.stall = stall
        self.payload = getattr(dut, f"{name}__payload")
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready")
        self.random = random.Random(random.getrandbits(64))

    def idle_cycles(self) -> int:
        """Cycles to pause before the next transfer: geometric with probability ``stall``."""
        count = 0
        while self.random.random() < self.stall:
            count += 1
        return count


class Source(_Port):
    """Drives an input stream. ``stall``: probability of each idle cycle before a transfer.

    With a ``layout`` items are dicts of fields, else integers. While ``valid`` is low the payload
    is noise, so that a unit that looks at it all the same is caught.
    """

    def __init__(
        self, dut: Any, name: str, layout: data.Layout | None = None, *, stall: float = 0.0
    ) -> None:
        super().__init__(dut, name, layout, stall)
        self._idle()
        self.accepted: list[int] = []
        """Cycle of each transfer."""

    async def send(self, item: Any) -> None:
        """Transfer one item; returns after the clock edge that took it."""
        for _ in range(self.idle_cycles()):
            await RisingEdge(self.dut.clk)
        self.payload.value = item if self.layout is None else pack(self.layout, item)
        self.valid.value = 1
        await ReadOnly()
        while not int(self.ready.value):
            await RisingEdge(self.ready)
            await ReadOnly()
        await RisingEdge(self.dut.clk)
        self.accepted.append(cycle())
        self._idle()

    def _idle(self) -> None:
        self.valid.value = 0
        self.payload.value = self.random.getrandbits(len(self.payload))

    async def send_all(self, items: Iterable[Any]) -> None:
        """Transfer each item in order."""
        for item in items:
            await self.send(item)


class Sink(_Port):
    """Takes from an output stream. ``stall``: probability of each cycle with ``ready`` low.

    While it holds ``valid`` off it checks that ``valid`` stays and the payload does not change.
    """

    def __init__(
        self, dut: Any, name: str, layout: data.Layout | None = None, *, stall: float = 0.0
    ) -> None:
        super().__init__(dut, name, layout, stall)
        self.ready.value = 0
        self.taken: list[int] = []
        """Cycle of each transfer."""
        self.offered: list[int] = []
        """First cycle in which each item was valid."""

    async def take(self) -> Any:
        """Take one item; returns after the clock edge that took it."""
        pauses = self.idle_cycles()
        self.ready.value = int(pauses == 0)
        await ReadOnly()
        while not int(self.valid.value):
            await RisingEdge(self.valid)
            await ReadOnly()
        value = int(self.payload.value)
        self.offered.append(cycle())
        for left in range(pauses, 0, -1):
            await RisingEdge(self.dut.clk)
            self.ready.value = int(left == 1)
            await ReadOnly()
            assert int(self.valid.value), f"{self.name}: valid fell before the transfer"
            now = int(self.payload.value)
            assert now == value, f"{self.name}: the payload changed before the transfer"
        await RisingEdge(self.dut.clk)
        self.taken.append(cycle())
        self.ready.value = 0
        return value if self.layout is None else unpack(self.layout, value)

    async def take_all(self, count: int) -> list[Any]:
        """Take ``count`` items."""
        return [await self.take() for _ in range(count)]
