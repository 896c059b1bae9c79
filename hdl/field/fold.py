"""Lazy reduction modulo the field primes, and the ranges it takes and leaves.

Both primes are just below a power of two, so the part of a number above 2^256 comes back multiplied
by a small constant::

    T  < 2^518                          a product of two operands below 2^259, plus addends
    T1 = T mod 2^256 + c (T div 2^256)  2^256 = c mod p: c = 38 or 2^32 + 977; T1 < 2^296
    T2 = T1 mod 2^k + c' (T1 div 2^k)   2^k = c' mod p: k, c' = 255, 19 or 256, 2^32 + 977

``T2`` is *lazy*: congruent to ``T``, below :attr:`Fold.lazy_bound`, which is below 2p. A
*canonical* value is below p; one conditional subtraction makes a lazy one canonical.
"""

from __future__ import annotations

from dataclasses import dataclass

from intaglio.params import ED25519, SECP256K1

from ..engine.isa import Curve

INPUT_BOUND = 2**518
"""What a fold may be given (exclusive)."""

OPERAND_BOUND = 2**259
"""What a factor may be under FOLD (exclusive)."""


@dataclass(frozen=True)
class Fold:
    """Constants of one prime's reduction."""

    prime: int
    split1: int
    factor1: int
    split2: int
    factor2: int

    @property
    def middle_bound(self) -> int:
        """T1 is below this."""
        return 2**self.split1 + self.factor1 * (INPUT_BOUND >> self.split1)

    @property
    def lazy_bound(self) -> int:
        """T2 is below this (exclusive)."""
        return 2**self.split2 + self.factor2 * (self.middle_bound >> self.split2)

    def __call__(self, value: int) -> int:
        """T2 of T = ``value``."""
        assert 0 <= value < INPUT_BOUND
        middle = value % 2**self.split1 + self.factor1 * (value >> self.split1)
        return middle % 2**self.split2 + self.factor2 * (middle >> self.split2)


FOLDS = {
    Curve.ED25519: Fold(ED25519.p, 256, 38, 255, 19),
    Curve.SECP256K1: Fold(SECP256K1.p, 256, 2**32 + 977, 256, 2**32 + 977),
}

for _fold in FOLDS.values():
    assert pow(2, _fold.split1, _fold.prime) == _fold.factor1
    assert pow(2, _fold.split2, _fold.prime) == _fold.factor2
    assert _fold.lazy_bound < 2 * _fold.prime
    assert _fold.lazy_bound <= 2**256 + 2**72
