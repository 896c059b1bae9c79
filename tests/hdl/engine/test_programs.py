"""The parts that programs are made of: Montgomery sums and comb sums."""

from __future__ import annotations

from types import SimpleNamespace

import coincurve
import nacl.bindings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio.hdl.engine.assembler import SHARED, Assembler, ConstantPool, Inbox
from intaglio.hdl.engine.comb import isomorphism
from intaglio.hdl.engine.isa import Curve
from intaglio.hdl.engine.programs import Image, ecdsa, ed25519
from intaglio.hdl.engine.programs.scalars import Order, R
from intaglio.params import ED25519, SECP256K1
from intaglio.sim.model.engine import Context, EngineModel

PRIMES = {Curve.ED25519: ED25519.p, Curve.SECP256K1: SECP256K1.p}
ORDERS = {Curve.ED25519: ED25519.order, Curve.SECP256K1: SECP256K1.order}
COMB_SUM = {Curve.ED25519: ed25519.comb_sum, Curve.SECP256K1: ecdsa.comb_sum}
CURVES = list(Curve)


def compute(
    asm: Assembler, context: Context, window: int = 4, names: tuple[str, ...] = ("x",)
) -> list[int]:
    """Shared registers after the instructions of ``asm``."""
    image = Image(window)
    code = asm.instructions()
    rom = SimpleNamespace(constants=asm.constants.words, tables=image.tables, combs=image.combs)
    model = EngineModel(rom)  # type: ignore[arg-type]
    for instruction in code:
        model.step(instruction, context)
    return [context.registers[SHARED[name]] for name in names]


@settings(max_examples=50, deadline=None)
@given(
    x=st.integers(0, 2**256 - 1),
    y=st.integers(0, 2**256 - 1),
    plus=st.integers(0, 2**255),
    curve=st.sampled_from(CURVES),
)
def test_sum_of_products(x: int, y: int, plus: int, curve: Curve) -> None:
    m = ORDERS[curve]
    asm = Assembler(curve, ConstantPool())
    order = Order(asm, m)
    order.sum(
        (Inbox(0), order.const(7)),
        (Inbox(1), order.const(2**256)),
        plus=order.raw(plus * R),
        name="x",
        canonical=True,
    )
    assert len(asm.lines) == 4
    assert compute(asm, Context(inbox=[x, y])) == [(7 * x + y * 2**256 + plus) % m]


@pytest.mark.parametrize("curve", CURVES)
def test_reduce_once(curve: Curve) -> None:
    m = ORDERS[curve]
    for value in (0, 1, m - 1, m, m + 1, 2 * m - 1):
        asm = Assembler(curve, ConstantPool())
        Order(asm, m).reduce_once(Inbox(0), "x")
        assert compute(asm, Context(inbox=[value, 0])) == [value % m]


@pytest.mark.parametrize("window", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("curve", CURVES)
def test_comb_sum_is_the_point(curve: Curve, window: int) -> None:
    """Projective results against the sum of the table's own points, edge scalars included."""
    image = Image(window)
    comb, m, p = image.combs[curve], ORDERS[curve], PRIMES[curve]
    for scalar in (1, 2, 3, m - 1, m - 2, m // 2, 1 << 251, 0x1234567 << 200):
        asm = Assembler(curve, ConstantPool())
        COMB_SUM[curve](asm, comb)
        context = Context(digits=comb.recode(scalar))
        px, py = compute(asm, context, window, ("x", "y"))
        assert context.outbox[3] < p
        inverse = pow(context.outbox[3], -1, p)
        assert (px * inverse % p, py * inverse % p) == expected_point(curve, scalar)


@pytest.mark.parametrize("window", [4, 5, 6])
def test_ecdsa_comb_may_end_with_a_doubling(window: int) -> None:
    """Scalars whose last digit has the very point that the others add up to."""
    image, m, p = Image(window), ORDERS[Curve.SECP256K1], PRIMES[Curve.SECP256K1]
    comb = image.combs[Curve.SECP256K1]
    last, doubled = comb.windows - 1, 0
    weight = 1 << window * last
    for digit in range(1 - (1 << window), 1 << window, 2):
        point = digit * weight % m
        for below in (point, point - m):
            u = comb.recode(2 * point % m)
            selected = (u >> window * last) * 2 - (1 << window) + 1
            if below % 2 and abs(below) < weight and selected == digit:
                doubled += 1
                asm = Assembler(Curve.SECP256K1, ConstantPool())
                ecdsa.comb_sum(asm, comb)
                context = Context(digits=u)
                x, y = compute(asm, context, window, ("x", "y"))
                z = pow(context.outbox[3], -1, p)
                expected = expected_point(Curve.SECP256K1, 2 * point % m)
                assert (x * z % p, y * z % p) == expected
    assert doubled


def expected_point(curve: Curve, scalar: int) -> tuple[int, int]:
    """The base point times ``scalar``, by the libraries, on the curve the engine computes on."""
    if curve == Curve.SECP256K1:
        x, y = coincurve.PrivateKey(scalar.to_bytes(32, "big")).public_key.point()
        (v, _), p = isomorphism(SECP256K1), SECP256K1.p
        return v**2 * x % p, v**3 * y % p
    encoded = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp(scalar.to_bytes(32, "little"))
    word = int.from_bytes(encoded, "little")
    y, odd = word & (2**255 - 1), word >> 255
    p = ED25519.p
    square = (y * y - 1) * pow(ED25519.d * y * y + 1, -1, p) % p
    x = pow(square, (p + 3) // 8, p)
    if x * x % p != square:
        x = x * pow(2, (p - 1) // 4, p) % p
    return (p - x if x & 1 != odd else x), y
