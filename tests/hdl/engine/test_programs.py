"""The parts that programs are made of: inversions, powers, Montgomery sums, comb sums."""

from __future__ import annotations

from types import SimpleNamespace

import coincurve
import nacl.bindings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio.hdl.engine.assembler import SHARED, Assembler, Const, ConstantPool, Inbox, Value
from intaglio.hdl.engine.comb import isomorphism
from intaglio.hdl.engine.isa import A, B, Curve, Instruction
from intaglio.hdl.engine.programs import Image, ecdsa, ed25519
from intaglio.hdl.engine.programs.scalars import Order, R
from intaglio.params import ED25519, SECP256K1
from intaglio.sim.model.engine import Context, EngineModel

PRIMES = {Curve.ED25519: ED25519.p, Curve.SECP256K1: SECP256K1.p}
ORDERS = {Curve.ED25519: ED25519.order, Curve.SECP256K1: SECP256K1.order}
INVERT = {Curve.ED25519: ed25519.invert, Curve.SECP256K1: ecdsa.invert}
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


def exponent_of(code: list[Instruction], *, product: int) -> int:
    """Exponent of the first register's value in the result: products add, squarings double.

    ``product`` instructions make a product; the last of them writes.
    """
    exponents: dict[int, int] = {code[0].p0: 1}
    result = 0
    for at in range(0, len(code), product):
        first, last = code[at], code[at + product - 1]
        assert first.a == A.P0
        assert first.b == B.P2
        result = exponents[first.p0] + exponents[first.p2]
        if last.write:
            exponents[last.rd] = result
    return result


@pytest.mark.parametrize("curve", CURVES)
def test_inversion_is_the_power_p_minus_2(curve: Curve) -> None:
    asm = Assembler(curve, ConstantPool())
    INVERT[curve](asm, Value("x"))
    assert exponent_of(asm.instructions(), product=1) == PRIMES[curve] - 2


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("exponent", [2**16 + 1, 2**40 - 3, None], ids=str)
def test_power_has_its_exponent(curve: Curve, exponent: int | None) -> None:
    asm, wanted = Assembler(curve, ConstantPool()), exponent or ORDERS[curve] - 2
    Order(asm, ORDERS[curve]).power(Value("x"), wanted)
    assert exponent_of(asm.instructions(), product=3) == wanted


@settings(max_examples=15, deadline=None)
@given(x=st.integers(1, 2**255), curve=st.sampled_from(CURVES))
def test_inverse_times_value_is_one(x: int, curve: Curve) -> None:
    asm = Assembler(curve, ConstantPool())
    value = asm.mul(Inbox(0), Const(1))
    asm.mul(INVERT[curve](asm, value), value, "x", canonical=True)
    assert compute(asm, Context(inbox=[x % PRIMES[curve], 0])) == [1]


@settings(max_examples=10, deadline=None)
@given(x=st.integers(1, 2**255), curve=st.sampled_from(CURVES))
def test_power_inverts_modulo_the_order(x: int, curve: Curve) -> None:
    m = ORDERS[curve]
    asm = Assembler(curve, ConstantPool())
    order = Order(asm, m)
    value = order.mul(Inbox(0), order.raw(R * R))
    # value is xR; its power, R/x; their product by redc, R; redc once more, 1
    one = order.mul(order.power(value, m - 2), value)
    order.mul(one, Const(1), "x", canonical=True)
    assert compute(asm, Context(inbox=[x % m or 1, 0])) == [1]


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
        x, y, z = COMB_SUM[curve](asm, comb)
        for value, name in ((x, "x"), (y, "y"), (z, "nonce")):
            asm.mul(value, Const(1), name, canonical=True)
        context = Context(digits=comb.recode(scalar))
        px, py, pz = compute(asm, context, window, ("x", "y", "nonce"))
        inverse = pow(pz, -1, p)
        assert (px * inverse % p, py * inverse % p) == expected_point(curve, scalar)


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
