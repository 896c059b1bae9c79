"""Assembler: programs written in Python become instruction words.

A program names its values; :class:`Assembler` hands out registers by lifetime. A value defined with
a name in :data:`SHARED` lives in the same register in every program of a job, so one program can
leave it for a later one. Everything else is free after its last use.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .isa import REGISTERS, A, Addend, B, Check, Curve, Dest, Instruction, Out, Port0, Port2, Port3

SHARED = {"nonce": 0, "digits": 1, "x": 2, "y": 3}
"""Values that outlive a program, and their registers."""

UNSHARED = {Curve.ED25519: frozenset[str](), Curve.SECP256K1: frozenset({"nonce"})}
"""Values of :data:`SHARED` that no program of the curve leaves for another."""


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

    @property
    def operands(self) -> tuple[Operand, ...]:
        """What its four ports read."""
        return self.p0, self.p1, self.p2, self.p3


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
        where = self._allocate()
        encoded = [self._encode(line, where) for line in self.lines]
        ahead = [int(instruction.reads_table) for instruction in encoded[1:]]
        return [
            *(replace(one, ahead=bit) for one, bit in zip(encoded, ahead, strict=False)),
            replace(encoded[-1], end=1),
        ]

    @property
    def shared(self) -> dict[str, int]:
        """The part of :data:`SHARED` that programs of this curve leave for one another."""
        return {name: i for name, i in SHARED.items() if name not in UNSHARED[self.curve]}

    def _born(self) -> dict[str, int]:
        """Line before which each shared value's register may serve others.

        It is the one that defines the value, or 0 if the program reads it first or leaves it alone.
        """
        born: dict[str, int] = {}
        for i, line in enumerate(self.lines):
            for operand in line.operands:
                if isinstance(operand, Value):
                    born.setdefault(operand.name, 0)
            if line.target is not None:
                born.setdefault(line.target.name, i)
        return {name: born.get(name, 0) for name in self.shared}

    def _allocate(self) -> dict[Value, int]:
        """Register of each value. Lines are taken from the last to the first: as shared values live
        to the end of the program, this needs no more registers than values are alive at once."""
        shared, born = self.shared, self._born()
        where: dict[Value, int] = {}
        free = set(range(REGISTERS)) - set(shared.values())
        for i, line in reversed(list(enumerate(self.lines))):
            target = line.target
            if target is not None and target.name in shared:
                where[target] = shared[target.name]
            if target in where and born.get(target.name, i) == i:
                free.add(where[target])
            for value in line.operands:
                if not isinstance(value, Value) or value in where:
                    continue
                if value.name in shared:
                    where[value] = shared[value.name]
                    continue
                if not free:
                    raise ValueError(f"instruction {i}: more than {REGISTERS} values alive")
                where[value] = min(free)
                free.remove(where[value])
        return where

    def _encode(self, line: Line, where: dict[Value, int]) -> Instruction:
        def register(operand: Operand) -> int:
            if operand is None:
                return 0
            if not isinstance(operand, Value):
                raise ValueError(f"{operand} cannot be read by this port")
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
        if line.target in where:
            changes |= {"write": 1, "rd": where[line.target]}
        return replace(line.base, **changes)  # type: ignore[arg-type]
