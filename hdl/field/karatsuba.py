"""One wide product a clock: Karatsuba over hardware multipliers."""

from __future__ import annotations

from .pipeline import Pipeline, Word

LIMB_BITS = 17
"""Width of a limb of the schoolbook product at the leaves: 4 x 4 DSP blocks."""

LEAF_BITS = 4 * LIMB_BITS
"""Widest operand of a leaf."""


def schoolbook(pipe: Pipeline, x: Word, y: Word) -> Word:
    """x * y by limbs. Products that do not overlap share a row, and the rows are summed."""
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


def multiply(pipe: Pipeline, x: Word, y: Word) -> Word:
    """x * y: three half-size products, recursively, down to :data:`LEAF_BITS`.

    ``xl yl + ((xl + xh)(yl + yh) - xl yl - xh yh) 2^h + xh yh 2^2h``.
    """
    if max(len(x), len(y)) <= LEAF_BITS:
        return schoolbook(pipe, x, y)
    half = max(len(x), len(y)) // 2
    (xl, xh), (yl, yh) = ((word.low(half), word.high(half)) for word in (x, y))
    low = multiply(pipe, xl, yl)
    high = multiply(pipe, xh, yh)
    cross = multiply(pipe, pipe.add(xl, xh), pipe.add(yl, yh))
    middle_bound = (xl.bound - 1) * (yh.bound - 1) + (xh.bound - 1) * (yl.bound - 1) + 1
    middle = pipe.subtract(cross, pipe.add(low, high), bound=middle_bound)
    outer = low.join(high, 2 * half)
    bound = (x.bound - 1) * (y.bound - 1) + 1
    return pipe.add(outer, middle.shift(half), bound=bound)
