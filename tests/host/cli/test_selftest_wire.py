from __future__ import annotations

import pytest

from intaglio import selftest_wire, wire
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import FaultRates, ModelDevice, ModelTransport
from intaglio.wire import Op, Status


def failed(core: GoldenCore, drop: float = 0.0) -> set[str]:
    transport = ModelTransport(ModelDevice(core, FaultRates(drop=drop)))
    transport.default_timeout_s = 0.05
    return {r.check for r in selftest_wire.run_on(transport) if not r.passed}


def test_the_golden_core_keeps_to_the_protocol(run) -> None:
    assert failed(GoldenCore()) == set()
    assert failed(GoldenCore(curves=[wire.CurveId.SECP256K1])) == set()
    assert failed(GoldenCore(curves=[wire.CurveId.ED25519], key_slots=3)) == set()
    result = run("selftest", "--device", "model:", "--rounds", 2, "--json")
    assert result.status == 0
    assert len(result.json) == 20


class Leaky(GoldenCore):
    """Puts the key of slot 1 into the body of any answer it may."""

    def accept(self, payload: bytes) -> bytes | None:
        request = wire.REQUEST.unpack(payload)
        if request["op"] == 0xC3 and self.slots[1].secret:
            return self._reply(request, Status.BAD_OP, body=self.slots[1].secret[8:16])
        return super().accept(payload)


class KeepsKeys(GoldenCore):
    """A new session does not empty the slots."""

    def _zeroise_all(self) -> None:
        pass


class Forgetful(GoldenCore):
    """Executes a replayed request again."""

    def _admit(self, request: dict[str, int], body: bytes) -> Status:
        if request["tag"] == self.last_tag:
            self.last_tag -= 1
        return super()._admit(request, body)


class Careless(GoldenCore):
    """Signs whatever generation is named."""

    def _admit_slot(self, request: dict[str, int]) -> Status:
        status = super()._admit_slot(request)
        return Status.OK if status is Status.STALE_KEY else status


class Deaf(GoldenCore):
    """Answers a damaged frame as if it were whole, and does not count it."""

    def bad_frame(self) -> bytes:
        return self._reply({"op": Op.COUNTERS, "tag": self.last_tag})


class Odd(GoldenCore):
    """Answers with a status that nobody knows, and too short a record."""

    def accept(self, payload: bytes) -> bytes | None:
        request = wire.REQUEST.unpack(payload)
        if request["op"] == Op.COUNTERS:
            return self._reply(request, body=b"short")
        reply = super().accept(payload)
        if reply is not None and wire.REPLY.unpack(reply)["status"] == Status.STALE_SESSION:
            return reply[:4] + b"\x77" + reply[5:]
        return reply


@pytest.mark.parametrize(
    ("core", "caught_by"),
    [
        (Leaky, {"no way to read a key"}),
        (KeepsKeys, {"protocol: sessions"}),
        (Forgetful, {"protocol: replay"}),
        (Careless, {"protocol: refusals"}),
        (Deaf, {"protocol: damage"}),
        (Odd, {"protocol: replay", "protocol: damage", "protocol: sessions"}),
    ],
)
def test_each_fault_is_caught(core: type[GoldenCore], caught_by: set[str]) -> None:
    assert caught_by <= failed(core())


def test_a_silent_device_fails_every_check() -> None:
    assert len(failed(GoldenCore(), drop=1.0)) == 5
