"""Words in block RAM, a limb or several in a clock, each limb with its check bits."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .blockram import BlockRam
from .engine.isa import LIMB_BITS, LIMBS
from .guard import GUARD_BITS, Guarded, difference, guarded

Stored = Guarded(LIMB_BITS)
"""A limb as it is stored."""


class LimbRam(wiring.Component):
    """Words of :data:`~intaglio.hdl.engine.isa.LIMBS` limbs, ``lanes`` limbs of one in a clock.

    As for :class:`~intaglio.hdl.blockram.BlockRam`, nothing is to be read in the clock in which it
    is written.

    Parameters
    ----------
    words : int
        Words it holds.
    lanes : int
        Limbs side by side: 1, 2 or 4.
    registered : bool
        As for :class:`~intaglio.hdl.blockram.BlockRam`.
    late : bool
        A limb is written a clock later, its check bits being there by then.

    Members
    -------
    write : In({en, addr, data})
        ``en`` has a bit per lane and ``data`` the lanes' limbs, the first in the low bits. An
        address is ``Cat(step, word)``; ``step``, in ``LIMBS / lanes``, counts the clocks that a
        whole word takes, see :func:`place`.
    read_en : In(1, init=1), read_addr : In, read : Out(lanes * LIMB_BITS)
        The limbs at ``read_addr``, :attr:`latency` clocks later.
    differs : Out(lanes * GUARD_BITS)
        Zero if the limbs in ``read`` are those that were written; combinational.
    """

    def __init__(
        self, words: int, *, lanes: int, registered: bool = False, late: bool = False
    ) -> None:
        self.lanes, self._late = lanes, late
        self._rams = [
            BlockRam(shape=Stored, depth=words * LIMBS // lanes, registered=registered)
            for _ in range(lanes)
        ]
        address = range(words * LIMBS // lanes)
        write = wiring.Signature(
            {"en": Out(lanes), "addr": Out(address), "data": Out(lanes * LIMB_BITS)}
        )
        super().__init__(
            {
                "write": In(write),
                "read_en": In(1, init=1),
                "read_addr": In(address),
                "read": Out(lanes * LIMB_BITS),
                "differs": Out(lanes * GUARD_BITS),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from an address to its limbs."""
        return self._rams[0].latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        writing = m.d.sync if self._late else m.d.comb
        for i, ram in enumerate(self._rams):
            m.submodules[f"lane{i}"] = ram
            writing += [
                ram.write.en.eq(self.write.en[i]),
                ram.write.addr.eq(self.write.addr),
                ram.write.data.eq(guarded(self.write.data.word_select(i, LIMB_BITS))),
            ]
            m.d.comb += [
                ram.read_en.eq(self.read_en),
                ram.read_addr.eq(self.read_addr),
                self.read.word_select(i, LIMB_BITS).eq(ram.read.limb),
                self.differs.word_select(i, GUARD_BITS).eq(difference(ram.read)),
            ]
        return m

    def limb(self, m: Module, limb: Value) -> tuple[Value, Value]:
        """Limb ``limb`` of what is asked for in the same clock, and its part of :attr:`differs`;
        both :attr:`latency` clocks later. The step is to be in ``read_addr``."""
        lane = _lane(limb, self.lanes)
        for i in range(self.latency):
            earlier, lane = lane, Signal(len(lane), name=f"lane{i}")
            m.d.sync += lane.eq(earlier)
        return self.read.word_select(lane, LIMB_BITS), self.differs.word_select(lane, GUARD_BITS)


def lanes_of(interval: int) -> int:
    """Lanes of the memories that feed an ALU with an instruction every ``interval`` clocks."""
    return LIMBS // min(interval, LIMBS)


def _lane(limb: Value, lanes: int) -> Value:
    return limb[: (lanes - 1).bit_length()]


def place(limb: Value, lanes: int) -> tuple[Value, Value]:
    """Where limb number ``limb``, 0..3, of a word goes: ``en`` of its lane, and its step."""
    lane = _lane(limb, lanes)
    return Cat(lane == i for i in range(lanes)), limb[len(lane) : (LIMBS - 1).bit_length()]


def steps(m: Module, first: Value, lanes: int) -> tuple[Value, Value]:
    """Whether this is a clock in which a word's limbs pass, ``lanes`` at a time, and which.

    ``first``: the word's first limbs pass. Words follow each other as closely as they can.
    """
    count = LIMBS // lanes
    if count == 1:
        return first, C(0, 0)
    going, step = Signal(), Signal(range(count))
    m.d.comb += going.eq(first | (step != 0))
    with m.If(going):
        m.d.sync += step.eq(step + 1)
    return going, step
