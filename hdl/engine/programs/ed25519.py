"""Ed25519 (RFC 8032) as engine programs.

Inbox 0 and 1 hold the halves of a SHA-512 digest read little-endian (or, on loading a key, the
clamped scalar in inbox 0), inbox 2 the inverse of the Z in outbox 3. Outbox 0, 1, 2 receive x, y
and S. Key words are ``aR mod L`` and ``a 2^256 R mod L``.
"""

from __future__ import annotations

from functools import partial

from intaglio.params import ED25519

from ..assembler import ONE, Assembler, Const, Digits, Inbox, Key, Operand, Outbox, Value
from ..comb import Comb, edwards_add, multiple
from ..isa import A, Addend, B, Check, Dest, Out
from .scalars import Order, R

P, D, L = ED25519.p, ED25519.d, ED25519.order
KEY_A, KEY_A_HIGH = 1, 2
OUT_X, OUT_Y, OUT_S, OUT_Z = 0, 1, 2, 3
IN_Z_INVERSE = 2


def recode(order: Order, comb: Comb, scalar: Operand, *, again: bool = False) -> None:
    """Comb digits of ``scalar`` to the digit store, checked against the scalar.

    u = scalar/2 + offset/2 mod order; then 2u - scalar - offset = 0. ``again``: those of
    :attr:`.Comb.again`, where ``shift`` is added to u and so twice of it to offset.
    """
    half = pow(2, -1, order.m)
    shift, lift = (comb.again.shift, comb.again.lift) if again else (0, 0)
    last = {"name": "digits", "dest": Dest.DIGITS}
    digits = order.sum(
        (scalar, order.const(half)),
        plus=order.raw((comb.offset * half + shift) * R),
        canonical=True,
        **({} if lift else last),
    )
    if lift:
        lifted = Const(lift * order.m)
        digits = order.asm.op(
            p0=digits, p2=ONE, p3=lifted, addend=Addend.PLUS_P3, out=Out.LOW, **last
        )
    if not order.asm.checked:
        return
    order.sum(
        (digits, order.const(2)),
        (scalar, order.const(-1)),
        plus=order.raw(-(comb.offset + 2 * shift) * R),
        canonical=True,
        check=Check.ZERO,
    )


def check_digits(order: Order) -> None:
    """Fault unless the digit store still holds what was recoded."""
    order.check_equal(Digits(), Value("digits"))


def reduce_digest(order: Order, name: str | None = None) -> Value:
    """The 512-bit digest in the inbox modulo L, canonical."""
    return order.sum(
        (Inbox(0), order.const(1)), (Inbox(1), order.const(2**256)), name=name, canonical=True
    )


def scalar_r(asm: Assembler, comb: Comb) -> None:
    """r = digest mod L (section 5.1.6, step 2) and its comb digits."""
    order = Order(asm, L)
    recode(order, comb, reduce_digest(order, "nonce"))


def scalar_a(asm: Assembler, comb: Comb) -> None:
    """Key words of the clamped scalar (section 5.1.5) and its comb digits."""
    order = Order(asm, L)
    order.mul(Inbox(0), Const(R * R % L), canonical=True, dest=Dest.KEY, index=KEY_A)
    order.mul(Inbox(0), Const(R * R * 2**256 % L), canonical=True, dest=Dest.KEY, index=KEY_A_HIGH)
    recode(order, comb, Inbox(0))


def scalar_r_again(asm: Assembler, comb: Comb) -> None:
    """r from the digest once more, and its other digits."""
    order = Order(asm, L)
    recode(order, comb, reduce_digest(order), again=True)


def scalar_a_again(asm: Assembler, comb: Comb) -> None:
    """The other digits of the clamped scalar."""
    recode(Order(asm, L), comb, Inbox(0), again=True)


def agree(asm: Assembler, comb: Comb) -> None:
    """Fault unless the comb of the other digits is the point in the outbox and C = 2 shift B.

    (E F : G H : F G) is that sum, by the addition of :func:`comb_sum`; X' G = E Z' and Y' F = H Z'.
    """
    x_c, y_c = multiple(partial(edwards_add, ED25519), ED25519.base, 2 * comb.again.shift)
    x = asm.op(p0=Outbox(OUT_X), p2=ONE)
    y = asm.op(p0=Outbox(OUT_Y), p2=ONE)
    t = asm.mul(x, y)
    a = asm.op(p0=y, p1=x, a=A.SUB, p2=Const((y_c - x_c) % P))
    b = asm.op(p0=y, p1=x, a=A.ADD, p2=Const((y_c + x_c) % P))
    c = asm.mul(t, Const(2 * D * x_c * y_c % P))
    ez = asm.op(p0=Outbox(OUT_Z), p2=b, p3=a, b=B.SUB)
    hz = asm.op(p0=Outbox(OUT_Z), p2=b, p3=a, b=B.ADD)
    zero = {"canonical": True, "check": Check.ZERO, "addend": Addend.MINUS_P3}
    asm.op(p0=Const(2), p1=c, a=A.ADD, p2=Value("x"), p3=ez, **zero)
    asm.op(p0=Const(2), p1=c, a=A.SUB, p2=Value("y"), p3=hz, **zero)
    end_agreement(Order(asm, L))


