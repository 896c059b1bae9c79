"""The comb tables in block RAM."""

from __future__ import annotations

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..blockram import BlockRam
from ..limbram import steps
from .isa import LIMB_BITS, LIMBS, Curve
from .programs import Image

_NEAR = 8
"""Windows that the first clock of a digit's choice chooses among."""


def table_rows(image: Image) -> list[list[int]]:
    """Entries of each field: Ed25519's, then secp256k1's, which has two fields.

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


def limb_rows(words: list[int], lanes: int) -> list[int]:
    """Words as memories ``lanes`` limbs wide hold them: the low limbs of the first, then more."""
    bits = lanes * LIMB_BITS
    return [
        word >> start & ((1 << bits) - 1)
        for word in words
        for start in range(0, LIMBS * LIMB_BITS, bits)
    ]


class CombTable(wiring.Component):
    """Selects the entry of a comb digit.

    Parameters
    ----------
    image : Image
        The tables.
    lanes : int
        Limbs that pass in a clock; a word takes ``LIMBS / lanes`` clocks.

    Members
    -------
    start : In(1)
        The first limbs of a job's digit word are in ``digits``; the others follow.
    digits : In(lanes * LIMB_BITS)
    enable, curve, window : In
        While they pass: which digit of the word is wanted, and whether any; else entry 0 is read.
    negative : Out(1), f0, f1, f2 : Out(lanes * LIMB_BITS)
        Sign and fields of the entry, canonical, limb by limb, from :attr:`latency` clocks after
        ``start`` on.

    Security: ``digits`` is secret; it addresses block RAM, whose access time does not depend on the
    address. Behind an entry, entry 0 is read.
    """

    def __init__(self, image: Image, lanes: int) -> None:
        self.image, self.lanes = image, lanes
        bits = lanes * LIMB_BITS
        super().__init__(
            {
                "start": In(1),
                "digits": In(bits),
                "enable": In(1),
                "curve": In(Curve),
                "window": In(6),
                "negative": Out(1),
                "f0": Out(bits),
                "f1": Out(bits),
                "f2": Out(bits),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from the first limbs of the digit word to those of the entry."""
        return LIMBS // self.lanes + 3

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, count, bits = self.image.window, LIMBS // self.lanes, self.lanes * LIMB_BITS
        rows = table_rows(self.image)
        passing, step = steps(m, self.start, self.lanes)
        last, asked = Signal(), Signal(data.StructLayout({"on": 1, "curve": Curve, "window": 6}))
        m.d.sync += [
            last.eq(passing & (step == count - 1)),
            asked.eq(Cat(self.enable, self.curve, self.window)),
        ]
        begins, ends, signed = Signal(), Signal(), Signal()
        resets = Signal(init=1)  # no entry outlives a reset
        reads, place = steps(m, begins, self.lanes)
        digit, enable, curve = Signal(width), Signal(), Signal(Curve)
        window = Signal(ceil_log2(len(rows[2]) >> width - 1))
        found = self._digit(m, passing, step)
        with m.If(last):
            m.d.sync += [
                digit.eq(found),
                enable.eq(asked.on),
                curve.eq(asked.curve),
                window.eq(asked.window),
            ]
        with m.Elif(ends & ~reads):
            m.d.sync += digit.eq(0)

        m.d.sync += [begins.eq(last), resets.eq(0)]
        m.d.sync += [ends.eq(reads), self.negative.eq(signed)]
        negative, index = ~digit[-1], Signal(width - 1)
        m.d.comb += index.eq(digit[:-1] ^ negative.replicate(width - 1))
        with m.If(reads | ends):
            m.d.sync += signed.eq(negative & enable & reads)
        for i, entries in enumerate(rows):
            address = Cat(place, index, window)
            if i < 2:
                address = Cat(address, curve == Curve.SECP256K1)
            words = limb_rows(entries, self.lanes)
            table = BlockRam(shape=bits, depth=len(words), init=words, registered=True)
            m.submodules[f"table{i}"] = table
            m.d.comb += [
                table.read_en.eq(reads | ends | resets),
                table.read_addr.eq(Mux(enable & reads & ~resets, address, 0)),
                getattr(self, f"f{i}").eq(table.read),
            ]
        return m

    def _digit(self, m: Module, passing: Value, step: Value) -> Signal:
        """The wanted digit, a clock after the last limbs of its word pass.

        Bits are chosen in two clocks: one of :data:`_NEAR` windows in each group, then the group.
        """
        width, bits = self.image.window, self.lanes * LIMB_BITS
        windows = max(comb.windows for comb in self.image.combs.values())
        groups = -(-windows // _NEAR)
        passed, digit, gathered = Signal(), Signal(width, name="found"), Signal(width)
        far = Signal(range(groups))
        m.d.sync += [
            passed.eq(passing),
            far.eq(self.window // _NEAR),
            gathered.eq(Mux(passed, digit, 0)),
        ]
        for bit in range(width):
            places = [window * width + bit for window in range(windows)]
            near, passes = Signal(groups, name=f"near{bit}"), Signal(name=f"passes{bit}")
            within = Array(C(place // bits, 2) for place in places)[self.window]
            m.d.sync += passes.eq(within == step)
            for group in range(groups):
                some = places[group * _NEAR :][:_NEAR]
                found = Array(self.digits[place % bits] for place in some)
                m.d.sync += near[group].eq(found[self.window % _NEAR])
            m.d.comb += digit[bit].eq(Mux(passes, near.bit_select(far, 1), gathered[bit]))
        return digit
