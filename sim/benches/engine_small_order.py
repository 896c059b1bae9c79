"""Bench of ECDSA on the barrel at orders below 2^256 (CURVE), with chosen nonces and R.x.

Every word is compared with the instruction model, every signature with plain integers.
"""

from __future__ import annotations

import os
import random
from typing import Any, NamedTuple

import cocotb
from cocotb.triggers import RisingEdge, ValueChange

from intaglio.hdl.engine.assembler import SHARED
from intaglio.hdl.engine.isa import LIMBS, REGISTERS
from intaglio.hdl.engine.programs import Image, Program
from intaglio.hdl.engine.programs import ecdsa as ecdsa_programs
from intaglio.params import SECP256K1
from intaglio.sim import bfm, limbs
from intaglio.sim.benches.engine_barrel import Driver
from intaglio.sim.model import ecdsa
from intaglio.sim.model.engine import Context, EngineModel
from intaglio.sim.model.rfc6979 import nonce

CURVES = {"twist_12": ecdsa.TWIST_12, "twist_220": ecdsa.TWIST_220, "secp256k1": SECP256K1}
CURVE = CURVES[os.environ["CURVE"]]
WINDOW = int(os.environ["BARREL_WINDOW"])
COUNT = int(os.environ["COUNT"])
"""Signatures of random digests."""
JOBS_AT_ONCE = 4
CLOCKS_PER_CASE = 200_000
N, P = CURVE.order, CURVE.p
Inversion = tuple[int, int, int]
Z_INVERSE: Inversion = (P, ecdsa_programs.OUT_Z, ecdsa_programs.IN_Z_INVERSE)
K_INVERSE: Inversion = (N, ecdsa_programs.OUT_K, ecdsa_programs.IN_K_INVERSE)
"""Modulus, outbox word and inbox word of the inversions that follow a program."""


class Case(NamedTuple):
    """A signature to make: key, z, nonce, and R.x in place of the true one unless None."""

    d: int
    z: int
    k: int
    x: int | None = None


POINT = (Program.ECDSA_COMB, Program.ECDSA_POINT)
INVERSES = {
    Program.ECDSA_COMB: (CURVE.p, 3, 2),
    Program.ECDSA_SCALAR_K: (CURVE.order, 2, 3),
}
"""Modulus, outbox word and inbox word of the inversion that follows a program."""


class EventDriver(Driver):
    """A :class:`Driver` that sleeps until something ends."""

    async def watch(self) -> None:
        while True:
            await ValueChange(self.dut.done)
            done = bfm.unpack(self.layout, int(self.dut.done.value))
            if done["valid"]:
                self.done[done["job"]] = done["flags"]

    async def run(self, program: Program, job: int, key: int) -> None:
        self.done.pop(job, None)
        async with self.lock:
            await self.start_source.send({"job": job, "key": key, "program": int(program)})
        while job not in self.done:
            await ValueChange(self.dut.done)
        for _ in range(LIMBS + 1):
            await RisingEdge(self.dut.clk)

    async def force_x(self, job: int, context: Context, x: int) -> None:
        context.registers[SHARED["x"]] = x
        for copy in range(4):
            limbs.poke(self.memory(f"registers{copy}"), job * REGISTERS + SHARED["x"], x)
        await RisingEdge(self.dut.clk)

    async def execute(
        self, job: int, context: Context, program: Program, inversions: tuple[Inversion, ...] = ()
    ) -> None:
        """Run ``program`` here and on the model, compare, then do ``inversions`` for both."""
        await self.run(program, job, job)
        self.model.run(program, context)
        self.compare(job, job, context)
        for inversion in inversions:
            self.model.invert(context, *inversion)
            await self.write_inbox(job, context.inbox)

    async def wipe(self, job: int) -> None:
        async with self.lock:
            await self.wipe_source.send(job)


