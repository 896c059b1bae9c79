"""Ours beside the libraries and SDKs, as ``intaglio bench --compare`` tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intaglio.bench.calls import NEEDS, Pair, available, compare, pairs
from intaglio.errors import InputError
from intaglio.signer import Signer

ROUNDS = 7
"""Interleaved rounds whose medians are told."""

EXTRAS = {
    "hyperliquid_order": "hyperliquid",
    "eip712": "eth",
    "eip1559": "eth",
    "ccxt_hyperliquid": "ccxt",
}
"""Extra that brings the packages of each call that needs any."""


@dataclass(frozen=True, slots=True)
class Row:
    """One call: microseconds of it, and signatures (not calls) a second at its median."""

    call: str
    p50_us: float
    p99_us: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """``ratios`` are peer time / our time by call, ``None`` where a package is missing."""

    rows: list[Row]
    ratios: dict[str, float | None]
    missing: dict[str, str]
    """What to install for each call that was not measured."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [
            {
                "call": row.call,
                "p50_us": row.p50_us,
                "p99_us": row.p99_us,
                "per_second": row.per_second,
            }
            for row in self.rows
        ]
        return {"rows": rows, "ratios": self.ratios, "missing": self.missing}


def compared(signer: Signer, rounds: int = ROUNDS, scale: float = 1.0) -> Comparison:
    """Measure all calls whose packages are installed; ``scale`` shortens or lengthens a round.

    Raises :class:`InputError` for a simulated device, whose seconds say nothing, and if a call of
    ours and its peer return different results.
    """
    identity = signer.identity
    if identity.key_slots and not identity.clock_hz:
        raise InputError(
            f"{identity.name} is simulated and its seconds say nothing: compare soft: or a board"
        )
    names = available()
    with pairs(signer, names) as made:
        measured = compare(made, rounds, scale)
        of_name = {pair.name: pair for pair in made}
    rows: list[Row] = []
    ratios: dict[str, float | None] = dict.fromkeys(NEEDS)
    for one in measured:
        pair = of_name[one.name]
        rows.append(_row(pair, "intaglio", one.ours_p50_us, one.ours_p99_us))
        rows.append(_row(pair, pair.peer_name, one.peer_p50_us, one.peer_p99_us))
        ratios[one.name] = round(one.ratio, 3)
    missing = {
        name: f"pip install 'intaglio[{EXTRAS[name]}]'" for name in EXTRAS if name not in names
    }
    return Comparison(rows, ratios, missing)


def _row(pair: Pair, who: str, p50_us: float, p99_us: float) -> Row:
    rate = pair.jobs * 1e6 / p50_us
    return Row(f"{pair.name}: {who}", round(p50_us, 3), round(p99_us, 3), round(rate, 1))
