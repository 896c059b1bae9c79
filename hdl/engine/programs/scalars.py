"""Arithmetic modulo a group order, in Montgomery form with R = 2^260.

``redc(T) = T / R mod m``, lazily below 2m for T < 2^516. A *sum of products* is accumulated raw
(low half in a register, high half in H) and reduced once: two more instructions, whatever the
number of products. A plain word times ``c R mod m`` therefore gives ``c`` times the word.
"""

from __future__ import annotations

from ..assembler import ONE, Assembler, Const, Digits, Key, Operand, Value
from ..isa import WORD_BITS, A, Addend, B, Check, Dest, Out

R = 1 << WORD_BITS


class Order:
    """Emits instructions modulo ``m`` (odd, below 2^256)."""

    def __init__(self, asm: Assembler, m: int):
        self.asm = asm
        self.m = m
        self.minus_inverse = -pow(m, -1, R) % R

    def const(self, value: int) -> Const:
        """``value * R mod m``: multiplying by it and reducing multiplies by ``value``."""
        return Const(value * R % self.m)

    def raw(self, value: int) -> Const:
        """``value mod m`` itself."""
        return Const(value % self.m)

    def sum(
        self,
        *products: tuple[Operand, Operand],
        plus: Const | None = None,
        name: str | None = None,
        canonical: bool = False,
        dest: Dest = Dest.NONE,
        index: int = 0,
        check: Check = Check.NONE,
    ) -> Value:
        """redc(sum of x * y [+ plus]); x by port 0, y by port 2, each product below 2^513."""
        asm = self.asm
        low: Operand = plus
        for i, (x, y) in enumerate(products):
            low = asm.op(
                p0=x,
                p2=y,
                p3=low,
                addend=Addend.NONE if low is None else Addend.PLUS_P3,
                add_high=i > 0,
                out=Out.LOW_KEEP,
            )
        factor = asm.op(p0=low, p2=Const(self.minus_inverse), out=Out.LOW)
        return asm.op(
            name,
            p0=factor,
            p2=Const(self.m),
            p3=low,
            addend=Addend.PLUS_P3,
            add_high=True,
            out=Out.HIGH,
            canonical=canonical,
            dest=dest,
            index=index,
            check=check,
        )

    def mul(self, x: Operand, y: Operand, name: str | None = None, **options: object) -> Value:
        """redc(x * y)."""
        return self.sum((x, y), name=name, **options)  # type: ignore[arg-type]

    def reduce_once(self, x: Operand, name: str | None = None, **options: object) -> Value:
        """x - m if x >= m, for x < 2m."""
        return self.asm.op(
            name,
            p0=ONE if isinstance(x, Key) else x,
            p2=x if isinstance(x, Key) else ONE,
            out=Out.LOW,
            canonical=True,
            **options,  # type: ignore[arg-type]
        )

    def check_equal(self, x: Operand, y: Value) -> None:
        """Fault unless the two words are the same integer."""
        if isinstance(x, Key | Digits):
            self.asm.op(p0=ONE, p2=x, p3=y, b=B.SUB, out=Out.LOW, check=Check.ZERO)
        else:
            self.asm.op(p0=x, p1=y, a=A.SUB, p2=ONE, out=Out.LOW, check=Check.ZERO)