def cases() -> list[Case]:
    def scalar() -> int:
        return random.randrange(1, N)

    chosen = []
    for _ in range(COUNT):
        d, digest = scalar(), random.getrandbits(256)
        chosen.append(Case(d, ecdsa.leftmost_bits(CURVE, digest), nonce(N, d, digest)[0]))
    for x in (0, 1, N - 1, N, N + 1, P // N * N, P - 1):
        chosen.append(Case(scalar(), scalar(), scalar(), x))
    for s in (0, 1, N // 2, N // 2 + 1, N - 1):
        d, k = scalar(), scalar()
        point = ecdsa.multiply(CURVE, k, CURVE.base)
        assert point is not None
        chosen.append(Case(d, (s * k - point[0] * d) % N, k))
    random.shuffle(chosen)
    return chosen


def expected_of(case: Case) -> tuple[int, int] | None:
    """r and low s, or None for a fault."""
    point = ecdsa.multiply(CURVE, case.k, CURVE.base)
    assert point is not None
    r = (point[0] if case.x is None else case.x) % N
    s = pow(case.k, -1, N) * (case.z + r * case.d) % N
    return (r, min(s, N - s)) if r and s else None


async def run_all(
    driver: EventDriver, context: Context, job: int, programs: tuple[Program, ...]
) -> None:
    """Run programs and the inversions between them, on the barrel and the model."""
    for program in programs:
        await driver.run(program, job, job)
        driver.model.run(program, context)
        if program in INVERSES:
            driver.model.invert(context, *INVERSES[program])
            await driver.write_inbox(job, context.inbox)


async def sign(driver: EventDriver, case: Case, job: int) -> Context:
    """Load the key of ``case`` and sign on context ``job`` with key slot ``job``."""
    key = [0, 0, 0, case.d]
    for index, word in enumerate(key):
        driver.write_key(job, index, word)
    await RisingEdge(driver.dut.clk)
    context = Context(key=key)
    await run_all(driver, context, job, (Program.ECDSA_SCALAR_D, *POINT))
    driver.compare(job, job, context)
    assert tuple(context.outbox[:2]) == ecdsa.multiply(CURVE, case.d, CURVE.base)
    await driver.wipe(job)

    context = Context(key=context.key, inbox=[case.z, case.k, 0, 0])
    await driver.write_inbox(job, context.inbox)
    await run_all(driver, context, job, (Program.ECDSA_SCALAR_K, *POINT))
    driver.compare(job, job, context)
    if case.x is not None:
        await driver.force_x(job, context, case.x)
    await driver.run(Program.ECDSA_FINISH, job, job)
    driver.model.run(Program.ECDSA_FINISH, context)
    driver.compare(job, job, context)
    await driver.wipe(job)
    return context


async def work(driver: EventDriver, job: int, queue: list[Case], seen: dict[str, int]) -> None:
    while queue:
        case = queue.pop()
        context = await sign(driver, case, job)
        expected = expected_of(case)
        assert context.fault == (expected is None)
        seen["faults"] += context.fault
        if expected is None:
            continue
        assert tuple(context.outbox[2:]) == expected
        if case.x is None:
            signed = ecdsa.sign_with(CURVE, case.d, case.z, case.k)
            assert signed is not None
            assert context.recid == signed.recid
        else:
            assert context.over == (case.x >= N)
        seen[f"recid {context.recid}"] = seen.get(f"recid {context.recid}", 0) + 1


@cocotb.test()
async def signatures(dut: Any) -> None:
    driver = EventDriver(dut, EngineModel(Image(WINDOW, CURVE)))
    dut.inbox.value = 0
    dut.outbox.value = 0
    dut.digest.value = 0
    await bfm.start(dut)
    cocotb.start_soon(driver.watch())
    queue, seen = cases(), {"faults": 0}
    count = len(queue)
    tasks = [cocotb.start_soon(work(driver, job, queue, seen)) for job in range(JOBS_AT_ONCE)]
    for task in tasks:
        await bfm.within(CLOCKS_PER_CASE * count, task, "the signatures")
    assert not queue
    bfm.record("signed", count)
    for what, times in seen.items():
        bfm.record(what, times)
