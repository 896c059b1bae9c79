"""Assembler: programs written in Python become instruction words.

A program names its values; :class:`Assembler` hands out registers by lifetime. A value defined with
a name in :data:`SHARED` lives in the same register in every program of a job, so one program can
leave it for a later one. Everything else is free after its last use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .isa import REGISTERS, A, Addend, B, Check, Curve, Dest, Instruction, Out, Port0, Port2, Port3

SHARED = {"nonce": 0, "digits": 1, "x": 2, "y": 3}
"""Values that outlive a program, and their registers."""


@dataclass(frozen=True, eq=False)
class Value:
    """A named word computed by an earlier instruction."""

    name: str


@dataclass(frozen=True)
class Const:
    """A word of the constant ROM."""

    value: int


@dataclass(frozen=True)
class Inbox:
    """A word left by a lane or the intake."""

    index: int


@dataclass(frozen=True)
class Outbox:
    """A word of the outbox, read back to be checked."""

    index: int


@dataclass(frozen=True)
class Key:
    """A secret word of the job's key slot."""

    index: int


@dataclass(frozen=True)
class Digits:
    """The job's comb digits, read back to be checked."""


Operand = Value | Const | Inbox | Outbox | Key | Digits | None
ONE = Const(1)


class ConstantPool:
    """Constants of all programs, numbered in order of first use."""

    def __init__(self) -> None:
        self.words: list[int] = []

    def index(self, value: int) -> int:
        """Address of ``value`` (0 <= value < 2^260), added if new."""
        if value not in self.words:
            self.words.append(value)
        return self.words.index(value)


@dataclass
class Line:
    """An instruction whose operands are still names."""

    base: Instruction
    p0: Operand
    p1: Operand
    p2: Operand
    p3: Operand
    target: Value | None
    window: int = 0


@dataclass
class Assembler:
    """Collects the lines of one program for one curve.

    :meth:`op` appends the general instruction; the other methods are the common forms of it.
    """

    curve: Curve
    constants: ConstantPool
    checked: bool = True
    """Whether the release check's instructions are wanted."""
    lines: list[Line] = field(default_factory=list)

    def op(
        self,
        name: str | None = None,
        *,
        p0: Operand = None,
        p1: Operand = None,
        p2: Operand = None,
        p3: Operand = None,
        a: A = A.P0,
        b: B = B.P2,
        addend: Addend = Addend.NONE,
        double0: bool = False,
        double2: bool = False,
        add_high: bool = False,
        out: Out = Out.FOLD,
        canonical: bool = False,
        dest: Dest = Dest.NONE,
        index: int = 0,
        check: Check = Check.NONE,
        window: int = 0,
    ) -> Value:
        """Append one instruction; its result is a new value (``name`` for a shared one)."""
        target = Value(name or "")
        base = Instruction(
            a=a,
            b=b,
            addend=addend,
            shift0=int(double0),
            shift2=int(double2),
            add_high=int(add_high),
            out=out,
            canonical=int(canonical),
            curve=self.curve,
            dest=dest,
            index=index,
            check=check,
            window=window,
        )
        self.lines.append(Line(base, p0, p1, p2, p3, target))
        return target

    def mul(self, x: Operand, y: Operand, name: str | None = None, **options: object) -> Value:
        """x * y mod p; ``options`` as of :meth:`op`."""
        return self.op(name, p0=x, p2=y, **options)  # type: ignore[arg-type]

    def instructions(self) -> list[Instruction]:
        """The program with registers and constants filled in; the last instruction ends it.

        Raises ``ValueError`` if more than :data:`REGISTERS` values are alive at once.
        """
        return [
            replace(instruction, end=int(i == len(self.lines) - 1))
            for i, instruction in enumerate(self._allocate())
        ]

    def _last_uses(self) -> dict[Value, int]:
        last: dict[Value, int] = {}
        for i, line in enumerate(self.lines):
            for operand in (line.p0, line.p1, line.p2, line.p3):
                if isinstance(operand, Value):
                    last[operand] = i
        return last

    def _allocate(self) -> Iterable[Instruction]:
        last = self._last_uses()
        where: dict[Value, int] = {}
        free = sorted(set(range(REGISTERS)) - set(SHARED.values()))
        for i, line in enumerate(self.lines):
            instruction = self._operands(line, where)
            for value in {line.p0, line.p1, line.p2, line.p3}:
                if isinstance(value, Value) and last[value] == i and value.name not in SHARED:
                    free.append(where.pop(value))
                    free.sort()
            target = line.target
            if target is not None and (target in last or target.name in SHARED):
                if target.name in SHARED:
                    register = SHARED[target.name]
                elif free:
                    register = free.pop(0)
                else:
                    raise ValueError(f"instruction {i}: more than {REGISTERS} values alive")
                where[target] = register
                instruction = replace(instruction, write=1, rd=register)
            yield instruction

    def _operands(self, line: Line, where: dict[Value, int]) -> Instruction:
        def register(operand: Operand) -> int:
            if operand is None:
                return 0
            if not isinstance(operand, Value):
                raise ValueError(f"{operand} cannot be read by this port")
            if operand.name in SHARED:
                return SHARED[operand.name]
            return where[operand]

        changes: dict[str, int] = {"p1": register(line.p1)}
        match line.p0:
            case Const(value):
                changes |= {"port0": Port0.CONSTANT, "p0": self.constants.index(value)}
            case Inbox(index):
                changes |= {"port0": Port0.INBOX, "p0": index}
            case Outbox(index):
                changes |= {"port0": Port0.OUTBOX, "p0": index}
            case other:
                changes["p0"] = register(other)
        match line.p2:
            case Const(value):
                changes |= {"port2": Port2.CONSTANT, "p2": self.constants.index(value)}
            case Key(index):
                changes |= {"port2": Port2.KEY, "p2": index}
            case Digits():
                changes["port2"] = Port2.DIGITS
            case other:
                changes["p2"] = register(other)
        match line.p3:
            case Const(value):
                changes |= {"port3": Port3.CONSTANT, "p3": self.constants.index(value)}
            case other:
                changes["p3"] = register(other)
        if changes.get("port0") == Port0.CONSTANT and changes.get("port3") == Port3.CONSTANT:
            raise ValueError("p0 and p3 share one port of the constant ROM")
        return replace(line.base, **changes)  # type: ignore[arg-type]
