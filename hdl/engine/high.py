"""H of each slot: the upper half of a sum, kept for the slot's next instruction."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from ..limbram import LimbRam, steps
from .alu import Alu
from .isa import LIMBS, Out
from .stages import Stages


def keep_high(
    m: Module,
    alu: Alu,
    stages: Stages,
    late_op: data.View,
    kept: data.View,
    at: tuple[int, int, int],
) -> Value:
    """H goes to the sum of the instruction ``late_op``, and is written by the instruction ``kept``,
    at the first two stages of ``at``. A program's end zeroises it.

    Returns whether what the instruction at the third stage took of it had been altered.
    """
    late, keep, retire = at
    slots, count = stages.slots, LIMBS // alu.lanes
    valid, slot = stages.valid, stages.slot
    m.submodules.high_words = high = LimbRam(slots, lanes=alu.lanes, registered=True, late=True)
    reader, writer = Signal(range(slots)), Signal(range(slots))
    for owner, stage in ((reader, late - 2), (writer, keep)):
        with m.If(valid[stage - 1]):
            m.d.sync += owner.eq(slot[stage - 1])
    _, read_step = steps(m, valid[late - 2], alu.lanes)
    writing, write_step = steps(m, valid[keep], alu.lanes)
    differs, uses_high = Signal.like(high.differs), Signal()
    altered = Signal(retire - late - 1)
    m.d.sync += [
        differs.eq(high.differs),
        uses_high.eq(late_op.add_high),
        altered.eq(Cat(uses_high & differs.any(), altered)),
    ]
    writes = writing & ((kept.out == Out.LOW_KEEP) | kept.end)
    m.d.comb += [
        alu.late_high.eq(high.read),
        high.read_addr.eq(Cat(read_step, reader)),
        high.write.addr.eq(Cat(write_step, writer)),
        high.write.en.eq(writes.replicate(alu.lanes)),
        high.write.data.eq(Mux(kept.end, 0, alu.high)),
    ]
    # a reset may leave words of programs it ended
    words = slots * count
    to_sweep, sweeps = Signal(range(words), init=words - 1), Signal(init=1)
    with m.If(sweeps):
        m.d.sync += [to_sweep.eq(to_sweep - 1), sweeps.eq(to_sweep != 0)]
        m.d.comb += [
            high.write.addr.eq(to_sweep),
            high.write.en.eq(-1),
            high.write.data.eq(0),
        ]
    return altered[-count:].any()
