# amaranth: UnusedElaboratable=no
"""Cycle-level model of the engine: slots, contexts, ports and units, without any words.

Answers before RTL is written: how many clocks a signature takes, how busy the multiplier and the
hash lanes are, how many contexts, lanes and inverters a size needs. :mod:`.barrel` is exact to
the clock; lengths of programs come from the programs themselves, clocks of the lanes from
:mod:`intaglio.hdl.hash`. Moving a job from one unit to the next is an allowance,
:attr:`Size.handover`.

``python -m intaglio.sim.model.cycles --markdown`` prints the table of ``hdl/README.md``.
"""

from __future__ import annotations

import argparse
import heapq
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from math import inf

from intaglio.hdl.engine.isa import LIMBS, Curve
from intaglio.hdl.engine.programs import Image, Program
from intaglio.hdl.engine.table import PORTS, READERS, port_of
from intaglio.hdl.field.inverter import SLOTS as INVERTER_SLOTS
from intaglio.hdl.field.inverter import Inverter
from intaglio.hdl.hash import rfc6979
from intaglio.hdl.hash.sha2 import block_clocks
from intaglio.hdl.routes import ENDING, Kind, Station, routes
from intaglio.params import SECP256K1
from intaglio.wire import ReleaseCheck

from .barrel import Barrel, Event, Port

INVERSION_CLOCKS = Inverter([SECP256K1.p], jobs=1).latency
"""Clocks of one inversion."""


@dataclass(frozen=True)
class Size:
    """Parameters of an engine. ``latency`` is :attr:`intaglio.hdl.engine.barrel.Barrel.latency`.

    ``barrels``, each with ``slots`` issue slots and its share of the ``jobs`` contexts.
    ``sha512_lanes``, ``ecdsa_lanes``: hash
    stations. ``inverters``: units that hold 8 inversions each. ``handover``: clocks, at least 1,
    from the end of a job's step to when the next unit is asked. ``turnaround``: clocks from a job's
    end to when a host that waited for its reply has the next one's request in, a byte a clock.
    ``message_bytes``: what each Ed25519 job signs; ECDSA jobs sign digests.
    """

    window: int
    interval: int
    latency: int
    slots: int
    jobs: int
    sha512_lanes: int
    ecdsa_lanes: int
    inverters: int
    handover: int = 10
    turnaround: int = 300
    message_bytes: int = 100
    barrels: int = 1
    release_check: ReleaseCheck = ReleaseCheck.ALGEBRAIC


SMALL = Size(
    4, interval=16, latency=63, slots=5, jobs=8, sha512_lanes=1, ecdsa_lanes=1, inverters=1
)
"""The profile ``small``: :data:`intaglio.hdl.profiles.SMALL`."""


MID = Size(6, interval=4, latency=60, slots=15, jobs=32, sha512_lanes=1, ecdsa_lanes=1, inverters=1)
"""The profile ``mid``: :data:`intaglio.hdl.profiles.MID`."""

FULL = Size(
    5,
    interval=4,
    latency=59,
    slots=15,
    jobs=64,
    sha512_lanes=1,
    ecdsa_lanes=2,
    inverters=1,
    barrels=2,
)
"""The profile ``full``: :data:`intaglio.hdl.profiles.FULL`."""


FEED_CLOCKS = {"nonce": 33, "secret": 18, "point": 42}
"""Clocks in which the Feed station reads and hands over what a lane hashes first: an ECDSA key and
a digest; the prefix of an Ed25519 key; R and the public key."""

RESULT_CLOCKS = 16 + 4
"""Clocks in which a lane's result leaves, and the next job comes."""

Process = Generator[Event, None, None]
"""What one job or service does: it yields what it waits for."""


@cache
def patterns(
    window: int, check: ReleaseCheck = ReleaseCheck.ALGEBRAIC
) -> dict[Program, tuple[bool, ...]]:
    """Of each instruction of each program, whether it reads a comb table, for one window and level
    of the release check."""
    image = Image(window, release_check=check)
    return {
        program: tuple(line.reads_table for line in lines)
        for program, lines in image.programs.items()
    }


