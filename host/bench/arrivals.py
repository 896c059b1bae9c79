"""When requests of an open loop arrive: seconds from its start, in order."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

from intaglio.errors import InputError

MAX_ARRIVALS = 10_000_000
"""Most arrivals of one run."""


def fixed(rate: float, seconds: float) -> list[float]:
    """``rate`` arrivals a second, evenly, for ``seconds``; at least one.

    Raises :class:`InputError` for more than :data:`MAX_ARRIVALS`.
    """
    return [number / rate for number in range(_count(rate, seconds))]


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Arrivals that know nothing of each other: intervals exponential with mean ``1 / rate``.

    Raises :class:`InputError` for more than :data:`MAX_ARRIVALS`.
    """
    _count(rate, seconds)
    rng = random.Random(seed)
    offsets, at = [], 0.0
    while (at := at + rng.expovariate(rate)) < seconds:
        offsets.append(at)
    return offsets or [0.0]


def replay(path: Path, seconds: float | None) -> list[float]:
    """Offsets of ``path``, a number of seconds a line, up to ``seconds``.

    Empty lines and those that begin with ``#`` are passed over. Raises :class:`InputError` naming
    the line that is no number, or below 0, or earlier than the one before it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the arrivals in {path}: {error}") from None
    offsets: list[float] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            offset = float(text)
        except ValueError:
            offset = math.nan
        if not 0 <= offset < math.inf or (offsets and offset < offsets[-1]):
            raise InputError(
                f"{path} line {number}: {text[:40]!r} is no arrival; give seconds from the start, "
                "0 or more, in order"
            )
        offsets.append(offset)
    kept = offsets if seconds is None else [offset for offset in offsets if offset < seconds]
    if not kept:
        raise InputError(f"{path} holds no arrivals to replay; give seconds from the start, a line")
    if len(kept) > MAX_ARRIVALS:
        raise InputError(f"{path} holds {len(kept)} arrivals; a run takes {MAX_ARRIVALS} at most")
    return kept


def scaled(offsets: Sequence[float], factor: float, seconds: float) -> list[float]:
    """``offsets`` at ``factor`` times their rate, for ``seconds`` or until they end."""
    return [at / factor for at in offsets if at / factor < seconds] or [0.0]


def rate_of(offsets: Sequence[float]) -> float:
    """Arrivals a second; 0 if all arrive at once."""
    span = offsets[-1] - offsets[0]
    return (len(offsets) - 1) / span if span else 0.0


def _count(rate: float, seconds: float) -> int:
    count = max(1, round(rate * seconds))
    if count > MAX_ARRIVALS:
        raise InputError(
            f"{rate:g} a second for {seconds:g} s are {count} arrivals; "
            f"a run takes {MAX_ARRIVALS} at most"
        )
    return count
