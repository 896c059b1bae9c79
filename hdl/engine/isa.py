"""The engine's instruction set: one table that everything else reads.

There is one kind of instruction. It reads up to four words, multiplies two sums of them, adds,
reduces and writes one word back::

    A      = p0 * 2^shift0  (+ p1 | - p1)            or  neg ? p1 : p0
    B      = p2 * 2^shift2  (+ p3 | - p3)            or  p0 + p1   or a comb table operand
    T      = A * B + addend (+ H * 2^260)
    result = fold(T) mod p   |   T mod 2^260   |   T div 2^260
    result = result - m if result >= m               (``canonical``)

``p0..p3`` are the four read ports, ``H`` the slot's high half of the last raw product and ``m`` the
field prime (``FOLD``) or the group order (other outputs) of the instruction's curve. Nothing here
branches: a program is a straight line of these, so its time cannot depend on data.

Words are :data:`WORD_BITS` wide. Subtractions under ``FOLD`` add :func:`bias`, a multiple of the
prime, so that no operand is ever negative; under the raw outputs they wrap modulo 2^260.

Encoding, assembler, decoder, instruction-level model and the manual in ``hdl/README.md`` all come
from :data:`FIELDS`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import NamedTuple

WORD_BITS = 260
"""Width of a word; Montgomery's R is ``2**WORD_BITS`` for every modulus."""

LIMBS = 4
LIMB_BITS = WORD_BITS // LIMBS
"""Words travel between memories and stations as limbs, the least significant first."""

REGISTERS = 8
"""Words of the register file per job context."""

INBOX_WORDS = 4
"""Words that the hash lanes (0, 1) and the inverter (2, 3) leave for a program."""

OUTBOX_WORDS = 4
"""Words a program leaves for lanes, inverter and reply."""

KEY_WORDS = 4
"""Secret words per key slot."""


class Port0(enum.IntEnum):
    """What read port 0 reads."""

    REGISTER = 0
    INBOX = 1
    CONSTANT = 2
    OUTBOX = 3


class Port2(enum.IntEnum):
    """What read port 2 reads."""

    REGISTER = 0
    KEY = 1
    CONSTANT = 2
    DIGITS = 3


class Port3(enum.IntEnum):
    """What read port 3 reads."""

    REGISTER = 0
    CONSTANT = 1


class A(enum.IntEnum):
    """First factor."""

    P0 = 0
    ADD = 1
    SUB = 2
    SELECT = 3
    """``p1`` if the job's ``neg`` flag is set, else ``p0`` (both always read)."""


class B(enum.IntEnum):
    """Second factor. Table operands follow the sign of the comb digit of ``window``:
    :data:`TABLE_FIELDS`."""

    P2 = 0
    ADD = 1
    SUB = 2
    SUM01 = 3
    """``p0 + p1``, beside ``A.SUB`` the conjugate product p0^2 - p1^2."""
    TABLE_0 = 4
    """First field; with the second exchanged for a negative digit (Ed25519: y + x)."""
    TABLE_1 = 5
    """Second field; with the first exchanged for a negative digit (Ed25519: y - x)."""
    TABLE_2 = 6
    """Third field, negated for a negative digit (Ed25519: 2dxy)."""
    TABLE_X = 7
    """First field as it is (secp256k1: x)."""
    TABLE_Y = 8
    """Second field, negated for a negative digit (secp256k1: y)."""


class Addend(enum.IntEnum):
    """What is added to the product."""

    NONE = 0
    PLUS_P3 = 1
    MINUS_P3 = 2
    """FOLD only."""


class Out(enum.IntEnum):
    """How the 520-bit sum becomes a word."""

    FOLD = 0
    """Reduced modulo the field prime, lazily: see :mod:`intaglio.hdl.field.fold`."""
    LOW = 1
    LOW_KEEP = 2
    """Low half; the high half goes to ``H``."""
    HIGH = 3


class Dest(enum.IntEnum):
    """A second destination beside the register."""

    NONE = 0
    OUTBOX = 1
    KEY = 2
    DIGITS = 3


class Check(enum.IntEnum):
    """What the result sets in the job's flags. Flags only ever select or refuse, never branch."""

    NONE = 0
    ZERO = 1
    """``fault`` unless the result is zero."""
    NONZERO = 2
    """``fault`` if the result is zero."""
    PARITY = 3
    """``odd`` := bit 0."""
    NEGATE = 4
    """``neg`` := bit 0."""
    OVERFLOW = 5
    """``over`` := the result is not zero."""


