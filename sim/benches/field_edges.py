"""Operands at which arithmetic goes wrong if it does: borders of limbs, moduli and ranges."""

from __future__ import annotations

from intaglio.hdl.engine.isa import WORD_BITS
from intaglio.hdl.field.fold import FOLDS, INPUT_BOUND
from intaglio.params import ED25519, SECP256K1

MODULI = (ED25519.p, SECP256K1.p, ED25519.order, SECP256K1.order)
LIMBS = (16, 32, 64)


def limb_edges(bits: int) -> set[int]:
    """Numbers below 2^bits with one limb all ones or all zeros, and next to each limb's border."""
    top = (1 << bits) - 1
    values = {0, top}
    for limb in LIMBS:
        for shift in range(0, bits, limb):
            ones = ((1 << limb) - 1) << shift & top
            values |= {ones, top ^ ones, 1 << shift, (1 << shift) - 1, (1 << shift) + 1}
    return values


def totals() -> list[int]:
    """Sums that a fold may be given: around powers of two and multiples of the primes."""
    values = limb_edges(518)
    for bit in range(518):
        values |= {1 << bit, (1 << bit) - 1, INPUT_BOUND - 1 - (1 << bit)}
    for prime in (ED25519.p, SECP256K1.p):
        for factor in (1, 2, 3, 2**128, prime, prime + 1, 2**256, INPUT_BOUND // prime):
            values |= {factor * prime + delta for delta in (-1, 0, 1)}
    return [value for value in sorted(values) if 0 <= value < INPUT_BOUND]


def words(bound: int = 1 << WORD_BITS) -> list[int]:
    """Words below ``bound``: around the moduli, the lazy bounds, 2^256 and the limbs' borders."""
    values = limb_edges(256) | {2**255 + d for d in (-1, 0, 1)} | {2**256 + d for d in (-1, 0, 1)}
    values |= {bound - 1, bound - 2}
    for modulus in MODULI:
        values |= {m * modulus + d for m in (1, 2) for d in (-2, -1, 0, 1)}
    for fold in FOLDS.values():
        values |= {fold.lazy_bound - 1, fold.lazy_bound - 2}
    return [value for value in sorted(values) if 0 <= value < bound]
