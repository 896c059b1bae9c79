from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

import intaglio
from intaglio import Counters, Curve, Identity, Key, Signature, selftest
from intaglio.signer import done
from intaglio.soft import SoftSigner


def test_software_passes(run) -> None:
    result = run("selftest", "--rounds", 8, "--json")
    assert result.status == 0
    assert all(row["passed"] for row in result.json)
    assert len(result.json) == 18
    assert "18 of 18 checks passed" in run("selftest", "--rounds", 2).out


class Broken(SoftSigner):
    """Software with one fault, chosen by name."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.turn = 0

    @property
    def identity(self) -> Identity:
        slots = 4 if self.fault in ("cycles", "mixed keys") else 0
        return replace(super().identity, key_slots=slots)

    def _sign(
        self, key: Key, message: bytes | None, digest: bytes | None, *options: Any
    ) -> Signature:
        if self.fault == "long" and message is not None and len(message) > 4096:
            message = message[:4096]
        if self.fault == "mixed keys" and len(self._keys) > 4:
            key = next(k for k in self._keys if k.curve is key.curve)
        signature = super()._sign(key, message, digest, *options)
        self.turn += 1
        if self.fault == "cycles":
            return signature._replace(cycles=1000 + self.turn)
        if self.fault == "recid" and signature.recid is not None:
            return signature._replace(recid=signature.recid ^ 1)
        if self.fault == "bit" and self.turn == 40:
            return signature._replace(raw=signature.raw[:-1] + bytes([signature.raw[-1] ^ 1]))
        return signature

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        return done(None) if self.fault == "wipe" else super().submit_wipe(key)

    def submit_counters(self) -> Future[Counters]:
        return done(Counters()) if self.fault == "counters" else super().submit_counters()


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("long", {"ed25519: lengths", "secp256k1: lengths"}),
        ("mixed keys", {"keys kept apart"}),
        ("cycles", {"time does not tell"}),
        ("recid", {"secp256k1: equal to libsecp256k1", "secp256k1: digests"}),
        ("bit", {"ed25519: lengths"}),
        ("wipe", {"wiping"}),
        ("counters", {"counters"}),
    ],
)
def test_each_fault_is_caught(run, monkeypatch, fault: str, caught_by: set[str]) -> None:
    failed = {r.check for r in selftest.run(Broken(fault)) if not r.passed}
    assert caught_by <= failed
    monkeypatch.setattr(intaglio, "open", lambda url, **_: Broken(fault))
    result = run("selftest")
    assert result.status == 1
    assert "FAIL" in result.out


def test_a_single_curve_device_is_tested_on_that_curve() -> None:
    class OneCurve(SoftSigner):
        @property
        def identity(self) -> Identity:
            return replace(super().identity, curves=(Curve.SECP256K1,))

    results = list(selftest.run(OneCurve(), rounds=2))
    assert all(result.passed for result in results)
    assert not any("ed25519" in result.check for result in results)