def ports(barrels: int, interval: int) -> list[Port]:
    """The port of the comb tables that each barrel of an engine has, see
    :class:`intaglio.hdl.engine.table.CombRoms`."""
    copies = -(-barrels // READERS)
    all_ports = [[Port(min(interval, LIMBS)) for _ in range(PORTS)] for _ in range(copies)]
    return [all_ports[n // READERS][port_of(n % READERS)] for n in range(barrels)]


@dataclass
class Report:
    """What a run measured. ``signatures`` were done in ``clocks`` between warm-up and drain, for
    which the occupancies hold (0..1, ``multiplier`` and ``units``); ``instructions`` a signature
    are those of the whole run, and ``clocks_per_signature`` follows from the two: completions come
    in lumps, issues do not.
    """

    signatures: int
    clocks: int
    instructions: float
    clocks_per_signature: float
    multiplier: float
    units: dict[str, float]
    peak_parked: int


class Simulation:
    """A stream of jobs through an engine of a :class:`Size`; always more jobs than contexts."""

    def __init__(self, size: Size) -> None:
        if size.handover < 1:
            raise ValueError(f"handover must be at least 1 clock, not {size.handover}")
        self.size, self.clock = size, 0
        self.patterns = patterns(size.window, size.release_check)
        kinds = {Curve.ED25519: Kind.SIGN_ED25519, Curve.SECP256K1: Kind.SIGN_ECDSA}
        self.routes = {curve: routes(size.release_check)[kind] for curve, kind in kinds.items()}
        self.barrels = [
            Barrel(size.slots, size.interval, size.latency, port)
            for port in ports(size.barrels, size.interval)
        ]
        self._free = [size.jobs // size.barrels] * size.barrels
        self._turn = 0
        self.done: list[tuple[int, int, dict[str, int]]] = []
        self.peak_parked = self._parked = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = count()
        self._idle = {"sha512": size.sha512_lanes, "ecdsa": size.ecdsa_lanes, "context": size.jobs}
        self._idle["inverter"] = INVERTER_SLOTS * size.inverters
        self._counts = dict(self._idle)
        self._busy = dict.fromkeys(self._idle, 0)
        self._since = dict.fromkeys(self._idle, 0)
        self._queues: dict[str, deque[Event]] = {name: deque() for name in self._idle}

    def run(self) -> None:
        """Until nothing is left to do."""
        barrels, events = self.barrels, self._events
        while True:
            clock, barrel = min(((each.next_clock(), each) for each in barrels), key=_first)
            if events and events[0][0] <= clock:
                self.clock, _, action = heapq.heappop(events)
                action()
            elif clock == inf:
                return
            else:
                self.clock = int(clock)
                barrel.step(self.clock)

    def sign(self, curves: list[Curve]) -> Report:
        """Sign with each of ``curves`` in turn; at least four times as many as contexts."""
        if len(curves) < 4 * self.size.jobs:
            raise ValueError(f"{len(curves)} jobs do not fill {self.size.jobs} contexts four times")
        for curve in curves:
            self._spawn(self._job(curve))
        self.run()
        first, last = 2 * self.size.jobs - 1, len(curves) - self.size.jobs - 1
        (begin, issued0, busy0), (end, issued1, busy1) = self.done[first], self.done[last]
        clocks = end - begin
        multiplier = (issued1 - issued0) * self.size.interval / self.size.barrels / clocks
        instructions = self._issued / len(curves)
        return Report(
            last - first,
            clocks,
            instructions,
            instructions * self.size.interval / self.size.barrels / multiplier,
            multiplier,
            {n: (busy1[n] - busy0[n]) / clocks / c for n, c in self._counts.items() if c},
            self.peak_parked,
        )

    def lone(self, curve: Curve) -> int:
        """Clocks of one signature with nothing else to do."""
        self._spawn(self._job(curve))
        self.run()
        return self.done[-1][0] - self.size.turnaround

    def _spawn(self, process: Process) -> None:
        def resume() -> None:
            event = next(process, None)
            if event is not None:
                event.then(resume)

        self._at(self.clock + self.size.handover, resume)

    def _at(self, clock: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (clock, next(self._sequence), action))

    def _after(self, clocks: int) -> Event:
        event = Event()
        self._at(self.clock + clocks, event.fire)
        return event

    def _use(self, name: str, change: int) -> None:
        in_use = self._counts[name] - self._idle[name]
        self._busy[name] += in_use * (self.clock - self._since[name])
        self._since[name] = self.clock
        self._idle[name] -= change

    def _take(self, name: str) -> Event:
        """Wait for one of the units ``name``; the longest waiting gets the next."""
        event = Event()
        if self._idle[name]:
            self._use(name, 1)
            event.fire()
        else:
            self._queues[name].append(event)
        return event

    def _give(self, name: str) -> None:
        if self._queues[name]:
            self._queues[name].popleft().fire()
        else:
            self._use(name, -1)

    def _lane(self, name: str, clocks: int, *, rest: int = 0) -> Process:
        """Use a unit for ``clocks``; the next may have it ``rest`` clocks later."""
        yield self._take(name)
        yield self._after(clocks)
        self._at(self.clock + rest, lambda: self._give(name))
        yield self._after(self.size.handover)

    @property
    def _issued(self) -> int:
        """Instructions of all barrels."""
        return sum(barrel.issued for barrel in self.barrels)

    def _next_barrel(self) -> int:
        """The next one in turn that has a free context."""
        for _ in self.barrels:
            turn, self._turn = self._turn, (self._turn + 1) % len(self.barrels)
            if self._free[turn]:
                return turn
        raise AssertionError("no context is free")

    def _program(self, barrel: Barrel, program: Program) -> Process:
        yield barrel.start(self.clock, self.patterns[program], first=program in ENDING)
        yield self._after(self.size.handover)

    def _inverse(self) -> Process:
        """Park while an inverter works."""
        self._parked += 1
        self.peak_parked = max(self.peak_parked, self._parked)
        yield from self._lane("inverter", INVERSION_CLOCKS)
        self._parked -= 1

    def _job(self, curve: Curve) -> Process:
        yield self._take("context")
        number = self._next_barrel()
        self._free[number] -= 1
        yield self._after(self.size.turnaround)
        yield from self._steps(curve, self.barrels[number])
        yield self.barrels[number].wipe(self.clock)
        self._free[number] += 1
        self._give("context")
        for name in self._idle:
            self._use(name, 0)
        self.done.append((self.clock, self._issued, dict(self._busy)))

    def _steps(self, curve: Curve, barrel: Barrel) -> Process:
        for number, (station, what) in enumerate(self.routes[curve]):
            if station == Station.SHA512:
                # FIPS 180-4: a byte 80 and 16 bytes of length follow
                head, feed = (64, "point") if number else (32, "secret")
                blocks = -(-(head + self.size.message_bytes + 17) // 128)
                clocks = FEED_CLOCKS[feed] + blocks * block_clocks(512) + 5 + RESULT_CLOCKS
                yield from self._lane("sha512", clocks)
            elif station == Station.NONCE:
                clocks = FEED_CLOCKS["nonce"] + rfc6979.LOAD_CLOCKS + RESULT_CLOCKS
                clocks += rfc6979.latency(SECP256K1.order)
                yield from self._lane("ecdsa", clocks, rest=rfc6979.WIPE_CLOCKS)
            elif station == Station.INVERT:
                yield from self._inverse()
            elif isinstance(what, Program):
                yield from self._program(barrel, what)


def _first(item: tuple[float, Barrel]) -> float:
    return item[0]


STREAMS = {
    "Ed25519": [Curve.ED25519],
    "ECDSA": [Curve.SECP256K1],
    "both": [Curve.ED25519, Curve.SECP256K1],
}
"""Jobs of a stream, over and over."""

SIZES = {
    "`small`": SMALL,
    "`small-double`": replace(SMALL, release_check=ReleaseCheck.DOUBLE),
    "`mid`": MID,
    "`mid`, 16 contexts": replace(MID, jobs=16),
    "`mid`, window 5": replace(MID, window=5),
    "`full`": FULL,
    "`full`, 1 ECDSA lane": replace(FULL, ecdsa_lanes=1),
    "`full`, 2 inverters": replace(FULL, inverters=2),
    "`full`, window 6, 2 inverters": replace(FULL, window=6, inverters=2),
    "3 barrels, 2 inverters": replace(FULL, barrels=3, jobs=96, inverters=2),
    "4 barrels, 2 inverters": replace(FULL, barrels=4, jobs=128, ecdsa_lanes=3, inverters=2),
}
"""The rows of the table in ``hdl/README.md``."""


def measure(size: Size, stream: str, signatures: int = 200) -> Report:
    """Report of ``signatures`` and a few more of one of :data:`STREAMS`, after warm-up."""
    jobs = signatures + 4 * size.jobs
    return Simulation(size).sign((STREAMS[stream] * jobs)[:jobs])


def markdown() -> str:
    """The table of ``hdl/README.md``."""
    lines = [
        "| size | signs | contexts (parked) | lanes busy: SHA-512, ECDSA | inverters busy "
        "| instructions | clocks | multiplier busy | alone, clocks |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, size in SIZES.items():
        for stream, (curve, *others) in STREAMS.items():
            r = measure(size, stream)
            alone = "" if others else f"{Simulation(size).lone(curve):,}"
            lanes = (
                f"{size.sha512_lanes} x {r.units['sha512']:.0%}, "
                f"{size.ecdsa_lanes} x {r.units['ecdsa']:.0%}"
            )
            lines.append(
                f"| {name} | {stream} | {size.jobs} ({r.peak_parked}) | {lanes} "
                f"| {size.inverters} x {r.units['inverter']:.0%} "
                f"| {r.instructions:,.0f} | {r.clocks_per_signature:,.0f} | {r.multiplier:.1%} "
                f"| {alone} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Clocks per signature of each engine size.")
    parser.add_argument("--markdown", action="store_true", help="as a Markdown table (default)")
    parser.parse_args()
    print(markdown())
