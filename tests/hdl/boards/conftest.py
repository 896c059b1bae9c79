"""A design small enough to elaborate and place in no time, instead of the signing core."""

from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from intaglio.hdl.boards import top


class Loopback(wiring.Component):
    """Has the members of ``SerialSigner`` and sends back what it hears."""

    rx: In(1, init=1)
    tx: Out(1, init=1)
    git_revision: In(160)
    busy: Out(1)

    def __init__(self, profile: Any, *, clocks_per_bit: int, clock_hz: int) -> None:
        super().__init__()

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.sync += self.tx.eq(self.rx ^ self.git_revision.xor())
        m.d.comb += self.busy.eq(~self.rx)
        return m


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards carry :class:`Loopback`."""
    monkeypatch.setattr(top, "SerialSigner", Loopback)
