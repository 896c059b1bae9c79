"""Bench of the whole core under load: clocks a signature."""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb

from intaglio import wire
from intaglio.curve import DEVICE_CURVES
from intaglio.sim import bfm
from intaglio.sim.benches.core_host import CURVES, Host, secret, split
from intaglio.wire import CurveId, Op, Status

WARM, MEASURED = 2, 4
"""Rounds of as many jobs as the core holds: before the measurement, and during it."""

MESSAGE_BYTES = 100
"""Length of an Ed25519 message, that of a typical order; secp256k1 signs digests."""


@cocotb.test()
async def steady_rate(dut: Any) -> None:
    """Every job slot is taken again as soon as its reply is out, one curve at a time."""
    host = Host(dut)
    await host.start()
    await host.open()
    jobs = int(os.environ["JOBS"])
    rates = {}
    for slot, curve in enumerate(CURVES):
        generation = (await host.load(slot, curve, secret(curve)))["generation"]

        def request(slot: int = slot, curve: CurveId = curve, of: int = generation) -> bytes:
            op, size = (
                (Op.SIGN_MESSAGE, MESSAGE_BYTES)
                if curve == CurveId.ED25519
                else (Op.SIGN_DIGEST, wire.DIGEST_BYTES)
            )
            body = random.randbytes(size)
            return host.request(op, body, slot=slot, curve=curve, generation=of)

        for _ in range(jobs):
            await host.send(request())
        ends = []
        for left in reversed(range((WARM + MEASURED + 1) * jobs)):
            (reply,) = await host.gathered(1)
            header, _ = split(reply)
            assert header["status"] == Status.OK, header
            ends.append(bfm.cycle())
            if left >= jobs:
                await host.send(request())
        await host.idle()
        clocks = ends[(WARM + MEASURED) * jobs - 1] - ends[WARM * jobs - 1]
        (name,) = (each.value for each in DEVICE_CURVES if each.wire_id == curve)
        rates[name] = round(clocks / (MEASURED * jobs))
    bfm.record("cycles_per_signature", rates)
