"""What is at which stage of the barrel."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value

from .issue import Issue


class Stages:
    """Which slot's instruction is at which of ``count`` stages; stage 0 is ``issue``.

    ``valid[i]`` is 1 if there is one at stage i, and ``slot[i]`` its slot. The last stages are
    those in which the result's limbs are written.
    """

    def __init__(self, m: Module, issue: Issue, slots: int, count: int) -> None:
        self._m, self.slots = m, slots
        self.valid, self.slot = [issue.valid], [issue.slot]
        for i in range(1, count):
            self.valid.append(Signal(name=f"valid{i}"))
            self.slot.append(Signal(range(slots), name=f"slot{i}"))
            m.d.sync += [
                self.valid[i].eq(self.valid[i - 1]),
                self.slot[i].eq(self.slot[i - 1]),
            ]

    def held(self, name: str, value: Value, stage: int, clocks: int) -> Signal:
        """``value`` of the clock before, from ``stage`` on for so many clocks; then zero, unless
        another comes."""
        held = Signal(value.shape(), name=f"{name}{stage}")
        with self._m.If(self.valid[stage - 1]):
            self._m.d.sync += held.eq(value)
        with self._m.Elif(self.valid[stage - 1 + clocks]):
            self._m.d.sync += held.eq(0)
        return held
