"""Words in the memories of a simulated :class:`~intaglio.hdl.limbram.LimbRam`."""

from __future__ import annotations

from typing import Any

from intaglio.hdl.engine.isa import LIMB_BITS, LIMBS
from intaglio.hdl.guard import GUARD_BITS
from intaglio.hdl.limbram import Stored

LIMB_MASK = (1 << LIMB_BITS) - 1
STORED_BITS = Stored.size
"""Bits of a limb as it is stored."""


def guarded(limb: int) -> int:
    """``limb`` as it is stored: see :func:`intaglio.hdl.guard.guarded`."""
    pieces, rest = 0, limb
    while rest:
        pieces, rest = pieces ^ rest & ((1 << GUARD_BITS) - 1), rest >> GUARD_BITS
    return limb | pieces << LIMB_BITS


def split(word: int) -> list[int]:
    """Limbs of a word."""
    return [word >> LIMB_BITS * i & LIMB_MASK for i in range(LIMBS)]


def join(limbs: list[int]) -> int:
    """The word of limbs."""
    return sum(limb << LIMB_BITS * i for i, limb in enumerate(limbs))


def places(store: Any, index: int) -> list[Any]:
    """Handles of the limbs of word ``index``, in order."""
    lanes = [getattr(store, f"lane{i}") for i in range(LIMBS) if hasattr(store, f"lane{i}")]
    count = LIMBS // len(lanes)
    return [lane.words[index * count + step] for step in range(count) for lane in lanes]


def peek(store: Any, index: int) -> int:
    """A word, whatever its check bits say."""
    return join([int(place.value) & LIMB_MASK for place in places(store, index)])


def poke(store: Any, index: int, word: int) -> None:
    """Store a word and its check bits."""
    for place, limb in zip(places(store, index), split(word), strict=True):
        place.value = guarded(limb)
