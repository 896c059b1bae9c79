"""ECDSA in plain affine integers, for any order: what the tests at a small order compare with."""

from __future__ import annotations

from typing import NamedTuple

from intaglio.params import SECP256K1, Weierstrass
from intaglio.sim.model.rfc6979 import nonce

Point = tuple[int, int] | None
"""Affine coordinates; ``None`` is the point at infinity."""

TWIST_B = SECP256K1.p - 7
TWIST_COFACTORS = (3, 3, 13, 13, 3319, 22639)
"""y^2 = x^3 - 7, the quadratic twist of secp256k1, has their product times the order of
:data:`TWIST_220` points: 2p + 2 less those of secp256k1."""

TWIST_220 = Weierstrass(
    name="220-bit subgroup of secp256k1's twist",
    p=SECP256K1.p,
    a=0,
    b=TWIST_B,
    order=1013176677300131846900870239606035638738100997248092069256697437031,
    base=(
        0xB0B5A20C661C42DFAA790E63723B50680449E1F67823267AE02324198255C9D4,
        0xE7D4E8A3F8A0ECF80EC568EC36608334DA6E11168DF4987601E4E1B87278336,
    ),
)
"""40 % of RFC 6979's candidates are refused, and R.x is above the order all but always."""

TWIST_12 = Weierstrass(
    name="12-bit subgroup of secp256k1's twist",
    p=SECP256K1.p,
    a=0,
    b=TWIST_B,
    order=3319,
    base=(
        0x5281B7BDA7CE959A67C8E01F279671DABD856955CC97B1F2BF18B07E2097B95A,
        0x953F35C5A59AC0D9065DA77387C4C82BA317C0CC87E9912105E76DD9C29E1850,
    ),
)
"""Small enough to try every nonce; 19 % of the candidates are refused."""


class Signed(NamedTuple):
    """A signature with low s, its recovery bits, and the candidates refused for its nonce."""

    r: int
    s: int
    recid: int
    """Bit 0: y odd, the other way round if s was negated; bit 1: R.x >= order."""
    refused: int


def add(curve: Weierstrass, p: Point, q: Point) -> Point:
    """Affine addition (SEC 1, section 2.2.1), for a = 0."""
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0]:
        if (p[1] + q[1]) % curve.p == 0:
            return None
        slope = 3 * p[0] ** 2 * pow(2 * p[1], -1, curve.p)
    else:
        slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, curve.p)
    x = (slope**2 - p[0] - q[0]) % curve.p
    return x, (slope * (p[0] - x) - p[1]) % curve.p


def multiply(curve: Weierstrass, scalar: int, point: Point) -> Point:
    """``scalar`` times ``point``, by doubling and adding."""
    result: Point = None
    while scalar:
        if scalar & 1:
            result = add(curve, result, point)
        point = add(curve, point, point)
        scalar >>= 1
    return result


def leftmost_bits(curve: Weierstrass, digest: int) -> int:
    """z of a 256-bit digest: as many leftmost bits as the order has (SEC 1, section 4.1.3)."""
    return digest >> (256 - curve.order.bit_length())


def sign_with(curve: Weierstrass, d: int, z: int, k: int) -> Signed | None:
    """Signature with the nonce ``k``, or ``None`` where r = 0 or s = 0 (SEC 1, section 4.1.3)."""
    n = curve.order
    point = multiply(curve, k, curve.base)
    if point is None:
        return None
    r = point[0] % n
    s = pow(k, -1, n) * (z + r * d) % n
    if not r or not s:
        return None
    high = s > n // 2
    recid = (point[1] & 1) ^ high | (point[0] >= n) << 1
    return Signed(r, n - s if high else s, recid, 0)


def sign(curve: Weierstrass, d: int, digest: int) -> Signed | None:
    """Signature of a 256-bit digest with the nonce of RFC 6979."""
    k, refused = nonce(curve.order, d, digest)
    signed = sign_with(curve, d, leftmost_bits(curve, digest), k)
    return signed and signed._replace(refused=refused)


def verify(curve: Weierstrass, public: Point, z: int, r: int, s: int) -> bool:
    """Whether (r, s) signs ``z`` (SEC 1, section 4.1.4)."""
    n = curve.order
    if not (0 < r < n and 0 < s < n):
        return False
    w = pow(s, -1, n)
    left = multiply(curve, z * w % n, curve.base)
    point = add(curve, left, multiply(curve, r * w % n, public))
    return point is not None and point[0] % n == r
