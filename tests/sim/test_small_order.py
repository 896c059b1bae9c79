"""ECDSA's programs at orders where nonces are refused and R.x overflows, on the engine's model."""

from __future__ import annotations

import math
import random
from functools import cache

import coincurve
import pytest

from intaglio.hdl.engine.assembler import SHARED
from intaglio.hdl.engine.comb import isomorphism
from intaglio.hdl.engine.programs import Image, Program
from intaglio.params import SECP256K1, Weierstrass
from intaglio.sim.model import ecdsa
from intaglio.sim.model.ecdsa import TWIST_12, TWIST_220
from intaglio.sim.model.engine import Context, EngineModel
from intaglio.sim.model.rfc6979 import nonce

X = SHARED["x"]
"""Register that holds R.x between the point and the end of a signature."""
CURVES = {"12 bits": TWIST_12, "220 bits": TWIST_220, "secp256k1": SECP256K1}
every_curve = pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
small_orders = pytest.mark.parametrize("curve", [TWIST_12, TWIST_220], ids=["12", "220"])


@cache
def engine(curve: Weierstrass) -> EngineModel:
    return EngineModel(Image(4, curve))


def load(curve: Weierstrass, d: int) -> Context:
    context = Context(key=[0, 0, 0, d])
    engine(curve).run(Program.ECDSA_SCALAR_D, context)
    if not context.fault:
        point(curve, context)
    return context


def point(curve: Weierstrass, context: Context) -> None:
    """The programs and the inversion that turn digits into a point."""
    engine(curve).run(Program.ECDSA_COMB, context)
    engine(curve).invert(context, curve.p, source=3, target=2)
    engine(curve).run(Program.ECDSA_POINT, context)


def run(curve: Weierstrass, d: int, z: int, k: int, x: int | None = None) -> Context:
    """A signature with the nonce ``k``; with ``x``, its end finds this R.x, not the true one."""
    context = Context(key=load(curve, d).key, inbox=[z, k, 0, 0])
    engine(curve).run(Program.ECDSA_SCALAR_K, context)
    engine(curve).invert(context, curve.order, source=2, target=3)
    point(curve, context)
    if x is not None:
        context.registers[X] = x
    engine(curve).run(Program.ECDSA_FINISH, context)
    return context


def edge_digests(curve: Weierstrass) -> list[int]:
    n, shift = curve.order, 256 - curve.order.bit_length()
    small = [0, 1, n - 1, n, n + 1, 2 ** n.bit_length() - 1]
    return [min(z << shift | low, 2**256 - 1) for z in small for low in (0, (1 << shift) - 1)]


@pytest.mark.parametrize("curve", [TWIST_12, TWIST_220], ids=["12", "220"])
def test_group(curve: Weierstrass) -> None:
    x, y = curve.base
    assert (y * y - x**3 - curve.b) % curve.p == 0
    assert ecdsa.multiply(curve, curve.order, curve.base) is None
    twist_points = 2 * curve.p + 2 - SECP256K1.order
    assert math.prod(ecdsa.TWIST_COFACTORS) * TWIST_220.order == twist_points
    assert all(pow(a, curve.order - 1, curve.order) == 1 for a in (2, 3, 5, 7, 11))
    v, three_b = isomorphism(curve)
    assert (3 * curve.b * pow(v, 6, curve.p) - three_b) % curve.p == 0
    assert three_b == -1


def test_curves_out_of_reach() -> None:
    with pytest.raises(ValueError, match="sixth root"):
        isomorphism(Weierstrass("other", SECP256K1.p, 0, 1, 3, (0, 0)))
    with pytest.raises(ValueError, match="a = 0"):
        isomorphism(Weierstrass("other", SECP256K1.p, 1, 7, 3, (0, 0)))


def test_plain_integers_agree_with_libsecp256k1() -> None:
    rng = random.Random(1)
    for _ in range(5):
        d, digest = rng.randrange(1, SECP256K1.order), rng.getrandbits(256)
        signed = ecdsa.sign(SECP256K1, d, digest)
        assert signed is not None
        raw = coincurve.PrivateKey.from_int(d).sign_recoverable(
            digest.to_bytes(32, "big"), hasher=None
        )
        assert raw == signed.r.to_bytes(32, "big") + signed.s.to_bytes(32, "big") + bytes(
            [signed.recid]
        )


