"""The comb tables in block RAM."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..blockram import BlockRom
from ..limbram import steps
from .isa import LIMB_BITS, LIMBS, Curve
from .programs import Image

PORTS = 2
"""Ports of a copy of the tables."""

READERS = 2 * PORTS
"""Readers of a copy, at most."""

_NEAR = 8
"""Windows that the first clock of a digit's choice chooses among."""


def table_rows(image: Image) -> list[list[int]]:
    """Entries of each field: Ed25519's, then secp256k1's, which has two fields."""
    first, second = image.tables[Curve.ED25519], image.tables[Curve.SECP256K1]
    rows = [[entry[i] for entry in first] for i in range(3)]
    return [*(words + [entry[i] for entry in second] for i, words in enumerate(rows[:2])), rows[2]]


def limb_rows(words: list[int], lanes: int) -> list[int]:
    """Words as memories ``lanes`` limbs wide hold them: the low limbs of the first, then more."""
    bits = lanes * LIMB_BITS
    return [
        word >> start & ((1 << bits) - 1)
        for word in words
        for start in range(0, LIMBS * LIMB_BITS, bits)
    ]


def row_layout(lanes: int) -> data.StructLayout:
    """``lanes`` limbs of each field of an entry."""
    return data.StructLayout({f"f{i}": lanes * LIMB_BITS for i in range(3)})


def read_signature(image: Image, lanes: int) -> wiring.Signature:
    """A reader of the tables: the limbs of a row, :attr:`BlockRom.latency` clocks after ``en``."""
    depth = len(limb_rows(table_rows(image)[0], lanes))
    return wiring.Signature({"en": Out(1), "addr": Out(range(depth)), "row": In(row_layout(lanes))})


class CombRoms(wiring.Component):
    """A copy of the tables, whose two ports serve two readers each.

    Parameters
    ----------
    image : Image
        The tables.
    lanes : int
        Limbs of a word in a row.
    readers : int
        1 to :data:`READERS`.

    Members
    -------
    reader_<n> : In(read_signature(image, lanes))
        Readers n = 0..readers-1, of which those of the same :func:`port_of` must never read in the
        same clock; they see each other's rows.

    Security: behind an entry, and after a reset, row 0 is read.
    """

    def __init__(self, image: Image, lanes: int, readers: int) -> None:
        self.image, self.lanes, self.readers = image, lanes, readers
        reader = read_signature(image, lanes)
        super().__init__({f"reader_{n}": In(reader) for n in range(readers)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = range(min(self.readers, PORTS))
        users = [
            [getattr(self, f"reader_{n}") for n in range(p, self.readers, PORTS)] for p in ports
        ]
        asked = []
        for port, mine in zip(ports, users, strict=True):
            address = Signal(mine[0].addr.shape(), name=f"address{port}")
            reads, cleans = Cat(reader.en for reader in mine).any(), Signal(init=1)
            m.d.comb += address.eq(
                reduce(or_, [reader.addr & reader.en.replicate(len(address)) for reader in mine])
            )
            m.d.sync += cleans.eq(reads)
            asked.append((reads | cleans, address))
        for i, entries in enumerate(table_rows(self.image)):
            bits, words = self.lanes * LIMB_BITS, limb_rows(entries, self.lanes)
            m.submodules[f"table{i}"] = rom = BlockRom(width=bits, words=words, readers=len(ports))
            for port, (enable, address) in enumerate(asked):
                at, word = getattr(rom, f"addr_{port}"), getattr(rom, f"word_{port}")
                m.d.comb += [getattr(rom, f"en_{port}").eq(enable), at.eq(address[: len(at)])]
                m.d.comb += [reader.row[f"f{i}"].eq(word) for reader in users[port]]
        return m


def port_of(reader: int) -> int:
    """Which port of its copy of the tables a reader has."""
    return reader % PORTS


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
        While they pass: which digit of the word is wanted, and whether any.
    read : Out(read_signature(image, lanes))
        To :class:`CombRoms`.
    negative : Out(1), f0, f1, f2 : Out(lanes * LIMB_BITS)
        Sign and fields of the entry, canonical, limb by limb, from :attr:`latency` clocks after
        ``start`` on.

    Security: ``digits`` is secret; it addresses block RAM, whose access time does not depend on the
    address.
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
                "read": Out(read_signature(image, lanes)),
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
        width, count = self.image.window, LIMBS // self.lanes
        windows = {curve: comb.windows for curve, comb in self.image.combs.items()}
        passing, step = steps(m, self.start, self.lanes)
        last, asked = Signal(), Signal(data.StructLayout({"on": 1, "curve": Curve, "window": 6}))
        m.d.sync += [
            last.eq(passing & (step == count - 1)),
            asked.eq(Cat(self.enable, self.curve, self.window)),
        ]
        begins, ends, signed = Signal(), Signal(), Signal()
        reads, place = steps(m, begins, self.lanes)
        index, negative, enable = Signal(width - 1), Signal(), Signal()
        window = Signal(range(sum(windows.values())))  # secp256k1's follow Ed25519's
        found = self._digit(m, passing, step)
        is_second = asked.curve == Curve.SECP256K1
        with m.If(last):
            m.d.sync += [
                index.eq(found[:-1] ^ (~found[-1]).replicate(width - 1)),
                negative.eq(~found[-1]),
                enable.eq(asked.on),
                window.eq(asked.window + Mux(is_second, windows[Curve.ED25519], 0)),
            ]
        with m.Elif(ends & ~reads):
            m.d.sync += [index.eq(0), negative.eq(0)]

        m.d.sync += [begins.eq(last), ends.eq(reads), self.negative.eq(signed)]
        with m.If(reads | ends):
            m.d.sync += signed.eq(negative & enable & reads)
        m.d.comb += [
            self.read.en.eq(reads & enable),
            self.read.addr.eq(Cat(place, index, window)),
            *(getattr(self, f"f{i}").eq(self.read.row[f"f{i}"]) for i in range(3)),
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
