"""The fixed-base signed comb: digits of a scalar, and the table they select from.

A scalar k is multiplied as ``sum d_i 2^(w i) G`` with every digit odd, ``|d_i| < 2^w``. Writing
``d_i = 2 u_i - (2^w - 1)`` turns the digits into the plain base-2^w digits ``u_i`` of

    u = (k + 2^(w n) - 1) / 2  mod order

so recoding is one modular product, needs no odd scalar and has no zero digit. The top bit of
``u_i`` is the sign (1: positive); the table index is the remaining bits, inverted when negative.
Entry ``j`` of window ``i`` is ``(2j + 1) 2^(w i) G``.

To check the point, it is computed again with other digits: those of k + 2 shift, and 2 shift G is
added to the first point before the two are compared (:class:`Again`).

An Ed25519 entry is (y + x, y - x, 2dxy) (Hisil, Wong, Carter, Dawson 2008, with a = -1). A
secp256k1 entry is (x', y') on the isomorphic curve on which 3b = 1: x' = v^2 x, y' = v^3 y with v^6
= 1/(3b). Its quadratic twist, on which orders are tested that secp256k1 has not, has 3b = -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from intaglio.params import Edwards, Weierstrass

Point = tuple[int, int]


@dataclass(frozen=True)
class Again:
    """u' = (u + shift mod order) + lift order: digits of k + 2 shift.

    u' - u is one of two numbers modulo 2^(w n), ``shift + lift order`` and ``order`` less than
    that, and no digit of these is 0 or 2^w - 1. So with the carry that may come from below no digit
    of u' is that of u, whatever u is.
    """

    shift: int
    lift: int


@dataclass(frozen=True)
class Comb:
    """Shape of a comb for scalars below ``order`` with digits of ``window`` bits (2..8)."""

    order: int
    window: int

    @property
    def windows(self) -> int:
        """Number of digits n."""
        return -(-self.order.bit_length() // self.window)

    @property
    def entries(self) -> int:
        """Table entries per digit."""
        return 1 << (self.window - 1)

    @property
    def offset(self) -> int:
        """2^(w n) - 1, added to the scalar before halving."""
        return (1 << (self.window * self.windows)) - 1

    def recode(self, scalar: int) -> int:
        """u of ``scalar``."""
        return (scalar + self.offset) * pow(2, -1, self.order) % self.order

    def recode_again(self, scalar: int) -> int:
        """u of :attr:`again` for ``scalar``: every digit is another one than :meth:`recode`'s."""
        return (self.recode(scalar) + self.again.shift) % self.order + self.again.lift * self.order

    @property
    def again(self) -> Again:
        """How the same scalar is multiplied a second time."""
        return _again(self)

    def select(self, u: int, window: int) -> tuple[bool, int]:
        """(negative, table index) of digit ``window`` of ``u``."""
        digit = u >> (self.window * window) & ((1 << self.window) - 1)
        negative = digit < self.entries
        return negative, (self.entries - 1 - digit) if negative else digit - self.entries


@cache
def _again(comb: Comb) -> Again:
    """Digit by digit from below; the least digit that will do. Raises ``ValueError`` if none do."""
    base, bits = 1 << comb.window, comb.window * comb.windows
    for lift in range((1 << bits) // comb.order):
        shift: int | None = 0
        added = (lift * comb.order, (lift - 1) * comb.order % (1 << bits))
        for place in range(0, bits, comb.window):
            fit = (
                candidate
                for candidate in range(shift, min(shift + (base << place), comb.order), 1 << place)
                if not {(candidate + each) >> place & (base - 1) for each in added} & {0, base - 1}
            )
            shift = next(fit, None)
            if shift is None:
                break
        if shift is not None:
            return Again(shift, lift)
    raise ValueError(f"no second digits of {comb.window} bits for the order {comb.order:#x}")


def edwards_add(curve: Edwards, p: Point, q: Point) -> Point:
    """Affine addition, complete (RFC 8032, section 5.1.4, in affine form)."""
    (x1, y1), (x2, y2) = p, q
    t = curve.d * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + t, -1, curve.p) % curve.p,
        (y1 * y2 + x1 * x2) * pow(1 - t, -1, curve.p) % curve.p,
    )


