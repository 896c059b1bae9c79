"""The comb tables in block RAM."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..blockram import BlockRam
from .alu import TABLE_BITS
from .isa import WORD_BITS, Curve
from .programs import Image


def table_rows(image: Image) -> list[list[int]]:
    """Words of the memory of each field: Ed25519's entries, then secp256k1's, which has two fields.

    The second begins at the power of two that the first leaves room for.
    """
    first, second = image.tables[Curve.ED25519], image.tables[Curve.SECP256K1]
    start = 1 << ceil_log2(max(len(first), len(second)))
    gap = [0] * (start - len(first))
    rows = [[entry[i] for entry in first] + gap for i in range(3)]
    return [
        *(words + [entry[i] for entry in second] for i, words in enumerate(rows[:2])),
        rows[2],
    ]


class CombTable(wiring.Component):
    """Selects the entry of a comb digit.

    Members
    -------
    digits, digit_window : In
        A clock before ``read``: the job's digit word, and which window of it.
    read, enable, curve, window : In
        In a clock with ``read``: the same window; without ``enable`` entry 0 is read.
    negative : Out(1), f0, f1, f2 : Out(256)
        Sign and fields of the entry, canonical, two clocks later, until that of another.

    Security: ``digits`` is secret; it addresses block RAM, whose access time
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
                "digit_window": In(6),
                "negative": Out(1),
                "f0": Out(TABLE_BITS),
                "f1": Out(TABLE_BITS),
                "f2": Out(TABLE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.image.window
        rows = table_rows(self.image)
        digit = Signal(width)
        m.d.sync += digit.eq(self.digits.word_select(self.digit_window, width))
        negative = Signal()
        index = Signal(width - 1)
        m.d.comb += [negative.eq(~digit[-1]), index.eq(digit[:-1] ^ negative.replicate(width - 1))]
        window = self.window[: ceil_log2(len(rows[2]) >> width - 1)]
        resets = Signal(init=1)  # no entry outlives a reset
        m.d.sync += resets.eq(0)
        signed = Signal()
        m.d.sync += self.negative.eq(signed)
        with m.If(self.read):
            m.d.sync += signed.eq(negative & self.enable)
        for i, words in enumerate(rows):
            address = Cat(index, window)
            if i < 2:
                address = Cat(address, self.curve == Curve.SECP256K1)
            table = BlockRam(shape=TABLE_BITS, depth=len(words), init=words, registered=True)
            m.submodules[f"table{i}"] = table
            m.d.comb += [
                table.read_en.eq(self.read | resets),
                table.read_addr.eq(Mux(self.enable & ~resets, address, 0)),
                getattr(self, f"f{i}").eq(table.read),
            ]
        return m
