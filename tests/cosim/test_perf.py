from __future__ import annotations

from intaglio.curve import Curve
from intaglio.hdl.boards.build import cycles_per_signature
from intaglio.hdl.profiles import SMALL


def test_rate_of_the_small_core() -> None:
    measured = cycles_per_signature("small")
    assert list(measured) == [Curve.ED25519, Curve.SECP256K1]
    lowest = 200 * SMALL.interval
    for curve, cycles in measured.items():
        assert cycles is not None
        assert lowest < cycles < 50 * lowest, curve
