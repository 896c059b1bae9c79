"""Programs of the engine and the ROMs they make together."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from intaglio.params import ED25519, SECP256K1, Weierstrass
from intaglio.wire import ReleaseCheck

from ..assembler import Assembler, ConstantPool
from ..comb import Comb, edwards_table, isomorphism, weierstrass_table
from ..isa import Curve, Instruction
from . import ecdsa, ed25519


class Program(enum.IntEnum):
    """What a job can ask of the engine."""

    ED25519_SCALAR_A = 0
    ED25519_SCALAR_R = 1
    ED25519_COMB = 2
    ED25519_POINT = 3
    ED25519_FINISH = 4
    ECDSA_SCALAR_D = 5
    ECDSA_SCALAR_K = 6
    ECDSA_COMB = 7
    ECDSA_POINT = 8
    ECDSA_FINISH = 9
    ED25519_AGAIN_A = 10
    ED25519_AGAIN_R = 11
    ED25519_AGREE = 12
    ECDSA_AGAIN_D = 13
    ECDSA_AGAIN_K = 14
    ECDSA_AGREE = 15


SECOND = tuple(program for program in Program if "_AG" in program.name)
"""Programs of the release check ``double`` alone."""


@dataclass(frozen=True)
class Image:
    """Everything the engine is loaded with: programs, constants, tables.

    ``window`` is the comb's digit width (4..8). ``curve`` is secp256k1; tests pass a subgroup of
    odd prime order of its quadratic twist. ``release_check`` chooses whether the programs check
    what they computed, and whether there are those that compute the point again; see
    :mod:`.ed25519` and :mod:`.ecdsa` for what is checked.
    """

    window: int
    curve: Weierstrass = SECP256K1
    release_check: ReleaseCheck = ReleaseCheck.ALGEBRAIC
    programs: dict[Program, list[Instruction]] = field(init=False)
    constants: list[int] = field(init=False)

    def __post_init__(self) -> None:
        pool = ConstantPool()
        programs = {
            program: self._assemble(program, pool)
            for program in Program
            if self.release_check == ReleaseCheck.DOUBLE or program not in SECOND
        }
        object.__setattr__(self, "programs", programs)
        object.__setattr__(self, "constants", pool.words)

    @property
    def combs(self) -> dict[Curve, Comb]:
        """Comb of each curve."""
        return {
            Curve.ED25519: Comb(ED25519.order, self.window),
            Curve.SECP256K1: Comb(self.curve.order, self.window),
        }

    @property
    def tables(self) -> dict[Curve, list[tuple[int, int, int]]]:
        """Comb table of each curve: three fields an entry."""
        return {
            Curve.ED25519: edwards_table(ED25519, self.window),
            Curve.SECP256K1: weierstrass_table(self.curve, self.window),
        }

    @property
    def entry_points(self) -> dict[Program, int]:
        """Address of each program's first instruction in :attr:`rom`."""
        addresses, address = {}, 0
        for program, instructions in self.programs.items():
            addresses[program] = address
            address += len(instructions)
        return addresses

    @property
    def begin_with_table(self) -> set[Program]:
        """Programs whose first instruction reads a comb table."""
        return {program for program, lines in self.programs.items() if lines[0].reads_table}

    @property
    def rom(self) -> list[int]:
        """Instruction words of all programs."""
        return [i.encode() for instructions in self.programs.values() for i in instructions]

    def _assemble(self, program: Program, pool: ConstantPool) -> list[Instruction]:
        of_ed25519 = program.name.startswith("ED25519")
        curve = Curve.ED25519 if of_ed25519 else Curve.SECP256K1
        comb = self.combs[curve]
        asm = Assembler(curve, pool, self.release_check != ReleaseCheck.NONE)
        match program:
            case Program.ED25519_SCALAR_A:
                ed25519.scalar_a(asm, comb)
            case Program.ED25519_SCALAR_R:
                ed25519.scalar_r(asm, comb)
            case Program.ED25519_COMB:
                ed25519.comb_sum(asm, comb)
            case Program.ED25519_POINT:
                ed25519.point(asm)
            case Program.ED25519_FINISH:
                ed25519.finish(asm)
            case Program.ECDSA_SCALAR_D:
                ecdsa.scalar_d(asm, self.curve, comb)
            case Program.ECDSA_SCALAR_K:
                ecdsa.scalar_k(asm, self.curve, comb)
            case Program.ECDSA_COMB:
                ecdsa.comb_sum(asm, comb, isomorphism(self.curve)[1])
            case Program.ECDSA_POINT:
                ecdsa.point(asm, self.curve)
            case Program.ECDSA_FINISH:
                ecdsa.finish(asm, self.curve)
            case Program.ED25519_AGAIN_A:
                ed25519.scalar_a_again(asm, comb)
            case Program.ED25519_AGAIN_R:
                ed25519.scalar_r_again(asm, comb)
            case Program.ED25519_AGREE:
                ed25519.agree(asm, comb)
            case Program.ECDSA_AGAIN_D:
                ecdsa.scalar_d_again(asm, self.curve, comb)
            case Program.ECDSA_AGAIN_K:
                ecdsa.scalar_k_again(asm, self.curve, comb)
            case Program.ECDSA_AGREE:
                ecdsa.agree(asm, self.curve, comb)
        return asm.instructions()
