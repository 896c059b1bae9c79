"""Cycle-level model of the barrel: when each instruction issues and retires, without any words.

Follows the rules of :mod:`intaglio.hdl.engine.issue` and of the wiping in
:mod:`intaglio.hdl.engine.contexts` clock by clock; benches compare the two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import inf

from intaglio.hdl.engine.isa import LIMBS, REGISTERS


class Event:
    """Something that happens once; whoever waits for it is called then."""

    def __init__(self) -> None:
        self.fired = False
        self._waiting: list[Callable[[], None]] = []

    def then(self, action: Callable[[], None]) -> None:
        """Call ``action`` when it happens, at once if it has."""
        if self.fired:
            action()
        else:
            self._waiting.append(action)

    def fire(self) -> None:
        """Let it happen."""
        self.fired = True
        for action in self._waiting:
            action()


class Port:
    """A port of the comb tables, for one barrel or two: an entry takes ``clocks``, and who had the
    last one lets the other go first."""

    def __init__(self, clocks: int) -> None:
        self.clocks = clocks
        self.free_from = 0
        self.users: list[Barrel] = []
        self._last: Barrel | None = None

    def clock_for(self, user: Barrel, clock: int) -> int:
        """The first from ``clock`` on in which ``user`` may begin to read, as it looks now."""
        clock = max(clock, self.free_from)
        for other in self.users:
            first = self._last is user if self._last else other is self.users[0]
            if other is not user and first and other.wants_table(clock):
                return clock + self.clocks
        return clock

    def take(self, user: Barrel, clock: int) -> None:
        """``user`` begins to read."""
        self.free_from, self._last = clock + self.clocks, user


_Offer = tuple[int, Sequence[bool], Event]
"""A program: since when it is offered, what of it reads a table, what fires when it is done."""


class Barrel:
    """Issue queues, pipeline and wiping, exact to the clock.

    A result is written in ``word_clocks`` clocks, and zeroising a context takes ``wipe_clocks`` in
    which none is. ``port`` is where the barrel reads comb tables, by itself if it is left out.
    Attributes: ``issued`` instructions; ``log``, if set, is called with ``(kind, clock, slot)`` for
    every issue, start and retirement.
    """

    def __init__(self, slots: int, interval: int, latency: int, port: Port | None = None) -> None:
        self._interval, self._latency = interval, latency
        self.word_clocks = min(interval, LIMBS)
        self.wipe_clocks = REGISTERS * self.word_clocks
        self._port = port or Port(self.word_clocks)
        self._port.users.append(self)
        self._free = deque(reversed(range(slots)))
        self._left: list[Sequence[bool]] = [()] * slots
        self._done: list[Event] = [Event()] * slots
        self._reading: deque[tuple[int, int]] = deque()
        self._others: deque[tuple[int, int]] = deque()
        self._flight: deque[tuple[int, int]] = deque()
        # those that go first, and the others
        self._offers: tuple[deque[_Offer], deque[_Offer]] = deque(), deque()
        self._wipes: deque[tuple[int, Event]] = deque()
        self._wipe_left = self.wipe_clocks
        self._issue_from = self._enter_from = self._wipe_from = 0
        self.issued = 0
        self.log: Callable[[str, int, int], None] | None = None

    def start(self, clock: int, program: Sequence[bool], *, first: bool = False) -> Event:
        """Offer a program from ``clock`` on; fires when it is done.

        ``program`` says of each instruction whether it reads a comb table. Offers are taken in
        order, but those that are ``first`` before the others.
        """
        done = Event()
        self._offers[not first].append((clock, program, done))
        return done

    def wipe(self, clock: int) -> Event:
        """Ask for zeroising a context from ``clock`` on; fires when it is done."""
        done = Event()
        self._wipes.append((clock + 1, done))
        return done

    def _wipe_end(self) -> int:
        return max(self._wipe_from, self._wipes[0][0]) + self._wipe_left - 1

    def wants_table(self, clock: int) -> bool:
        """Whether an instruction that reads the table would be issued, if it might."""
        return bool(self._reading) and max(self._reading[0][0], self._issue_from) <= clock

    def _issue_clocks(self) -> tuple[float, float]:
        """When an instruction that reads the table could be issued, and when another."""
        reading = others = inf
        if self._reading:
            clock = max(self._reading[0][0], self._issue_from)
            reading = self._port.clock_for(self, clock)
        if self._others:
            others = max(self._others[0][0], self._issue_from)
        return reading, others

    def _enter_clock(self) -> float:
        """When a program could enter."""
        offered = min((offers[0][0] for offers in self._offers if offers), default=inf)
        return max(offered, self._enter_from)

    def next_clock(self) -> float:
        """The next clock in which something happens."""
        clock = min(self._issue_clocks())
        if self._flight:
            clock = min(clock, self._flight[0][0])
        if self._free:
            clock = min(clock, self._enter_clock())
        if self._wipes:
            clock = min(clock, self._wipe_end())
        return clock

    def step(self, clock: int) -> None:
        """Let all happen that happens in ``clock``, which :meth:`next_clock` gave."""
        reading, others = self._issue_clocks()
        if clock in (reading, others):
            if reading == clock:
                slot = self._reading.popleft()[1]
                self._port.take(self, clock)
            else:
                slot = self._others.popleft()[1]
            self._flight.append((clock + self._latency - 2, slot))
            self._issue_from = clock + self._interval
            self.issued += 1
            self._note("issue", clock, slot)
        if self._flight and self._flight[0][0] == clock:
            self._retire(clock, self._flight.popleft()[1])
        elif self._free and self._enter_clock() == clock:
            first, others = self._offers
            _, program, done = (first if first and first[0][0] <= clock else others).popleft()
            slot = self._free.popleft()
            self._left[slot], self._done[slot] = program, done
            self._enter(clock, slot)
            self._note("start", clock, slot)
        if self._wipes and self._wipe_end() == clock:
            self._wipe_left, self._wipe_from = self.wipe_clocks, clock + 2
            self._wipes.popleft()[1].fire()

    def _retire(self, clock: int, slot: int) -> None:
        if self._wipes:
            begin = max(self._wipe_from, self._wipes[0][0])
            self._wipe_left -= max(clock - begin, 0)
        self._wipe_from = max(self._wipe_from, clock + self.word_clocks)
        self._enter_from = clock + 1
        self._note("retire", clock, slot)
        self._left[slot] = self._left[slot][1:]
        if self._left[slot]:
            self._enter(clock, slot)
        else:
            self._free.append(slot)
            self._done[slot].fire()

    def _enter(self, clock: int, slot: int) -> None:
        queue = self._reading if self._left[slot][0] else self._others
        queue.append((clock + 2, slot))
        self._enter_from = clock + 1

    def _note(self, kind: str, clock: int, slot: int) -> None:
        if self.log:
            self.log(kind, clock, slot)
