"""Check bits of words in memories: a word that was altered while it lay there is noticed."""

from __future__ import annotations

from functools import reduce
from operator import xor

from amaranth.hdl import Cat, Value
from amaranth.lib import data

GUARD_BITS = 28
"""Check bits of a stored word; with them 256 or 260 bits still fit eight block RAMs of 36 bits."""


def guard(word: Value) -> Value:
    """XOR of the word's pieces: another for words that differ in one bit, or in 28 in a row."""
    return reduce(xor, [word[i : i + GUARD_BITS] for i in range(0, len(word), GUARD_BITS)])


def Guarded(bits: int) -> data.StructLayout:
    """Shape of a word of ``bits`` as it is stored. All zero is a good one."""
    return data.StructLayout({"word": bits, "guard": GUARD_BITS})


def guarded(word: Value) -> Value:
    """``word`` as it is stored."""
    return Cat(word, guard(word))


def difference(stored: data.View) -> Value:
    """Zero if a stored word is the one that was written."""
    return guard(stored.word) ^ stored.guard
