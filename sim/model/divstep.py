"""Model of the inverter: division steps of Bernstein and Yang, one at a time, on plain integers."""

from __future__ import annotations

from math import gcd

STEPS = 590
"""Division steps that suffice for moduli and inputs below 2^256 (half-delta variant)."""


def invert(x: int, m: int) -> int:
    """x^-1 mod m for 0 < x < 2^256, m odd and x prime to m; 0 for x = 0.

    Follows the gateware step by step: ``d`` and ``e`` stay between -m and m.
    """
    zeta, f, g, d, e = -1, m, x, 0, 1
    for _ in range(STEPS):
        negative, odd = zeta < 0, g & 1
        addend_g, addend_e = (-f, -d) if negative else (f, d)
        swap = negative and odd
        total = e + (addend_e if odd else 0)
        correction = 0
        if total & 1:
            both = e >= 0 and (not odd or addend_e >= 0)
            correction = -m if both else m
        if swap:
            f, d, zeta = g, e, -zeta - 2
        else:
            zeta -= 1
        g = (g + (addend_g if odd else 0)) >> 1
        e = (total + correction) >> 1
        assert -m < d < m
        assert -m < e < m
    assert g == 0
    assert abs(f) == gcd(x, m)
    value = -d if f < 0 else d
    return value + m if value < 0 else value
