"""Comb digits and tables against plain point multiplication by double-and-add."""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise

import coincurve
import nacl.bindings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio.hdl.engine import comb as combs
from intaglio.hdl.engine.comb import Comb, edwards_add, multiple
from intaglio.params import ED25519, SECP256K1

WINDOWS = [2, 3, 4, 5, 6]
CURVES = [ED25519, SECP256K1]
ORDERS = [curve.order for curve in CURVES]


def edge_scalars(order: int) -> list[int]:
    values = {0, 1, 2, 3, order - 1, order - 2, order // 2, order // 2 + 1}
    values |= {1 << bit for bit in (4, 16, 32, 64, 128, 192, 251, 252)}
    values |= {(1 << bit) - 1 for bit in (4, 16, 32, 64, 128, 192, 252)}
    return sorted(value for value in values if value < order)


def digits(comb: Comb, scalar: int) -> list[int]:
    """Signed odd digits as the table is addressed."""
    u = comb.recode(scalar)
    chosen = [comb.select(u, window) for window in range(comb.windows)]
    assert all(0 <= index < comb.entries for _, index in chosen)
    return [(-1 if negative else 1) * (2 * index + 1) for negative, index in chosen]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("order", ORDERS)
def test_edge_scalars_are_the_sum_of_their_digits(order: int, window: int) -> None:
    comb = Comb(order, window)
    for scalar in edge_scalars(order):
        total = sum(d << (window * i) for i, d in enumerate(digits(comb, scalar)))
        assert total % order == scalar


@given(
    scalar=st.integers(0, 2**256),
    window=st.sampled_from(WINDOWS),
    order=st.sampled_from(ORDERS),
)
def test_any_scalar_is_the_sum_of_its_digits(scalar: int, window: int, order: int) -> None:
    comb = Comb(order, window)
    total = sum(d << (window * i) for i, d in enumerate(digits(comb, scalar)))
    assert total % order == scalar % order
    assert comb.recode(scalar) < 1 << (window * comb.windows)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("order", [3, 5, 101, 10243])
def test_every_scalar_of_a_small_order(order: int, window: int) -> None:
    comb = Comb(order, window)
    for scalar in range(order):
        total = sum(d << (window * i) for i, d in enumerate(digits(comb, scalar)))
        assert total % order == scalar


def edwards_multiply(scalar: int) -> combs.Point:
    """Double and add, in affine coordinates."""
    total, addend = (0, 1), ED25519.base
    while scalar:
        if scalar & 1:
            total = combs.edwards_add(ED25519, total, addend)
        addend = combs.edwards_add(ED25519, addend, addend)
        scalar >>= 1
    return total


def weierstrass_multiply(scalar: int) -> combs.Point | None:
    """Double and add, in affine coordinates."""
    total, addend = None, SECP256K1.base
    while scalar:
        if scalar & 1:
            total = combs.weierstrass_add(SECP256K1, total, addend)
        addend = combs.weierstrass_add(SECP256K1, addend, addend)
        scalar >>= 1
    return total


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("scalar", [1, 2, 12345, ED25519.order - 1, ED25519.order // 2])
def test_edwards_table_adds_up_to_the_point(scalar: int, window: int) -> None:
    comb = Comb(ED25519.order, window)
    table = combs.edwards_table(ED25519, window)
    assert len(table) == comb.windows * comb.entries
    p, total = ED25519.p, (0, 1)
    u = comb.recode(scalar)
    for position in range(comb.windows):
        negative, index = comb.select(u, position)
        plus, minus, t = table[position * comb.entries + index]
        x, y = (plus - minus) * pow(2, -1, p) % p, (plus + minus) * pow(2, -1, p) % p
        assert t == 2 * ED25519.d * x * y % p
        total = combs.edwards_add(ED25519, total, (-x % p if negative else x, y))
    assert total == edwards_multiply(scalar)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("scalar", [1, 2, 12345, SECP256K1.order - 1, SECP256K1.order // 2])
def test_weierstrass_table_adds_up_to_the_point(scalar: int, window: int) -> None:
    comb = Comb(SECP256K1.order, window)
    table = combs.weierstrass_table(SECP256K1, window)
    assert len(table) == comb.windows * comb.entries
    p, (v, _) = SECP256K1.p, combs.isomorphism(SECP256K1)
    total: combs.Point | None = None
    u = comb.recode(scalar)
    for position in range(comb.windows):
        negative, index = comb.select(u, position)
        x, y, unused = table[position * comb.entries + index]
        assert unused == 0
        x, y = x * pow(v, -2, p) % p, y * pow(v, -3, p) % p
        total = combs.weierstrass_add(SECP256K1, total, (x, -y % p if negative else y))
    assert total == weierstrass_multiply(scalar)


@settings(max_examples=5, deadline=None)
@given(st.integers(1, SECP256K1.order - 1))
def test_double_and_add_equals_libsecp256k1(scalar: int) -> None:
    point = coincurve.PrivateKey(scalar.to_bytes(32, "big")).public_key.point()
    assert weierstrass_multiply(scalar) == point


@settings(max_examples=5, deadline=None)
@given(st.integers(1, ED25519.order - 1))
def test_double_and_add_equals_libsodium(scalar: int) -> None:
    encoded = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp(scalar.to_bytes(32, "little"))
    x, y = edwards_multiply(scalar)
    assert (y | (x & 1) << 255).to_bytes(32, "little") == encoded


def test_the_isomorphic_curve_has_3b_equal_1() -> None:
    p, (v, three_b) = SECP256K1.p, combs.isomorphism(SECP256K1)
    third = pow(3, -1, p)
    assert three_b == 1
    assert 3 * SECP256K1.b * pow(v, 6, p) % p == 1
    for window in (2, 4):
        for x, y, _ in combs.weierstrass_table(SECP256K1, window):
            assert (y * y - x**3 - third) % p == 0


@pytest.mark.parametrize("p", [7, 31, 43, 103, SECP256K1.p])
def test_sixth_roots(p: int) -> None:
    for value in (1, 2**6 % p, 3**6 % p, 5**6 % p):
        assert pow(combs.sixth_root(value, p), 6, p) == value


def test_no_sixth_root_of_a_non_square() -> None:
    with pytest.raises(ValueError, match="0x3 has no sixth root modulo 0x7"):
        combs.sixth_root(3, 7)


def test_entries_of_a_window_are_the_odd_multiples() -> None:
    comb = Comb(SECP256K1.order, 3)
    table = combs.weierstrass_table(SECP256K1, 3)
    (v, _), p = combs.isomorphism(SECP256K1), SECP256K1.p
    points = [(x * pow(v, -2, p) % p, y * pow(v, -3, p) % p) for x, y, _ in table[: comb.entries]]
    assert points == [weierstrass_multiply(k) for k in (1, 3, 5, 7)]
    twice = weierstrass_multiply(2)
    assert all(combs.weierstrass_add(SECP256K1, a, twice) == b for a, b in pairwise(points))


@pytest.mark.parametrize("window", range(4, 9))
@pytest.mark.parametrize("order", [ED25519.order, SECP256K1.order])
def test_no_second_digit_is_the_first(window: int, order: int) -> None:
    """By what may be added to a digit, with a carry or without; and tried."""
    comb = Comb(order, window)
    bits, places = comb.window * comb.windows, range(comb.windows)
    again, base = comb.again, 1 << window
    assert 0 < again.shift < order
    assert (again.lift + 1) * order <= 1 << bits
    for added in (again.shift + again.lift * order, again.shift + (again.lift - 1) * order):
        for i in places:
            for carry in (0, 1):
                assert ((added % (1 << bits) >> window * i) + carry) % base
    rng = random.Random(window)
    edges = [0, 1, 2, order - 1, order - 2, order // 2]
    for scalar in edges + [rng.randrange(order) for _ in range(300)]:
        first, second = comb.recode(scalar), comb.recode_again(scalar)
        assert 0 <= second < 1 << bits
        for i in places:
            assert (first ^ second) >> window * i & (base - 1)
        total = sum(_digit(comb, second, i) << window * i for i in places)
        assert (total - scalar - 2 * again.shift) % order == 0


def _digit(comb: Comb, u: int, window: int) -> int:
    negative, index = comb.select(u, window)
    return -(2 * index + 1) if negative else 2 * index + 1


def test_an_order_without_second_digits_is_refused() -> None:
    with pytest.raises(ValueError, match="no second digits of 2 bits"):
        _ = Comb(SECP256K1.order, 2).again


@pytest.mark.parametrize("times", [1, 2, 3, 10, ED25519.order - 1])
def test_multiples(times: int) -> None:
    x, y = multiple(partial(edwards_add, ED25519), ED25519.base, times)
    if times == ED25519.order - 1:
        assert (ED25519.p - x, y) == ED25519.base
    else:
        point = ED25519.base
        for _ in range(times - 1):
            point = edwards_add(ED25519, point, ED25519.base)
        assert (x, y) == point
