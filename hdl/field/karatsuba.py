"""One wide product a clock: Karatsuba, and by limbs where four hardware multipliers suffice."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .dsp import Dsp
from .pipeline import Pipeline, Word

NAME = "multiplier"
"""How the names of a product's hardware multipliers begin."""


@dataclass(frozen=True)
class Karatsuba:
    """How a product is built.

    ``leaf_bits``, at most :attr:`.Dsp.WIDTH`, is the widest operand that one multiplier takes.
    Halves up to ``fused_bits`` are added without a register of their own, and so are their
    products. A product whose halves are leaves takes three multipliers, or four without the sums
    before them if ``by_limbs``.
    """

    leaf_bits: int
    fused_bits: int
    by_limbs: bool = False


FLAT = Karatsuba(leaf_bits=Dsp.WIDTH, fused_bits=34)
"""Few multipliers and few registers."""

BY_LIMBS = replace(FLAT, by_limbs=True)
"""A third more multipliers, and fewer wires between them and the sums."""


def multiply(pipe: Pipeline, x: Word, y: Word, how: Karatsuba, name: str = NAME) -> Word:
    """x * y: three half-size products, recursively, down to leaves.

    ``xl yl + ((xl + xh)(yl + yh) - xl yl - xh yh) 2^h + xh yh 2^2h``.

    A multiplier is named by its way down, in numbers that grow with the weight of its product: 0, 1
    or 2 for a low, middle or high part; of four, the middle ones are 1 and 2.
    """
    width = max(len(x), len(y))
    bound = (x.bound - 1) * (y.bound - 1) + 1
    if width <= how.leaf_bits:
        return pipe.multiply(x, y, name)
    half = width // 2
    if min(len(x), len(y)) <= half:
        return _by_halves(pipe, x, y, half, how, name).below(bound)
    (xl, xh), (yl, yh) = ((word.low(half), word.high(half)) for word in (x, y))
    if how.by_limbs and width <= 2 * how.leaf_bits:
        parts = [(xl, yl), (xl, yh), (xh, yl), (xh, yh)]
        low, *cross, high = (pipe.multiply(a, b, f"{name}_{i}") for i, (a, b) in enumerate(parts))
        middle = pipe.add(*cross, fused=True)
        return pipe.add(low.join(high, 2 * half), middle.shift(half), bound=bound)
    low = multiply(pipe, xl, yl, how, f"{name}_0")
    high = multiply(pipe, xh, yh, how, f"{name}_2")
    fused = half <= how.fused_bits
    sums = [pipe.add(one, other, fused=fused) for one, other in ((xl, xh), (yl, yh))]
    cross = multiply(pipe, *sums, how, f"{name}_1")
    middle_bound = (xl.bound - 1) * (yh.bound - 1) + (xh.bound - 1) * (yl.bound - 1) + 1
    outer = pipe.add(low, high, fused=fused)
    middle = pipe.subtract(cross, outer, bound=middle_bound)
    return pipe.add(low.join(high, 2 * half), middle.shift(half), bound=bound)


def _by_halves(pipe: Pipeline, x: Word, y: Word, half: int, how: Karatsuba, name: str) -> Word:
    """x * y where one operand is no longer than half the other: two products."""
    long, short = (x, y) if len(x) > len(y) else (y, x)
    low = multiply(pipe, long.low(half), short, how, f"{name}_0")
    high = multiply(pipe, long.high(half), short, how, f"{name}_2")
    return pipe.add(low, high.shift(half))
