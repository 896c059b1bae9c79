from __future__ import annotations

import pytest
from amaranth.sim import Simulator, SimulatorContext

from intaglio.hdl.boards import BOARDS
from intaglio.hdl.boards.top import BoardTop, BreakDetector
from intaglio.hdl.profiles import SMALL


def found_after(detector: BreakDetector, levels: list[int]) -> list[int]:
    """``found`` before each clock, with the pin at ``levels``."""
    seen = []

    async def bench(ctx: SimulatorContext) -> None:
        for level in levels:
            ctx.set(detector.rx, level)
            seen.append(ctx.get(detector.found))
            await ctx.tick()

    simulator = Simulator(detector)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("clocks", [2, 3, 20])
def test_a_break_is_found_after_its_latency(clocks: int) -> None:
    detector = BreakDetector(clocks)
    seen = found_after(detector, [1] * 5 + [0] * (clocks + 10) + [1] * 5)
    assert seen.index(1) == 5 + detector.latency
    assert seen[-1] == 0
    assert sum(seen) == len(seen[seen.index(1) :]) - seen[::-1].index(1)


def test_bytes_are_no_break() -> None:
    clocks = 20
    byte_of_zeros = [0] * (clocks - 1) + [1]
    assert not any(found_after(BreakDetector(clocks), byte_of_zeros * 8 + [1] * 5))


def test_arguments() -> None:
    with pytest.raises(ValueError, match="at least 2, not 1"):
        BreakDetector(1)
    with pytest.raises(ValueError, match="must be 20 bytes, not 3"):
        BoardTop(BOARDS["ulx3s-85f"], SMALL, b"abc")
