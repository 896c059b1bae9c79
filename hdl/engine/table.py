"""The comb tables in block RAM."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..blockram import FAR_LATENCY, BlockRom
from ..limbram import steps
from .isa import LIMB_BITS, LIMBS, NEGATED, TABLE_CURVES, TABLE_FIELDS, B, Curve
from .programs import Image

PORTS = 2
"""Ports of a copy of the tables."""

READERS = 2 * PORTS
"""Readers of a copy, at most."""

_NEAR = 8
"""Windows that the first clock of a digit's choice chooses among."""


FIELDS = tuple(
    (curve, i)
    for curve, count in {Curve.ED25519: 3, Curve.SECP256K1: 2}.items()
    for i in range(count)
)
"""Fields of the curves' entries, in the order in which the tables hold them."""


def table_words(image: Image) -> list[int]:
    """One field of all entries of a curve after another."""
    return [entry[i] for curve, i in FIELDS for entry in image.tables[curve]]


def first_windows(image: Image) -> dict[tuple[Curve, int], int]:
    """How many windows are before those of each of :data:`FIELDS`."""
    starts, count = {}, 0
    for curve, i in FIELDS:
        starts[curve, i] = count
        count += image.combs[curve].windows
    return starts


def limb_rows(words: list[int], lanes: int) -> list[int]:
    """Words as memories ``lanes`` limbs wide hold them: the low limbs of the first, then more."""
    bits = lanes * LIMB_BITS
    return [
        word >> start & ((1 << bits) - 1)
        for word in words
        for start in range(0, LIMBS * LIMB_BITS, bits)
    ]


def read_signature(image: Image, lanes: int) -> wiring.Signature:
    """A reader of the tables: limbs of a field, :data:`FAR_LATENCY` clocks after ``en``."""
    depth = len(limb_rows(table_words(image), lanes))
    return wiring.Signature({"en": Out(1), "addr": Out(range(depth)), "row": In(lanes * LIMB_BITS)})


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

    Security: row 0 is read by a port that no reader asks.
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
            m.d.comb += address.eq(
                reduce(or_, [reader.addr & reader.en.replicate(len(address)) for reader in mine])
            )
            asked.append((Cat(reader.en for reader in mine).any(), address))
        bits, words = self.lanes * LIMB_BITS, limb_rows(table_words(self.image), self.lanes)
        m.submodules.rom = rom = BlockRom(width=bits, words=words, readers=len(ports), far=True)
        for port, (enable, address) in enumerate(asked):
            m.d.comb += [
                getattr(rom, f"en_{port}").eq(enable),
                getattr(rom, f"addr_{port}").eq(address),
                *(reader.row.eq(getattr(rom, f"word_{port}")) for reader in users[port]),
            ]
        return m


def port_of(reader: int) -> int:
    """Which port of its copy of the tables a reader has."""
    return reader % PORTS


class CombTable(wiring.Component):
    """Finds a field of the entry that a comb digit selects.

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
    b, window : In
        While they pass: the instruction's second factor, and which digit of the word it is for.
    read : Out(read_signature(image, lanes))
        To :class:`CombRoms`.
    field : Out(lanes * LIMB_BITS), negative : Out(1)
        The table operand, canonical, limb by limb, from :attr:`latency` clocks after ``start`` on,
        and whether it is to be negated.

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
                "b": In(B),
                "window": In(6),
                "read": Out(read_signature(image, lanes)),
                "field": Out(bits),
                "negative": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from the first limbs of the digit word to those of the field."""
        return LIMBS // self.lanes + 1 + FAR_LATENCY

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width, count = self.image.window, LIMBS // self.lanes
        passing, step = steps(m, self.start, self.lanes)
        last, asked = Signal(), Signal(data.StructLayout({"b": B, "window": 6}))
        m.d.sync += [last.eq(passing & (step == count - 1)), asked.eq(Cat(self.b, self.window))]
        begins, ends, signs = Signal(), Signal(), Signal(FAR_LATENCY)
        reads, place = steps(m, begins, self.lanes)
        index, negative, enable = Signal(width - 1), Signal(), Signal()
        windows = self._windows(m, asked)
        window = Signal.like(windows[0])
        found = self._digit(m, passing, step)
        is_negative = ~found[-1]
        with m.If(last):
            m.d.sync += [
                index.eq(found[:-1] ^ is_negative.replicate(width - 1)),
                negative.eq(is_negative & reduce(or_, [asked.b == b for b in NEGATED])),
                enable.eq(asked.b >= B.TABLE_0),
                window.eq(Mux(is_negative, windows[1], windows[0])),
            ]
        with m.Elif(ends & ~reads):
            m.d.sync += [index.eq(0), window.eq(0), negative.eq(0)]

        m.d.sync += [
            begins.eq(last),
            ends.eq(reads),
            signs.eq(Cat(negative & enable & reads, signs)),
        ]
        m.d.comb += [
            self.negative.eq(signs[-1]),
            self.read.en.eq(reads & enable),
            self.read.addr.eq(Cat(place, index, window)),
            self.field.eq(self.read.row),
        ]
        return m

    def _windows(self, m: Module, asked: data.View) -> list[Signal]:
        """Where in the tables the field's window is, a clock later: of a positive digit, and of a
        negative one."""
        starts = first_windows(self.image)
        count = sum(self.image.combs[curve].windows for curve, _ in FIELDS)
        windows = [Signal(range(count), name=f"window_of_{sign}") for sign in ("plus", "minus")]
        for sign, window in enumerate(windows):
            with m.Switch(asked.b):
                for b, fields in TABLE_FIELDS.items():
                    with m.Case(b):
                        start = starts[TABLE_CURVES[b], fields[sign]]
                        m.d.sync += window.eq(asked.window + start)
        return windows

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