class Curve(enum.IntEnum):
    """Whose prime, order and table an instruction uses."""

    ED25519 = 0
    SECP256K1 = 1


TABLE_FIELDS = {
    B.TABLE_0: (0, 1),
    B.TABLE_1: (1, 0),
    B.TABLE_2: (2, 2),
    B.TABLE_X: (0, 0),
    B.TABLE_Y: (1, 1),
}
"""Field of the entry that a table operand is, for a positive digit and for a negative one."""

TABLE_CURVES = {
    b: Curve.SECP256K1 if b in (B.TABLE_X, B.TABLE_Y) else Curve.ED25519 for b in TABLE_FIELDS
}
"""Whose entries a table operand is of."""

NEGATED = (B.TABLE_2, B.TABLE_Y)
"""Table operands that are negated for a negative digit."""


class Field(NamedTuple):
    """One field of the instruction word, from bit 0 up."""

    name: str
    bits: int
    kind: type[enum.IntEnum] | None
    doc: str


FIELDS = (
    Field("port0", 2, Port0, "source of p0"),
    Field("p0", 6, None, "address of p0"),
    Field("p1", 3, None, "register of p1"),
    Field("port2", 2, Port2, "source of p2"),
    Field("p2", 6, None, "address of p2"),
    Field("port3", 1, Port3, "source of p3"),
    Field("p3", 6, None, "address of p3"),
    Field("shift0", 1, None, "double p0 in A"),
    Field("shift2", 1, None, "double p2 in B"),
    Field("a", 2, A, "first factor"),
    Field("b", 4, B, "second factor"),
    Field("addend", 2, Addend, "added to the product"),
    Field("add_high", 1, None, "add H * 2^260"),
    Field("out", 2, Out, "which part of the sum, how reduced"),
    Field("canonical", 1, None, "subtract the modulus once if the result is not below it"),
    Field("curve", 1, Curve, "whose moduli and table"),
    Field("write", 1, None, "write register rd"),
    Field("rd", 3, None, "destination register"),
    Field("dest", 2, Dest, "second destination"),
    Field("index", 2, None, "word of the second destination"),
    Field("check", 3, Check, "flag set from the result"),
    Field("window", 6, None, "comb window of a table operand"),
    Field("end", 1, None, "last instruction of the program"),
    Field("ahead", 1, None, "the next instruction's second factor is a table operand"),
)

INSTRUCTION_BITS = sum(f.bits for f in FIELDS)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; the fields of :data:`FIELDS`, all zero by default."""

    port0: Port0 = Port0.REGISTER
    p0: int = 0
    p1: int = 0
    port2: Port2 = Port2.REGISTER
    p2: int = 0
    port3: Port3 = Port3.REGISTER
    p3: int = 0
    shift0: int = 0
    shift2: int = 0
    a: A = A.P0
    b: B = B.P2
    addend: Addend = Addend.NONE
    add_high: int = 0
    out: Out = Out.FOLD
    canonical: int = 0
    curve: Curve = Curve.ED25519
    write: int = 0
    rd: int = 0
    dest: Dest = Dest.NONE
    index: int = 0
    check: Check = Check.NONE
    window: int = 0
    end: int = 0
    ahead: int = 0

    @property
    def reads_table(self) -> bool:
        """Whether its second factor is a table operand."""
        return self.b >= B.TABLE_0

    def encode(self) -> int:
        """The instruction word. Raises ``ValueError`` if a field is out of range."""
        word = shift = 0
        for field in FIELDS:
            value = int(getattr(self, field.name))
            if not 0 <= value < 1 << field.bits:
                raise ValueError(f"{field.name}={value} does not fit in {field.bits} bits")
            word |= value << shift
            shift += field.bits
        return word

    @classmethod
    def decode(cls, word: int) -> Instruction:
        """Inverse of :meth:`encode`."""
        values = {}
        for field in FIELDS:
            value = word & ((1 << field.bits) - 1)
            values[field.name] = field.kind(value) if field.kind else value
            word >>= field.bits
        return cls(**values)


def bias(prime: int) -> int:
    """Least multiple of the prime above two lazy words (2^257 + 2^73): added by subtractions."""
    return -(-(2**257 + 2**73) // prime) * prime


assert tuple(f.name for f in FIELDS) == tuple(f.name for f in fields(Instruction))
