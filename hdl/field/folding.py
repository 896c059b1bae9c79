"""Multiples that folds add, in gateware: see :mod:`intaglio.hdl.field.fold`.

38 = 2^5 + 2^2 + 2, 19 = 2^4 + 2 + 1, 2^32 + 977 = 2^32 + 2^10 - 2^6 + 2^4 + 1: one set of adders
serves both curves, whose shifts are chosen.
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Signal

from .pipeline import Pipeline, Word

Shift = int | None
"""A power of two; None is no term."""


@dataclass(frozen=True)
class Factor:
    """A fold's factors as sums of powers of two, each pair for secp256k1 and Ed25519."""

    plus: tuple[tuple[Shift, Shift], ...]
    minus: tuple[Shift, Shift]

    def of(self, index: int) -> int:
        """The factor of secp256k1 (0) or Ed25519 (1)."""
        powers = [pair[index] for pair in self.plus]
        less = self.minus[index]
        return sum(1 << power for power in powers if power is not None) - (
            0 if less is None else 1 << less
        )


FIRST = Factor(plus=((10, 2), (32, 5), (4, 1), (0, None)), minus=(6, None))
SECOND = Factor(plus=((10, 1), (0, 0), (4, 4), (32, None)), minus=(6, None))


def multiples(
    pipe: Pipeline, curve: tuple[Signal, int], word: Word, factor: Factor, *, fused: bool = False
) -> list[Word]:
    """Terms whose sum is ``word`` times the factor; ``curve``: 1 for secp256k1, and its birth.

    The first two parts, 2^10 and -2^6, are one term. ``fused``, as in :class:`.Pipeline`: the
    choice between primes.
    """

    def chosen(shifts: tuple[Shift, Shift]) -> Word:
        words = [Word((), 1) if shift is None else word.shift(shift) for shift in shifts]
        if shifts[0] == shifts[1]:
            return words[0]
        return pipe.select(*curve, words[0], words[1], fused=fused)

    first = chosen(factor.plus[0])
    difference = pipe.subtract(first, chosen(factor.minus), bound=first.bound)
    return [difference, *(chosen(shifts) for shifts in factor.plus[1:])]
