"""One wide product a clock: Karatsuba over hardware multipliers."""

from __future__ import annotations

from dataclasses import dataclass

from .dsp import Dsp
from .pipeline import Pipeline, Word

LIMB_BITS = 17
"""Width of a limb of the schoolbook product at the leaves."""


@dataclass(frozen=True)
class Karatsuba:
    """How a product is built.

    ``leaf_bits`` is the widest operand multiplied by limbs, not by halves: 4 x 4 multipliers at
    :data:`DEEP`'s 68 bits, one at :data:`FLAT`'s 18. Halves up to ``fused_bits`` are added without
    a register of their own, and so are their products.
    """

    leaf_bits: int
    fused_bits: int


DEEP = Karatsuba(leaf_bits=4 * LIMB_BITS, fused_bits=66)
"""Few sums."""

FLAT = Karatsuba(leaf_bits=Dsp.WIDTH, fused_bits=66)
"""Few multipliers and few registers."""


def schoolbook(pipe: Pipeline, x: Word, y: Word) -> Word:
    """x * y by limbs. Products that do not overlap share a row, and the rows are summed."""
    if max(len(x), len(y)) <= Dsp.WIDTH:
        return pipe.multiply(x, y)
    limbs = [
        [word.high(i).low(LIMB_BITS) for i in range(0, len(word), LIMB_BITS)] for word in (x, y)
    ]
    rows: list[Word] = []
    count_x, count_y = (len(word_limbs) for word_limbs in limbs)
    for difference in range(1 - count_y, count_x):
        row = Word((), 1)
        for j in range(count_y):
            i = j + difference
            if 0 <= i < count_x:
                product = pipe.multiply(limbs[0][i], limbs[1][j])
                row = row.join(product, LIMB_BITS * (i + j))
        rows.append(row)
    return pipe.total(rows).below((x.bound - 1) * (y.bound - 1) + 1)


def multiply(pipe: Pipeline, x: Word, y: Word, how: Karatsuba) -> Word:
    """x * y: three half-size products, recursively, down to leaves.

    ``xl yl + ((xl + xh)(yl + yh) - xl yl - xh yh) 2^h + xh yh 2^2h``.
    """
    width = max(len(x), len(y))
    bound = (x.bound - 1) * (y.bound - 1) + 1
    if width <= how.leaf_bits:
        return schoolbook(pipe, x, y)
    half = width // 2
    if min(len(x), len(y)) <= half:
        return _by_halves(pipe, x, y, half, how).below(bound)
    (xl, xh), (yl, yh) = ((word.low(half), word.high(half)) for word in (x, y))
    low = multiply(pipe, xl, yl, how)
    high = multiply(pipe, xh, yh, how)
    fused = half <= how.fused_bits
    cross = multiply(pipe, pipe.add(xl, xh, fused=fused), pipe.add(yl, yh, fused=fused), how)
    middle_bound = (xl.bound - 1) * (yh.bound - 1) + (xh.bound - 1) * (yl.bound - 1) + 1
    outer = pipe.add(low, high, fused=fused)
    middle = pipe.subtract(cross, outer, bound=middle_bound)
    return pipe.add(low.join(high, 2 * half), middle.shift(half), bound=bound)


def _by_halves(pipe: Pipeline, x: Word, y: Word, half: int, how: Karatsuba) -> Word:
    """x * y where one operand is no longer than half the other: two products."""
    long, short = (x, y) if len(x) > len(y) else (y, x)
    low = multiply(pipe, long.low(half), short, how)
    high = multiply(pipe, long.high(half), short, how)
    return pipe.add(low, high.shift(half))
