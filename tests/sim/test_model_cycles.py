# amaranth: UnusedElaboratable=no
"""The cycle-level model: its parameters are the gateware's, its results what the sizes must reach.

That its barrel is exact to the clock is tested in ``tests/hdl/engine/test_issue.py``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from intaglio.hdl import profiles
from intaglio.hdl.engine.barrel import Barrel as BarrelRtl
from intaglio.hdl.engine.isa import LIMBS, REGISTERS, Curve
from intaglio.hdl.engine.programs import Image, Program
from intaglio.hdl.field.karatsuba import BY_LIMBS, FLAT
from intaglio.sim.model import cycles
from intaglio.sim.model.barrel import Barrel
from intaglio.sim.model.cycles import (
    FULL,
    MID,
    SIZES,
    SMALL,
    STREAMS,
    Simulation,
    Size,
    measure,
)

TARGET = 0.85


def run(barrel: Barrel) -> int:
    """Until nothing happens any more; the last clock in which something did."""
    last = -1
    while (clock := barrel.next_clock()) < float("inf"):
        last = int(clock)
        barrel.step(last)
    return last


@pytest.mark.parametrize(("slots", "interval", "latency"), [(1, 1, 5), (2, 16, 28), (7, 3, 13)])
def test_a_lone_program_issues_every_latency_clocks(
    slots: int, interval: int, latency: int
) -> None:
    barrel = Barrel(slots, interval, latency)
    barrel.start(10, [False] * 20)
    assert run(barrel) == 10 + 20 * latency
    assert barrel.issued == 20


def test_full_slots_issue_every_interval() -> None:
    barrel = Barrel(slots=4, interval=4, latency=16)
    clocks: list[int] = []
    barrel.log = lambda kind, clock, _: clocks.append(clock) if kind == "issue" else None
    for _ in range(4):
        barrel.start(0, [False] * 50)
    run(barrel)
    assert clocks[:200] == list(range(2, 802, 4))


def test_programs_that_go_first_go_before_the_others_and_in_order() -> None:
    barrel = Barrel(slots=1, interval=4, latency=16)
    ended: list[str] = []
    for name in ("busy", "other", "first", "other too", "first too"):
        done = barrel.start(0, [False] * 3, first="first" in name)
        done.then(lambda name=name: ended.append(name))
        barrel.step(int(barrel.next_clock()))
    run(barrel)
    assert ended == ["busy", "first", "first too", "other", "other too"]


def test_a_wipe_takes_only_clocks_without_a_retirement() -> None:
    assert run_wipe(Barrel(2, 1, 4)) == REGISTERS
    assert run_wipe(Barrel(2, 16, 28)) == REGISTERS * LIMBS, "a limb a clock"
    busy = Barrel(4, 1, 4)
    for _ in range(4):
        busy.start(0, [False] * 100)
    assert run_wipe(busy) > 400, "a full pipeline of interval 1 leaves no clock"


def run_wipe(barrel: Barrel) -> int:
    ended: list[int] = []
    clock = 0
    barrel.wipe(0).then(lambda: ended.append(clock))
    while not ended:
        clock = int(barrel.next_clock())
        barrel.step(clock)
    return clock


@pytest.mark.parametrize(
    ("size", "profile"),
    [(SMALL, profiles.SMALL), (MID, profiles.MID), (FULL, profiles.FULL)],
    ids=["small", "mid", "full"],
)
def test_sizes_are_those_of_the_profiles(size: Size, profile: profiles.Profile) -> None:
    rtl = BarrelRtl(
        Image(profile.window),
        interval=profile.interval,
        slots=profile.issue_slots,
        jobs=profile.job_slots,
        keys=profile.key_slots,
        how=BY_LIMBS if profile.by_limbs else FLAT,
    )
    assert (size.window, size.interval, size.latency) == (
        profile.window,
        profile.interval,
        rtl.latency,
    )
    assert (size.slots, size.jobs) == (profile.issue_slots, profile.job_slots)
    assert size.inverters == profile.inverters
    assert (size.sha512_lanes, size.ecdsa_lanes) == (profile.sha512_lanes, profile.ecdsa_lanes)


def test_slots_hide_the_depth_of_the_pipeline() -> None:
    assert FULL.latency <= FULL.slots * FULL.interval, "all slots together issue every clock"


@pytest.mark.parametrize("stream", STREAMS)
def test_small_keeps_its_multiplier_busy(stream: str) -> None:
    report = measure(SMALL, stream)
    assert report.multiplier > 0.95
    assert report.clocks_per_signature == pytest.approx(16 * report.instructions, rel=0.05)


@pytest.mark.parametrize("stream", STREAMS)
def test_full_reaches_its_target(stream: str) -> None:
    assert measure(FULL, stream).multiplier >= TARGET


def test_less_does_not_reach_it() -> None:
    assert measure(SIZES["`full`, 1 ECDSA lane"], "ECDSA").multiplier < TARGET


def test_a_lone_job_takes_its_instructions_and_blocks() -> None:
    programs = cycles.patterns(SMALL.window)
    steps = (
        Program.ED25519_SCALAR_R,
        Program.ED25519_COMB,
        Program.ED25519_POINT,
        Program.ED25519_FINISH,
    )
    engine = SMALL.latency * sum(len(programs[step]) for step in steps)
    lanes = 84 * 4 + cycles.INVERSION_CLOCKS
    lanes += cycles.FEED_CLOCKS["secret"] + cycles.FEED_CLOCKS["point"]
    extra = Simulation(SMALL).lone(Curve.ED25519) - engine - lanes
    assert 0 < extra < 200


def test_handover_must_take_a_clock() -> None:
    with pytest.raises(ValueError, match="handover must be at least 1 clock, not 0"):
        Simulation(replace(SMALL, handover=0))


def test_too_few_jobs_are_refused() -> None:
    with pytest.raises(ValueError, match="31 jobs do not fill 8 contexts"):
        Simulation(SMALL).sign([Curve.ED25519] * 31)
