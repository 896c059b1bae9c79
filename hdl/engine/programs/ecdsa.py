"""ECDSA over a curve y^2 = x^3 + b (SEC 1, section 4.1.3) as engine programs.

Inbox 0 holds z, as many leftmost bits of the digest as n has, read big-endian; inbox 1 the nonce k
in [1, n - 1]; inbox 2 and 3 the inverses of Z and k. Outbox 0..3 receive x, y of the point, r and
the low s. Key word 1 is ``dR^2 mod n``, key word 3 is d as it was loaded.
"""

from __future__ import annotations

from functools import partial

from intaglio.params import Weierstrass

from ..assembler import ONE, Assembler, Const, Inbox, Key, Operand, Outbox, Value
from ..comb import Comb, isomorphism, multiple, weierstrass_add
from ..isa import A, Addend, B, Check, Dest, Out
from .ed25519 import check_digits, end_agreement, recode
from .scalars import Order, R

KEY_D, KEY_RAW = 1, 3
OUT_X, OUT_Y, OUT_R, OUT_S = 0, 1, 2, 3
OUT_K, OUT_Z = 2, 3
IN_Z_INVERSE, IN_K_INVERSE = 2, 3


def scalar_d(asm: Assembler, curve: Weierstrass, comb: Comb) -> None:
    """Key word and comb digits of the secret d; fault unless 0 < d < n."""
    order, d = Order(asm, curve.order), Key(KEY_RAW)
    reduced = order.reduce_once(d, check=Check.NONZERO)
    order.check_equal(d, reduced)
    order.mul(reduced, Const(R * R * R % curve.order), canonical=True, dest=Dest.KEY, index=KEY_D)
    recode(order, comb, reduced)


def scalar_k(asm: Assembler, curve: Weierstrass, comb: Comb) -> None:
    """Comb digits of the nonce k; k to the outbox, for the inverter."""
    recode(Order(asm, curve.order), comb, Inbox(1))
    asm.op(p0=Inbox(1), p2=ONE, out=Out.LOW, dest=Dest.OUTBOX, index=OUT_K)


def scalar_d_again(asm: Assembler, curve: Weierstrass, comb: Comb) -> None:
    """The other comb digits of the secret d."""
    order = Order(asm, curve.order)
    recode(order, comb, order.reduce_once(Key(KEY_RAW)), again=True)


def scalar_k_again(asm: Assembler, curve: Weierstrass, comb: Comb) -> None:
    """The other comb digits of the nonce k."""
    recode(Order(asm, curve.order), comb, Inbox(1), again=True)


def point(asm: Assembler, curve: Weierstrass) -> None:
    """x and y, on the curve, to outbox 0 and 1; ``odd`` flag from y."""
    v, _ = isomorphism(curve)
    x_factor = asm.mul(Inbox(IN_Z_INVERSE), Const(pow(v, -2, curve.p)))
    y_factor = asm.mul(Inbox(IN_Z_INVERSE), Const(pow(v, -3, curve.p)))
    x = asm.mul(Value("x"), x_factor, "x", canonical=True, dest=Dest.OUTBOX, index=OUT_X)
    y = asm.op(
        "y",
        p0=Value("y"),
        p2=y_factor,
        canonical=True,
        dest=Dest.OUTBOX,
        index=OUT_Y,
        check=Check.PARITY,
    )
    if not asm.checked:
        return
    yy = asm.mul(y, y, p3=Const(curve.b), addend=Addend.MINUS_P3)
    xx = asm.mul(x, x)
    # x^3 - (y^2 - b) = 0
    asm.mul(x, xx, p3=yy, addend=Addend.MINUS_P3, canonical=True, check=Check.ZERO)
    check_digits(Order(asm, curve.order))


def comb_sum(asm: Assembler, comb: Comb, three_b: int = 1) -> None:
    """sum d_i 2^(w i) G on the curve with 3b = 1 or -1 (``three_b``). Z to the outbox.

    2 products, then 11 an addition.

    Complete mixed addition of Renes, Costello, Batina (2016), algorithm 8; its products by 3b are
    signs.
    """
    plus, minus = (A.ADD, A.SUB) if three_b == 1 else (A.SUB, A.ADD)
    add, subtract = Addend.PLUS_P3, Addend.MINUS_P3
    if three_b == -1:
        add, subtract = subtract, add
    x: Value = asm.op(p0=ONE, b=B.TABLE_X)
    y: Value = asm.op(p0=ONE, b=B.TABLE_Y)
    z: Operand = ONE
    for window in range(1, comb.windows):
        t0 = asm.op(p0=x, b=B.TABLE_X, window=window)
        t1 = asm.op(p0=y, b=B.TABLE_Y, window=window)
        t3 = asm.op(
            p0=x,
            p1=y,
            a=A.ADD,
            b=B.TABLE_XY,
            p2=t0,
            p3=t1,
            addend=Addend.MINUS_P2_P3,
            window=window,
        )
        t4 = asm.op(p0=z, b=B.TABLE_Y, p3=y, addend=Addend.PLUS_P3, window=window)
        y3 = asm.op(p0=z, b=B.TABLE_X, p3=x, addend=Addend.PLUS_P3, window=window)
        if not isinstance(z, Value):
            z = asm.op(p0=ONE, p2=ONE)
        u = asm.op(p0=t4, p2=y3)
        v = asm.op(p0=t0, double0=True, p1=t0, a=A.ADD, p2=y3)
        w = asm.op(p0=t0, double0=True, p1=t0, a=A.ADD, p2=t3)
        last = window == comb.windows - 1
        x = asm.op("x" if last else None, p0=t1, p1=z, a=minus, p2=t3, p3=u, addend=subtract)
        y = asm.op("y" if last else None, p0=t1, p1=z, a=A.SUB, b=B.SUM01, p3=v, addend=add)
        z = asm.op(
            p0=t1,
            p1=z,
            a=plus,
            p2=t4,
            p3=w,
            addend=Addend.PLUS_P3,
            canonical=last,
            dest=Dest.OUTBOX if last else Dest.NONE,
            index=OUT_Z,
        )