def end_agreement(order: Order) -> None:
    """Z' is not 0, the digit store still holds the other digits; x and y as the outbox has them."""
    asm = order.asm
    asm.op(p0=Outbox(OUT_Z), p2=ONE, out=Out.LOW, check=Check.NONZERO)
    check_digits(order)
    asm.op("x", p0=Outbox(OUT_X), p2=ONE, out=Out.LOW)
    asm.op("y", p0=Outbox(OUT_Y), p2=ONE, out=Out.LOW)


def point(asm: Assembler) -> None:
    """x and y, on the curve, to outbox 0 and 1."""
    inverse = Inbox(IN_Z_INVERSE)
    x = asm.mul(inverse, Value("x"), "x", canonical=True, dest=Dest.OUTBOX, index=OUT_X)
    y = asm.mul(inverse, Value("y"), "y", canonical=True, dest=Dest.OUTBOX, index=OUT_Y)
    if not asm.checked:
        return
    xx1 = asm.mul(x, x, p3=ONE, addend=Addend.PLUS_P3)
    g = asm.mul(xx1, Const(D), p3=Const((1 + D) % P), addend=Addend.MINUS_P3)
    yy = asm.mul(y, y)
    # -x^2 + y^2 = 1 + d x^2 y^2 as y^2 (d x^2 - 1) + x^2 + 1 = 0
    asm.mul(yy, g, p3=xx1, addend=Addend.PLUS_P3, canonical=True, check=Check.ZERO)
    check_digits(Order(asm, L))


def comb_sum(asm: Assembler, comb: Comb) -> None:
    """sum d_i 2^(w i) B: 4 products, then 7 an addition (6 the last). Z to the outbox.

    Extended coordinates with T = XY/Z, mixed addition of Hisil, Wong, Carter, Dawson (2008),
    section 3.1 with a = -1, complete on the prime-order subgroup and beyond. Every factor's sign is
    chosen so that each product takes one instruction. The first point is (2x, 2y, 2, 2xy).
    """
    minus = asm.op(p0=ONE, b=B.TABLE_1)
    x = asm.op(p0=ONE, b=B.TABLE_0, p3=minus, addend=Addend.MINUS_P3)
    y = asm.op(p0=ONE, b=B.TABLE_0, p3=minus, addend=Addend.PLUS_P3)
    t = asm.op(p0=Const(pow(D, -1, P)), b=B.TABLE_2)
    z: Operand = Const(2)
    for window in range(1, comb.windows):
        a = asm.op(p0=y, p1=x, a=A.SUB, b=B.TABLE_1, window=window)
        b = asm.op(p0=y, p1=x, a=A.ADD, b=B.TABLE_0, window=window)
        c = asm.op(p0=t, b=B.TABLE_2, window=window)
        # E = b - a, F = 2z - c, G = 2z + c, H = b + a
        last = window == comb.windows - 1
        x = asm.op("x" if last else None, p0=z, double0=True, p1=c, a=A.SUB, p2=b, p3=a, b=B.SUB)
        y = asm.op("y" if last else None, p0=z, double0=True, p1=c, a=A.ADD, p2=b, p3=a, b=B.ADD)
        if not last:
            t = asm.op(p0=b, p1=a, a=A.SUB, p2=b, p3=a, b=B.ADD)
        z = asm.op(
            p0=z,
            double0=True,
            p1=c,
            a=A.SUB,
            p2=z,
            double2=True,
            p3=c,
            b=B.ADD,
            canonical=last,
            dest=Dest.OUTBOX if last else Dest.NONE,
            index=OUT_Z,
        )


def finish(asm: Assembler) -> None:
    """S = r + k a mod L (section 5.1.6, steps 4 and 5), checked by a second way to it.

    The digest k is folded into S unreduced through both key words; the check reduces k first and
    uses one key word: S - k a - r = 0. The outbox is compared with the point that was on the curve.
    """
    order = Order(asm, L)
    nonce = Value("nonce")
    order.sum(
        (Inbox(0), Key(KEY_A)),
        (Inbox(1), Key(KEY_A_HIGH)),
        (nonce, order.const(1)),
        canonical=True,
        dest=Dest.OUTBOX,
        index=OUT_S,
    )
    if not asm.checked:
        return
    k = reduce_digest(order)
    order.sum(
        (k, Key(KEY_A)),
        (nonce, order.const(1)),
        (Outbox(OUT_S), order.const(-1)),
        canonical=True,
        check=Check.ZERO,
    )
    order.check_equal(Outbox(OUT_X), Value("x"))
    order.check_equal(Outbox(OUT_Y), Value("y"))
