"""What the benches of netlists share: a serial line in simulated time, at the pins of a board.

Environment: ``BAUD``, the rate of the line, as the host sets it.
"""

from __future__ import annotations

import os
from typing import Any

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import FallingEdge, Timer, with_timeout

BAUD = int(os.environ.get("BAUD", "3000000"))
BIT_PS = round(1e12 / BAUD)
BITS_PER_BYTE = 8


class Line:
    """A serial line, 8N1, whose far end this is. ``start`` waits until the PLL must have locked."""

    LOCK_NS = 5_000

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self._heard: Queue[int] = Queue()

    async def start(self) -> None:
        self.dut.rx.value = 1
        cocotb.start_soon(self._listen())
        await Timer(self.LOCK_NS, "ns")

    async def send(self, data: bytes) -> None:
        for byte in data:
            for level in (0, *(byte >> i & 1 for i in range(BITS_PER_BYTE)), 1):
                self.dut.rx.value = level
                await Timer(BIT_PS, "ps")

    async def hold_low(self, milliseconds: float) -> None:
        """A break, and the idle line after it."""
        self.dut.rx.value = 0
        await Timer(round(milliseconds * 1e6), "ns")
        self.dut.rx.value = 1
        await Timer(10 * BIT_PS, "ps")

    async def receive(self, timeout_ms: float) -> int:
        """The next byte; raises ``SimTimeoutError`` if none comes."""
        return await with_timeout(self._heard.get(), round(timeout_ms * 1e6), "ns")

    async def _listen(self) -> None:
        while True:
            await FallingEdge(self.dut.tx)
            await Timer(BIT_PS * 3 // 2, "ps")
            byte = 0
            for i in range(BITS_PER_BYTE):
                byte |= int(self.dut.tx.value) << i
                await Timer(BIT_PS, "ps")
            assert int(self.dut.tx.value) == 1, "no stop bit"
            self._heard.put_nowait(byte)