def agree(asm: Assembler, curve: Weierstrass, comb: Comb) -> None:
    """Fault unless the comb of the other digits is the point in the outbox and C = 2 shift G.

    All on the curve of the comb. (X : Y : Z) is that sum by the formulas of :func:`comb_sum`, with
    3b = s as ``three_b`` and the sign of X and Y, or that of Z, changed; X' Z = X Z', Y' Z = Y Z'.
    What both additions need is computed from the outbox twice: registers are few.
    """
    p, (v, three_b) = curve.p, isomorphism(curve)
    c = multiple(partial(weierstrass_add, curve), curve.base, 2 * comb.again.shift % curve.order)
    map_x, map_y = v**2 % p, v**3 % p
    x_c, y_c = map_x * c[0] % p, map_y * c[1] % p
    plus, minus = Addend.PLUS_P3, Addend.MINUS_P3
    if three_b == -1:
        plus, minus = minus, plus

    def times(index: int, factor: int, p3: Operand = None) -> Value:
        """A word of the outbox times a constant, and p3."""
        addend = Addend.NONE if p3 is None else Addend.PLUS_P3
        return asm.op(p0=Outbox(index), p2=Const(factor % p), p3=p3, addend=addend)

    def check(name: str, coordinate: Value, addend: Addend) -> None:
        product = asm.op(p0=Outbox(OUT_Z), p2=coordinate)
        factors = {"p0": Value(name), "p2": z, "p3": product}
        asm.op(**factors, addend=addend, canonical=True, check=Check.ZERO)

    t3 = times(OUT_Y, map_y * x_c, times(OUT_X, map_x * y_c))
    t0 = times(OUT_X, map_x * x_c)
    w = asm.op(p0=t0, double0=True, p1=t0, a=A.ADD, p2=t3)
    t4 = times(OUT_Y, map_y, Const(y_c))
    u = asm.op(p0=t4, p2=times(OUT_X, map_x, Const(x_c)))
    t1 = times(OUT_Y, map_y * y_c)
    a_x, a_z = (A.SUB, A.ADD) if three_b == 1 else (A.ADD, A.SUB)
    x = asm.op(p0=ONE, p1=t1, a=a_x, p2=t3, p3=u, addend=Addend.PLUS_P3)
    z = asm.op(p0=ONE, p1=t1, a=a_z, p2=t4, p3=w, addend=plus)
    check("x", x, Addend.PLUS_P3)
    y3 = times(OUT_X, map_x, Const(x_c))
    t0 = times(OUT_X, map_x * x_c)
    triple = asm.op(p0=t0, double0=True, p1=t0, a=A.ADD, p2=y3, p3=ONE, addend=minus)
    y = asm.op(p0=t1, p2=t1, p3=triple, addend=plus)
    check("y", y, minus)
    end_agreement(Order(asm, curve.order))


def reduce_x(order: Order, p: int) -> Value:
    """r = x mod n to outbox 2; fault if zero; ``over`` flag unless r = x."""
    x = Value("x")
    if p >= 2 * order.m:
        x = order.mul(order.mul(x, Const(R * R % order.m)), ONE)
    r = order.reduce_once(x, dest=Dest.OUTBOX, index=OUT_R, check=Check.NONZERO)
    order.asm.op(p0=Value("x"), p1=r, a=A.SUB, p2=ONE, out=Out.LOW, check=Check.OVERFLOW)
    return r


def finish(asm: Assembler, curve: Weierstrass) -> None:
    """r and low s, checked by s k = z + r d with the words of the outbox and d as loaded."""
    order = Order(asm, curve.order)
    n = curve.order
    r = reduce_x(order, curve.p)
    t = order.sum((r, Key(KEY_D)), (Inbox(0), Const(R * R % n)))
    s = order.mul(Inbox(IN_K_INVERSE), t, canonical=True, check=Check.NONZERO)
    # n is odd, so 2s mod n is odd just where 2s >= n: s is then the high one of s and n - s
    asm.op(p0=s, double0=True, p2=ONE, out=Out.LOW, canonical=True, check=Check.NEGATE)
    negative = asm.op(p0=Const(n), p1=s, a=A.SUB, p2=ONE, out=Out.LOW)
    asm.op(p0=s, p1=negative, a=A.SELECT, p2=ONE, out=Out.LOW, dest=Dest.OUTBOX, index=OUT_S)
    if asm.checked:
        check_signature(asm, order)


def check_signature(asm: Assembler, order: Order) -> None:
    """Fault unless s k = z + r d mod n, k negated if s was."""
    square_r = Const(R * R % order.m)
    k = order.mul(Inbox(1), square_r)
    minus_k = order.mul(Inbox(1), Const(-R * R % order.m))
    signed_k = asm.op(p0=k, p1=minus_k, a=A.SELECT, p2=ONE, out=Out.LOW)
    left = order.mul(Outbox(OUT_S), signed_k, canonical=True)
    product = order.mul(Outbox(OUT_R), Key(KEY_RAW))
    right = order.sum((product, square_r), (Inbox(0), order.const(1)), canonical=True)
    asm.op(p0=left, p1=right, a=A.SUB, p2=ONE, out=Out.LOW, check=Check.ZERO)