def weierstrass_add(curve: Weierstrass, p: Point | None, q: Point | None) -> Point | None:
    """Affine addition (SEC 1, section 2.2.1); None is the point at infinity."""
    if p is None or q is None:
        return q if p is None else p
    (x1, y1), (x2, y2) = p, q
    if x1 == x2 and (y1 + y2) % curve.p == 0:
        return None
    if p == q:
        slope = (3 * x1 * x1 + curve.a) * pow(2 * y1, -1, curve.p)
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, curve.p)
    x3 = (slope * slope - x1 - x2) % curve.p
    return x3, (slope * (x1 - x3) - y1) % curve.p


def multiple(add, point: Point, times: int) -> Point:  # type: ignore[no-untyped-def]
    """``times`` times a point, for ``times`` above 0."""
    if times == 1:
        return point
    rest = multiple(add, add(point, point), times // 2)
    return add(rest, point) if times % 2 else rest


def sixth_root(value: int, p: int) -> int:
    """Some v with v^6 = value mod p, for p = 7 mod 12. Raises ``ValueError`` if there is none."""
    square = pow(value, (p + 1) // 4, p)
    for candidate in (square, p - square):
        rest = p - 1
        while rest % 3 == 0:
            rest //= 3
        root = pow(candidate, pow(3, -1, rest), p)
        if pow(root, 6, p) == value % p:
            return root
    raise ValueError(f"{value % p:#x} has no sixth root modulo {p:#x}")


@cache
def isomorphism(curve: Weierstrass) -> tuple[int, int]:
    """v of the module docstring, and 3b of the isomorphic curve: 1, or -1 if 1 is impossible.

    Raises ``ValueError`` for a curve with a != 0, or with 3b neither a sixth power nor minus one.
    """
    if curve.a:
        raise ValueError(f"{curve.name}: the comb is for curves with a = 0, not {curve.a:#x}")
    inverse = pow(3 * curve.b, -1, curve.p)
    try:
        return sixth_root(inverse, curve.p), 1
    except ValueError:
        return sixth_root(-inverse, curve.p), -1


def _odd_multiples(add, base, count: int):  # type: ignore[no-untyped-def]
    twice = add(base, base)
    multiples = [base]
    while len(multiples) < count:
        multiples.append(add(multiples[-1], twice))
    return multiples


def _points(add, base: Point, comb: Comb) -> list[Point]:  # type: ignore[no-untyped-def]
    points = []
    for _ in range(comb.windows):
        points += _odd_multiples(add, base, comb.entries)
        for _ in range(comb.window):
            base = add(base, base)
    return points


@cache
def edwards_table(curve: Edwards, window: int) -> list[tuple[int, int, int]]:
    """Entries (y + x, y - x, 2dxy), ``entries`` per window, windows in order."""
    comb = Comb(curve.order, window)
    points = _points(lambda p, q: edwards_add(curve, p, q), curve.base, comb)
    return [
        ((y + x) % curve.p, (y - x) % curve.p, 2 * curve.d * x * y % curve.p) for x, y in points
    ]


@cache
def weierstrass_table(curve: Weierstrass, window: int) -> list[tuple[int, int, int]]:
    """Entries (v^2 x, v^3 y, 0), ``entries`` per window, windows in order."""
    comb = Comb(curve.order, window)
    v, _ = isomorphism(curve)
    points = _points(lambda p, q: weierstrass_add(curve, p, q), curve.base, comb)
    return [(v**2 * x % curve.p, v**3 * y % curve.p, 0) for x, y in points]
