"""Clock and speed, on a signer whose time the test makes."""

from __future__ import annotations

import random
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from intaglio import Curve, Identity, Key, Signature
from intaglio.curve import DEVICE_CURVES
from intaglio.selftest_time import ClockError, clock, speed
from intaglio.signer import done
from intaglio.soft import SoftSigner

CYCLES = {Curve.ED25519: 18_500, Curve.SECP256K1: 31_800}
LINK_S = 0.0004
JITTER_S = 0.001


class Board(SoftSigner):
    """Tells ``told`` Hz, runs at ``real`` Hz, behind a link that is slow and late at random."""

    def __init__(self, told: int, real: int) -> None:
        super().__init__()
        self.told, self.real, self.time = told, real, 0.0
        self.random = random.Random(3)

    @property
    def identity(self) -> Identity:
        return replace(super().identity, key_slots=16, clock_hz=self.told)

    def sign(self, key: Key, message: bytes | None = None, **options: Any) -> Signature:
        late = self.random.choice((0.0, self.random.random() * JITTER_S))
        self.time += LINK_S + late + CYCLES[key.curve] / self.real
        return super().sign(key, message, **options)._replace(cycles=CYCLES[key.curve])

    def submit(self, key: Key, message: bytes | None = None, **_: Any) -> Future[Signature]:
        return done(self.sign(key, message))

    def now(self) -> float:
        return self.time


def board(told: int, real: int) -> tuple[Board, dict[Curve, Key]]:
    signer = Board(told, real)
    return signer, {curve: signer.load_key(curve, bytes([1] * 32)) for curve in DEVICE_CURVES}


def test_the_right_clock() -> None:
    signer, keys = board(21_000_000, 21_000_000)
    assert clock(signer, keys, signer.now) == "21.0 MHz measured, 21 MHz told"


@pytest.mark.parametrize("real", [10_500_000, 15_000_000, 28_000_000])
def test_a_wrong_clock(real: int) -> None:
    signer, keys = board(21_000_000, real)
    with pytest.raises(ClockError, match=rf"{real / 1e6:.1f} MHz measured, 21 MHz told"):
        clock(signer, keys, signer.now)


def test_a_job_shorter_than_its_cycles() -> None:
    signer, keys = board(2_000_000, 21_000_000)
    with pytest.raises(ClockError, match="the clock is faster than the 2 MHz told"):
        clock(signer, keys, signer.now)


def test_what_cannot_be_measured() -> None:
    signer, keys = board(0, 21_000_000)
    assert clock(signer, keys, signer.now).startswith("none told: simulated")
    signer, keys = board(21_000_000, 21_000_000)
    del keys[Curve.SECP256K1]
    assert "one curve is too few" in clock(signer, keys, signer.now)


def test_speed() -> None:
    signer, keys = board(21_000_000, 21_000_000)
    told = speed(signer, keys, signer.now)
    assert told.startswith("measured: ed25519 ")
    rate = int(told.split("ed25519 ")[1].split()[0].replace(",", ""))
    slowest = LINK_S + JITTER_S + CYCLES[Curve.ED25519] / signer.real
    assert 1 / slowest < rate < signer.real / CYCLES[Curve.ED25519]
    signer, keys = board(0, 21_000_000)
    assert speed(signer, keys, signer.now) == (
        "simulated: ed25519 18,500 cycles a signature in company, "
        "secp256k1 31,800 cycles a signature in company"
    )
