"""A netlist of a whole board signs: frames in and out of its UART pins, as a host sends them.

Environment: ``BAUD``; ``IDENTITY``, the fields that the identity record must hold, as JSON.
"""

from __future__ import annotations

import json
import os
from importlib import resources
from typing import Any

import cocotb
from cocotb.utils import get_sim_time

from intaglio import frame, wire
from intaglio.sim import bfm
from intaglio.sim.benches.netlist_pins import Line
from intaglio.wire import CurveId, Op, Status

SESSION = 0x6A7E
PATIENCE_MS = 50
"""How long a job may take, in simulated time."""


class Host:
    """One request at a time, its reply awaited."""

    def __init__(self, dut: Any) -> None:
        self.line, self.tag = Line(dut), 0
        self.decoder = frame.Decoder(wire.MAX_REPLY_BYTES)

    async def ask(self, op: Op, body: bytes = b"", **fields: int) -> tuple[dict[str, Any], bytes]:
        """Header and body of the reply, which must be OK."""
        self.tag += 1
        header = {"version": wire.VERSION, "session": SESSION, "tag": self.tag, "op": op}
        request = wire.REQUEST.pack(**header, length=len(body), **fields) + body
        await self.line.send(frame.encode(request))
        payloads: list[bytes] = []
        while not payloads:
            payloads = self.decoder.feed(bytes([await self.line.receive(PATIENCE_MS)]))
        (reply,) = payloads
        told = wire.REPLY.unpack(reply)
        assert (told["status"], told["tag"], told["op"]) == (Status.OK, self.tag, op), told
        return told, reply[wire.REPLY.size :]


def published(curve: str) -> dict[str, str]:
    """A published vector with a message that is not empty."""
    text = (resources.files("intaglio") / "selftest_vectors.json").read_text()
    return next(v for v in json.loads(text)["vectors"] if v["curve"] == curve and v["message"])


def public_key(curve: CurveId, told: bytes) -> bytes:
    """The public key as vectors have it: of secp256k1 compressed (SEC 1, section 2.3.3)."""
    half = wire.PUBLIC_KEY_BYTES // 2
    x, y = told[:half], told[half:]
    return x if curve == CurveId.ED25519 else bytes([2 + y[-1] % 2]) + x


@cocotb.test(timeout_time=500, timeout_unit="ms")
async def signs(dut: Any) -> None:
    host = Host(dut)
    await host.line.start()
    _, body = await host.ask(Op.OPEN)
    identity = wire.IDENTITY.unpack(body)
    told = {
        name: value.rstrip(b"\0").decode() if name == "profile" else value.hex()
        for name, value in identity.items()
        if isinstance(value, bytes)
    }
    for name, value in json.loads(os.environ["IDENTITY"]).items():
        found = {**identity, **told}[name]
        assert found == value, f"{name} is {found}, not {value}"
    cycles = {}
    for slot, curve in enumerate((CurveId.ED25519, CurveId.SECP256K1)):
        vector = published(curve.name.lower())
        where = {"slot": slot, "curve": curve}
        _, body = await host.ask(Op.LOAD_KEY, bytes.fromhex(vector["secret"]), **where)
        key = wire.KEY.unpack(body)
        assert public_key(curve, key["public_key"]).hex() == vector["public_key"], vector["name"]
        message = bytes.fromhex(vector["message"])
        header, body = await host.ask(
            Op.SIGN_MESSAGE, message, generation=key["generation"], **where
        )
        assert body.hex() == vector["signature"], vector["name"]
        cycles[curve.name.lower()] = header["cycles"]
    bfm.record("cycles", cycles)
    bfm.record("milliseconds", get_sim_time("ms"))
