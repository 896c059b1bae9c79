"""Bench of the whole core: published vectors, as the file named by ``VECTORS`` (JSON) lists them.

Each is ``{"curve": code, "op": code, "key", "body", "public": hex}`` and may have ``"signature"``;
the signatures made are recorded as ``"signatures"``, in the same order.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cocotb

from intaglio import wire
from intaglio.hdl.profiles import SMALL
from intaglio.sim import bfm
from intaglio.sim.benches.core_host import Host, split
from intaglio.wire import Op, Status


async def answers(host: Host, requests: list[bytes]) -> list[bytes]:
    """Bodies of the replies to requests that must succeed, in the order of these."""
    for payload in requests:
        await host.send(payload)
    bodies = {}
    for reply in await host.gathered(len(requests)):
        header, body = split(reply)
        assert header["status"] == Status.OK, header
        bodies[header["tag"]] = body
    return [bodies[wire.REQUEST.unpack(payload)["tag"]] for payload in requests]


@cocotb.test()
async def vectors(dut: Any) -> None:
    """Each key loaded, its public key compared, its message signed."""
    host = Host(dut)
    await host.start()
    await host.open()
    everything = json.loads(Path(os.environ["VECTORS"]).read_text())
    signatures = []
    for start in range(0, len(everything), SMALL.key_slots):
        batch = everything[start : start + SMALL.key_slots]
        loads = [
            host.request(Op.LOAD_KEY, bytes.fromhex(item["key"]), slot=slot, curve=item["curve"])
            for slot, item in enumerate(batch)
        ]
        keys = [wire.KEY.unpack(body) for body in await answers(host, loads)]
        for item, key in zip(batch, keys, strict=True):
            public = bytes.fromhex(item["public"])
            assert key["public_key"] == public.ljust(wire.PUBLIC_KEY_BYTES, b"\0"), item
        signs = [
            host.request(
                item["op"],
                bytes.fromhex(item["body"]),
                slot=slot,
                curve=item["curve"],
                generation=keys[slot]["generation"],
            )
            for slot, item in enumerate(batch)
        ]
        for item, body in zip(batch, await answers(host, signs), strict=True):
            assert body.hex() == item.get("signature", body.hex()), item
            signatures.append(body.hex())
    bfm.record("signatures", signatures)