@small_orders
@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_signatures(curve: Weierstrass, count: int) -> None:
    """Retries of step h, truncated digests, overflow of R.x, both signs of s."""
    rng = random.Random(f"{curve.name} {count}")
    n = curve.order
    keys = [1, 2, n - 1, n // 2, *(rng.randrange(1, n) for _ in range(4))]
    digests = [*edge_digests(curve), *(rng.getrandbits(256) for _ in range(count))]
    refused, recids = 0, set()
    for digest in digests:
        d = rng.choice(keys)
        expected = ecdsa.sign(curve, d, digest)
        z, k = ecdsa.leftmost_bits(curve, digest), nonce(n, d, digest)[0]
        context = run(curve, d, z, k)
        if expected is None:
            assert context.fault
            continue
        assert not context.fault
        assert context.outbox[2:] == [expected.r, expected.s]
        assert context.recid == expected.recid
        public = ecdsa.multiply(curve, d, curve.base)
        assert ecdsa.verify(curve, public, z, *context.outbox[2:])
        refused += expected.refused
        recids.add(expected.recid)
    assert refused > 3
    assert recids == {2, 3}


@small_orders
def test_public_keys(curve: Weierstrass) -> None:
    rng = random.Random(curve.name)
    n = curve.order
    for d in (1, 2, 3, n // 2, n - 2, n - 1, *(rng.randrange(1, n) for _ in range(5))):
        context = load(curve, d)
        assert not context.fault
        assert tuple(context.outbox[:2]) == ecdsa.multiply(curve, d, curve.base)
    for d in (0, n, n + 1, 2 * n - 1):
        assert load(curve, d).fault


@pytest.mark.slow
def test_every_nonce() -> None:
    """Every k of the smallest order, with a key and a digest of its own."""
    rng = random.Random(12)
    n = TWIST_12.order
    for k in range(1, n):
        d, z = rng.randrange(1, n), rng.randrange(1 << 12)
        expected = ecdsa.sign_with(TWIST_12, d, z, k)
        context = run(TWIST_12, d, z, k)
        assert context.fault == (expected is None)
        if expected is not None:
            assert (*context.outbox[2:], context.recid) == expected[:3]


@every_curve
@pytest.mark.parametrize("s", [0, 1, 2, -2, -1])
def test_s_of_every_kind(curve: Weierstrass, s: int) -> None:
    """z chosen so that s is 0 (a fault), least, greatest, or at the middle, where it is negated."""
    n = curve.order
    rng = random.Random(f"{curve.name} {s}")
    d, k = rng.randrange(1, n), rng.randrange(1, n)
    point = ecdsa.multiply(curve, k, curve.base)
    assert point is not None
    for wanted in {s % n, (s + (n + 1) // 2) % n if s else 0}:
        z = (wanted * k - point[0] * d) % n
        context = run(curve, d, z, k)
        assert context.fault == (wanted == 0)
        if wanted:
            expected = ecdsa.sign_with(curve, d, z, k)
            assert expected is not None
            assert expected.s == min(wanted, n - wanted)
            assert (*context.outbox[2:], context.recid) == expected[:3]


@every_curve
def test_x_of_every_kind(curve: Weierstrass) -> None:
    """R.x forced below, at and above the order: r is R.x mod n, its overflow is recovery bit 1."""
    n, p = curve.order, curve.p
    rng = random.Random(curve.name)
    d, k, z = (rng.randrange(1, n) for _ in range(3))
    least = [1, 2, n - 1, n, n + 1, 2 * n - 1, 2 * n, p // n * n, p // n * n + 1, p - 1]
    for x in {x for x in [0, *least, rng.randrange(p), rng.randrange(n)] if x < p}:
        context = run(curve, d, z, k, x)
        r = x % n
        s = pow(k, -1, n) * (z + r * d) % n
        assert context.fault == (r == 0 or s == 0)
        assert context.over == (x >= n)
        if r and s:
            assert context.outbox[2:] == [r, min(s, n - s)]
            assert context.neg == (s > n // 2)


@every_curve
@pytest.mark.parametrize("multiple", [0, 1])
def test_nonce_out_of_range(curve: Weierstrass, multiple: int) -> None:
    """A nonce of 0 mod n is never signed with, whatever brought it there."""
    assert run(curve, 5, 7, multiple * curve.order).fault
