"""The comb tables in block RAM."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .alu import TABLE_BITS
from .isa import WORD_BITS, Curve
from .programs import Image


class CombTable(wiring.Component):
    """Selects the entry of a comb digit.

    Members
    -------
    read, enable, curve, window, digits : In
        In a clock with ``read``: the job's digit word and which window of it; without ``enable``
        entry 0 is read.
    negative : Out(1), f0, f1, f2 : Out(256)
        Sign and fields of the entry, canonical, from the next clock until another is read.

    Timing: one clock. Security: ``digits`` is secret; it addresses block RAM, whose access time
    does not depend on the address.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        super().__init__(
            {
                "read": In(1),
                "enable": In(1),
                "curve": In(Curve),
                "window": In(6),
                "digits": In(WORD_BITS),
                "negative": Out(1),
                "f0": Out(TABLE_BITS),
                "f1": Out(TABLE_BITS),
                "f2": Out(TABLE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.image.window
        tables = self.image.tables
        first, second = tables[Curve.ED25519], tables[Curve.SECP256K1]
        digit = Signal(width)
        m.d.comb += digit.eq(self.digits.word_select(self.window, width))
        negative = Signal()
        index = Signal(width - 1)
        m.d.comb += [negative.eq(~digit[-1]), index.eq(digit[:-1] ^ negative.replicate(width - 1))]
        base = Mux(self.curve == Curve.SECP256K1, len(first), 0)
        resets = Signal(init=1)  # no entry outlives a reset
        m.d.sync += resets.eq(0)
        with m.If(self.read):
            m.d.sync += self.negative.eq(negative & self.enable)
        for i in range(3):
            rows = [entry[i] for entry in first]
            address = Cat(index, self.window)
            if i < 2:
                rows += [entry[i] for entry in second]
                address = address + base
            table = Memory(
                shape=TABLE_BITS, depth=len(rows), init=rows, attrs={"ram_style": "block"}
            )
            m.submodules[f"table{i}"] = table
            port = table.read_port()
            m.d.comb += [
                port.en.eq(self.read | resets),
                port.addr.eq(Mux(self.enable & ~resets, address, 0)),
                getattr(self, f"f{i}").eq(port.data),
            ]
        return m
