"""ECDSA over a curve y^2 = x^3 + b (SEC 1, section 4.1.3) as engine programs.

Inbox 0 holds z, as many leftmost bits of the digest as n has, read big-endian; inbox 1 the nonce k
in [1, n - 1]; inbox 2 and 3 the inverses of Z and k. Outbox 0..3 receive x, y of the point, r and
the low s. Key word 1 is ``dR^2 mod n``, key word 3 is d as it was loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
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

    2 products for the first digit, 9 for the second, 10 for each other, 15 for the last.

    All digits but the last are added by :func:`_add`, which cannot add a point to itself, nor to
    its opposite: digit i's point is a multiple of 2^(w i) G or more, either way, the sum below it
    one of less, and not 0, and both together are below the order. The last digit's point may be
    anything, and is added by :func:`_add_complete`.
    """
    last = comb.windows - 1
    x: Operand = asm.op(p0=ONE, b=B.TABLE_X)
    y: Operand = asm.op(p0=ONE, b=B.TABLE_Y)
    z: Operand = ONE
    if last > 1:
        point = _Sum(x, y, ONE, ONE)
        for window in range(1, last):
            point = _add(asm, point, window)
        x = asm.mul(point.x, point.zzz)
        sign = {"p0": Const(0), "p1": point.y, "a": A.SUB} if point.negated else {"p0": point.y}
        y = asm.op(**sign, p2=point.zz)
        z = asm.mul(point.zzz, point.zz)
    _add_complete(asm, (x, y, z), last, three_b)


@dataclass(frozen=True)
class _Sum:
    """A point (X / ZZ, Y / ZZZ) with ZZ^3 = ZZZ^2; of ZZZ its negative if ``negated``."""

    x: Operand
    y: Operand
    zz: Operand
    zzz: Operand
    negated: bool = False


def _add(asm: Assembler, to: _Sum, window: int) -> _Sum:
    """Add the point of a digit: 10 products, or 9 to a point with ZZ = 1.

    Mixed addition in XYZZ coordinates (Sutherland; "madd-2008-s" of the Explicit-Formulas Database)
    with P and R as there. PPP is never computed: W = PPP + 2 Q is one product, 2 Q - W = -PPP a
    factor, so that ZZZ changes its sign with every addition. An R of the other sign gives the same
    point with the last two terms exchanged.
    """
    first = to.zz is ONE
    plus, minus = Addend.PLUS_P3, Addend.MINUS_P3
    p = asm.op(p0=to.zz, b=B.TABLE_X, p3=to.x, addend=minus, window=window)
    signed = plus if to.negated else minus
    r = asm.op(p0=to.zzz, b=B.TABLE_Y, p3=to.y, addend=signed, window=window)
    pp = asm.mul(p, p)
    w = asm.op(p0=to.x, double0=True, p1=p, a=A.ADD, p2=pp)
    q = asm.mul(to.x, pp)
    zz = pp if first else asm.mul(to.zz, pp)
    x = asm.mul(r, r, p3=w, addend=minus)
    minus_ppp = {"p0": q, "double0": True, "p1": w, "a": A.SUB}
    t = asm.op(**minus_ppp, p2=to.y)
    zzz = asm.op(**minus_ppp, p2=to.zzz)
    left, right = (x, q) if to.negated else (q, x)
    y = asm.op(p0=left, p1=right, a=A.SUB, p2=r, p3=t, addend=plus)
    return _Sum(x, y, zz, zzz, not to.negated)


def _add_complete(
    asm: Assembler, to: tuple[Operand, Operand, Operand], window: int, three_b: int
) -> None:
    """Add the point of the last digit to (X : Y : Z), whatever both are: 12 products.

    Complete mixed addition of Renes, Costello, Batina (2016), algorithm 8; its products by 3b are
    signs, and the sum of two products that it has from one is computed as such.
    """
    plus, minus = (A.ADD, A.SUB) if three_b == 1 else (A.SUB, A.ADD)
    add, subtract = Addend.PLUS_P3, Addend.MINUS_P3
    if three_b == -1:
        add, subtract = subtract, add
    x, y, z = to
    t0 = asm.op(p0=x, b=B.TABLE_X, window=window)
    t1 = asm.op(p0=y, b=B.TABLE_Y, window=window)
    xy = asm.op(p0=x, b=B.TABLE_Y, window=window)
    t3 = asm.op(p0=y, b=B.TABLE_X, p3=xy, addend=Addend.PLUS_P3, window=window)
    t4 = asm.op(p0=z, b=B.TABLE_Y, p3=y, addend=Addend.PLUS_P3, window=window)
    y3 = asm.op(p0=z, b=B.TABLE_X, p3=x, addend=Addend.PLUS_P3, window=window)
    if not isinstance(z, Value):
        z = asm.op(p0=ONE, p2=ONE)
    u = asm.op(p0=t4, p2=y3)
    v = asm.op(p0=t0, double0=True, p1=t0, a=A.ADD, p2=y3)
    w = asm.op(p0=t0, double0=True, p1=t0, a=A.ADD, p2=t3)
    asm.op("x", p0=t1, p1=z, a=minus, p2=t3, p3=u, addend=subtract)
    asm.op("y", p0=t1, p1=z, a=A.SUB, b=B.SUM01, p3=v, addend=add)
    asm.op(
        p0=t1,
        p1=z,
        a=plus,
        p2=t4,
        p3=w,
        addend=Addend.PLUS_P3,
        canonical=True,
        dest=Dest.OUTBOX,
        index=OUT_Z,
    )


def agree(asm: Assembler, curve: Weierstrass, comb: Comb) -> None:
    """Fault unless the comb of the other digits is the point in the outbox and C = 2 shift G.

    All on the curve of the comb. (X : Y : Z) is that sum by the formulas of :func:`_add_complete`,
    with 3b = s as ``three_b`` and the sign of X and Y, or that of Z, changed; X' Z = X Z' and
    Y' Z = Y Z'.
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
