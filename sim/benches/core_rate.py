"""Bench of :class:`intaglio.sim.probe.Probe`: clocks a signature under load, and where they go.

Environment: ``PROFILE``, and ``ROUNDS`` to measure, each of as many jobs as the core holds. Records
a list with what :data:`intaglio.sim.perf.Figures` says of each curve.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from intaglio import wire
from intaglio.hdl.engine.programs import Program
from intaglio.sim import bfm
from intaglio.sim.benches.core_host import CURVES, PROFILE, Host, secret, split
from intaglio.sim.probe import Counts, Kind, events_layout
from intaglio.wire import CurveId, Op, Status

JOBS, KEYS = PROFILE.job_slots, PROFILE.key_slots

WARM, MEASURED = 2, int(os.environ["ROUNDS"])
"""Rounds of as many jobs as the core holds: before the measurement, and during it."""

MESSAGE_BYTES = 100
"""Length of an Ed25519 message, that of a typical order; secp256k1 signs digests."""

Stage = list[Any]
"""Name of a station or program; clocks that a job waited for it; clocks it took."""

BEGINS = {
    Kind.SHA512: "SHA-512",
    Kind.NONCE: "RFC 6979",
    Kind.INVERT: "inversion",
    Kind.FINISH: "reply and wiping",
}
ENDS = (Kind.HASHED, Kind.EXECUTED, Kind.INVERTED, Kind.FREE)


class Tracer:
    """Follows every job from station to station while :meth:`run` runs."""

    LAYOUT = events_layout(JOBS, PROFILE.barrels)

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.done: list[list[Stage]] = []
        """Stages of each job that began and ended while this ran."""
        self._open: dict[int, list[Stage]] = {}
        self._since: dict[int, int] = {}

    async def run(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            if int(self.dut.any_event.value):
                self._note(int(self.dut.events.value), bfm.cycle())

    def _note(self, value: int, now: int) -> None:
        for kind in Kind:
            field = self.LAYOUT[kind.name.lower()]
            events = value >> field.offset
            for n in range(field.shape.length):
                layout = field.shape.elem_shape
                told = bfm.unpack(layout, events >> n * layout.size & (1 << layout.size) - 1)
                if told["valid"]:
                    self._follow(kind, told, now)

    def _follow(self, kind: Kind, told: dict[str, int], now: int) -> None:
        job = told["job"]
        if kind == Kind.NEW:
            self._open[job] = []
        elif job not in self._open:
            return  # began before this ran
        elif kind in ENDS:
            self._open[job][-1][2] = now - self._since[job]
            if kind == Kind.FREE:
                self.done.append(self._open.pop(job))
        else:
            name = BEGINS.get(kind) or _program(told["program"])
            self._open[job].append([name, now - self._since[job], 0])
        self._since[job] = now


def _program(code: int) -> str:
    name = Program(code).name.partition("_")[2]
    return name.split("_")[0].lower()


def mean(timelines: Iterable[list[Stage]]) -> list[Stage]:
    """One timeline with the mean of each time; all have the same stages."""
    told = []
    for stages in zip(*timelines, strict=True):
        (name,) = {stage[0] for stage in stages}
        waits, works = ([stage[i] for stage in stages] for i in (1, 2))
        told.append([name, round(sum(waits) / len(waits)), round(sum(works) / len(works))])
    return told


def counts(dut: Any) -> dict[str, int]:
    return bfm.unpack(Counts, int(dut.counts.value))


class Load:
    """Requests of one curve, over every key slot in turn."""

    def __init__(self, host: Host, curve: CurveId) -> None:
        self.host, self.curve, self.slot = host, curve, 0
        self.generations: list[int] = []

    async def load_keys(self) -> None:
        host = self.host
        for slot in range(KEYS):
            payload = host.request(Op.LOAD_KEY, secret(self.curve), slot=slot, curve=self.curve)
            await host.send(payload)
        records = {}
        for reply in await host.gathered(KEYS):
            header, body = split(reply)
            assert header["status"] == Status.OK, header
            records[header["tag"]] = wire.KEY.unpack(body)["generation"]
        self.generations = [records[tag] for tag in sorted(records)]
        await host.idle()

    def request(self) -> bytes:
        self.slot = (self.slot + 1) % KEYS
        op, size = (
            (Op.SIGN_MESSAGE, MESSAGE_BYTES)
            if self.curve == CurveId.ED25519
            else (Op.SIGN_DIGEST, wire.DIGEST_BYTES)
        )
        fields = {"slot": self.slot, "generation": self.generations[self.slot]}
        return self.host.request(op, random.randbytes(size), curve=self.curve, **fields)


@cocotb.test()
async def steady_rate(dut: Any) -> None:
    """One job alone; then every job slot is taken again as soon as its reply is out."""
    host = Host(dut)
    await host.start()
    await host.open()
    figures = []
    for curve in CURVES:
        load = Load(host, curve)
        await load.load_keys()
        alone = Tracer(dut)
        following = cocotb.start_soon(alone.run())
        header, _ = split(await host.transact(load.request()))
        following.cancel()
        assert header["status"] == Status.OK, header
        figures.append({"curve": curve.name, "latency_cycles": header["cycles"]})
        figures[-1] |= await under_load(dut, load)
        figures[-1]["timeline"]["alone"] = mean(alone.done)
    bfm.record("figures", figures)


async def under_load(dut: Any, load: Load) -> dict[str, Any]:
    """Clocks and counts of ``MEASURED`` rounds, and the mean timeline of their jobs."""
    host = load.host
    tracer, following = Tracer(dut), None
    issued, jobs = counts(dut)["issued"], (WARM + MEASURED + 1) * JOBS
    for _ in range(JOBS):
        await host.send(load.request())
    marks = []
    for left in reversed(range(jobs)):
        (reply,) = await host.gathered(1)
        header, _ = split(reply)
        assert header["status"] == Status.OK, header
        ended = jobs - left
        if ended in (WARM * JOBS, (WARM + MEASURED) * JOBS):
            marks.append((bfm.cycle(), counts(dut)))
            if following is None:
                following = cocotb.start_soon(tracer.run())
            else:
                following.cancel()
        if left >= JOBS:
            await host.send(load.request())
    await host.idle()
    issued = counts(dut)["issued"] - issued
    (begin, before), (end, after) = marks
    return {
        "signatures": MEASURED * JOBS,
        "products_per_signature": issued / jobs,
        "clocks": end - begin,
        "counts": {name: after[name] - before[name] for name in after},
        "timeline": {"loaded": mean(tracer.done)},
    }
