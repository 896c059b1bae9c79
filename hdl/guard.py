"""Check bits of limbs in memories: a limb that was altered while it lay there is noticed."""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Value
from amaranth.lib import data

GUARD_BITS = 7
"""Check bits of a stored limb: with them its 65 bits fill two block RAMs of 36."""


def guard(limb: Value) -> Value:
    """XOR of the limb's pieces: another for limbs that differ in one bit, or in 7 in a row."""
    return reduce(xor, [limb[i : i + GUARD_BITS] for i in range(0, len(limb), GUARD_BITS)])


def Guarded(bits: int) -> data.StructLayout:
    """Shape of a limb of ``bits`` as it is stored. All zero is a good one."""
    return data.StructLayout({"limb": bits, "guard": GUARD_BITS})


def guarded(limb: Value) -> Value:
    """``limb`` as it is stored."""
    return Cat(limb, guard(limb))


def difference(stored: data.View) -> Value:
    """Zero if a stored limb is the one that was written."""
    return guard(stored.limb) ^ stored.guard
