"""Does a device run at the clock that it tells, and how fast does it sign?

A lone job's round trip is link and host and, of the device, ``cycles / clock_hz``. Two jobs with
frames of the same length differ in the latter only, if they are of different curves; so the clock
is what lies between their cycles over what lies between their shortest round trips.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from intaglio.curve import Curve
from intaglio.signer import Signer
from intaglio.values import Key

MESSAGE = bytes(64)
ROUND_TRIPS = 40
"""Of each curve; the shortest counts, so that waits of USB and of the system do not."""
MAX_CLOCK_ERROR = 0.25
"""A PLL that is set wrong is off by more; two shortest round trips agree to within less."""
SIGNATURES = 256
"""Of each curve in the measurement of speed."""
SIMULATED = 8

Now = Callable[[], float]


class ClockError(Exception):
    """The device does not run at the clock it tells; the text says how far it is off."""


def clock(signer: Signer, keys: dict[Curve, Key], now: Now = time.perf_counter) -> str:
    """Compare the clock that ``signer`` tells with that of its jobs; a sentence of what was seen.

    Raises :class:`ClockError` if they differ by more than :data:`MAX_CLOCK_ERROR`.
    """
    told = signer.identity.clock_hz
    if not told:
        return "none told: simulated, so there is nothing to compare"
    cycles: dict[Curve, int] = {}
    seconds: dict[Curve, float] = {}
    for curve, key in keys.items():
        cycles[curve] = signer.sign(key, MESSAGE).cycles
        seconds[curve] = min(_round_trip(signer, key, now) for _ in range(ROUND_TRIPS))
        if seconds[curve] < cycles[curve] / told:
            raise ClockError(
                f"{curve.value} took {seconds[curve] * 1e6:.0f} us for {cycles[curve]:,} cycles: "
                f"the clock is faster than the {told / 1e6:g} MHz told"
            )
    slow, fast = max(cycles, key=cycles.__getitem__), min(cycles, key=cycles.__getitem__)
    if slow == fast:
        return f"{told / 1e6:g} MHz told; one curve is too few to measure it"
    between = seconds[slow] - seconds[fast]
    measured = (cycles[slow] - cycles[fast]) / between if between > 0 else float("inf")
    if abs(measured / told - 1) > MAX_CLOCK_ERROR:
        raise ClockError(f"{measured / 1e6:.1f} MHz measured, {told / 1e6:g} MHz told")
    return f"{measured / 1e6:.1f} MHz measured, {told / 1e6:g} MHz told"


def _round_trip(signer: Signer, key: Key, now: Now) -> float:
    started = now()
    signer.sign(key, MESSAGE)
    return now() - started


def speed(signer: Signer, keys: dict[Curve, Key], now: Now = time.perf_counter) -> str:
    """Sign as fast as the device and its link can; a sentence of what was measured."""
    simulated = signer.identity.key_slots > 0 and not signer.identity.clock_hz
    count = SIMULATED if simulated else SIGNATURES
    told: list[str] = []
    for curve, key in keys.items():
        started = now()
        cycles = [
            future.result().cycles for future in [signer.submit(key, MESSAGE) for _ in range(count)]
        ]
        seconds = now() - started
        if simulated:
            told.append(f"{curve.value} {sum(cycles) // count:,} cycles a signature in company")
        else:
            told.append(f"{curve.value} {count / seconds:,.0f} signatures/s")
    return f"{'simulated' if simulated else 'measured'}: {', '.join(told)}"
