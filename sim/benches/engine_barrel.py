"""Bench of the barrel: every program on random contexts, several at once, word for word."""

from __future__ import annotations

import os
import random
from typing import Any

import cocotb
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Out
from cocotb.triggers import Lock, RisingEdge

from intaglio.hdl.blockram import BlockRom
from intaglio.hdl.engine.barrel import Barrel
from intaglio.hdl.engine.contexts import inbox_layout
from intaglio.hdl.engine.isa import (
    INBOX_WORDS,
    INSTRUCTION_BITS,
    KEY_WORDS,
    LIMBS,
    OUTBOX_WORDS,
    REGISTERS,
    WORD_BITS,
)
from intaglio.hdl.engine.issue import start_layout
from intaglio.hdl.engine.programs import Image, Program
from intaglio.hdl.engine.table import CombRoms
from intaglio.params import ED25519, SECP256K1, Weierstrass
from intaglio.sim import bfm, limbs
from intaglio.sim.model.engine import Context, EngineModel

JOBS, KEYS = 8, 8
WINDOW = int(os.environ.get("BARREL_WINDOW", "4"))
SLOTS = int(os.environ.get("BARREL_SLOTS", "2"))
SEQUENCES = (
    (Program.ED25519_SCALAR_A, Program.ED25519_COMB, Program.ED25519_POINT),
    (
        Program.ED25519_SCALAR_R,
        Program.ED25519_COMB,
        Program.ED25519_POINT,
        Program.ED25519_FINISH,
    ),
    (Program.ECDSA_SCALAR_D, Program.ECDSA_COMB, Program.ECDSA_POINT),
    (
        Program.ECDSA_SCALAR_K,
        Program.ECDSA_COMB,
        Program.ECDSA_POINT,
        Program.ECDSA_FINISH,
    ),
)
INVERSES = {
    Program.ED25519_COMB: (ED25519.p, 3, 2),
    Program.ECDSA_COMB: (SECP256K1.p, 3, 2),
    Program.ECDSA_SCALAR_K: (SECP256K1.order, 2, 3),
}
"""Modulus, outbox word and inbox word of the inversion that follows a program."""


class BarrelWithKeys(wiring.Component):
    """The barrel beside a memory of key words."""

    def __init__(
        self, *, window: int, interval: int, slots: int, curve: Weierstrass = SECP256K1
    ) -> None:
        image = Image(window, curve)
        self.barrel = Barrel(image, interval=interval, slots=slots, jobs=JOBS, keys=KEYS)
        members = dict(self.barrel.signature.members)
        for name in ("key_read", "key_word", "key_write", "program", "table", "wants_table"):
            del members[name]
        del members["may_read"]
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.barrel = barrel = self.barrel
        m.submodules.combs = combs = CombRoms(barrel.image, barrel.lanes, readers=1)
        wiring.connect(m, barrel.table, combs.reader_0)
        rom = BlockRom(width=INSTRUCTION_BITS, words=barrel.image.rom)
        m.submodules.programs = rom
        m.d.comb += [
            barrel.may_read.eq(1),
            rom.en_0.eq(barrel.program.en),
            rom.addr_0.eq(barrel.program.addr),
            barrel.program.op.as_value().eq(rom.word_0),
        ]
        count = LIMBS // barrel.lanes
        m.submodules.keys = keys = Memory(
            shape=WORD_BITS // count, depth=KEYS * KEY_WORDS * count, init=[]
        )
        read, write = keys.read_port(), keys.write_port()
        for name, member in self.signature.members.items():
            if member.is_signature:
                wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(barrel, name))
            elif member.flow == Out:
                m.d.comb += getattr(self, name).eq(getattr(barrel, name))
            else:
                m.d.comb += getattr(barrel, name).eq(getattr(self, name))
        m.d.sync += barrel.key_word.eq(read.data)
        m.d.comb += [
            read.addr.eq(Cat(barrel.key_read[name] for name in ("step", "index", "key"))),
            write.addr.eq(Cat(barrel.key_write[name] for name in ("step", "index", "key"))),
            write.data.eq(barrel.key_write.data),
            write.en.eq(barrel.key_write.enable),
        ]
        return m


class Driver:
    """Runs programs on the device and the model and compares the contexts."""

    def __init__(self, dut: Any, model: EngineModel) -> None:
        self.dut, self.model = dut, model
        self.done: dict[int, int] = {}
        self.lock = Lock()
        self.start_source = bfm.Source(dut, "start", start_layout(JOBS, KEYS))
        self.wipe_source = bfm.Source(dut, "wipe")
        self.layout = BarrelWithKeys(window=WINDOW, interval=16, slots=SLOTS).done.shape()

    async def watch(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            done = bfm.unpack(self.layout, int(self.dut.done.value))
            if done["valid"]:
                self.done[done["job"]] = done["flags"]

    async def write_inbox(self, job: int, words: list[int]) -> None:
        async with self.lock:
            for index, word in enumerate(words):
                for number, limb in enumerate(limbs.split(word)):
                    fields = {"enable": 1, "job": job, "index": index, "limb": number}
                    self.dut.inbox.value = bfm.pack(inbox_layout(JOBS), fields | {"data": limb})
                    await RisingEdge(self.dut.clk)
            self.dut.inbox.value = 0

    async def write_raw_key(self, key: int, context: Context) -> None:
        context.key[3] = edge_scalar(SECP256K1.order)
        self.write_key(key, 3, context.key[3])
        await RisingEdge(self.dut.clk)

    def key_places(self, key: int, index: int) -> list[Any]:
        """Handles of the parts of a key word."""
        count = len(self.dut.keys) // (KEYS * KEY_WORDS)
        return [self.dut.keys[(key * KEY_WORDS + index) * count + i] for i in range(count)]

    def write_key(self, key: int, index: int, word: int) -> None:
        places = self.key_places(key, index)
        bits = WORD_BITS // len(places)
        for i, place in enumerate(places):
            place.value = word >> bits * i & (1 << bits) - 1

    def read_key(self, key: int, index: int) -> int:
        places = self.key_places(key, index)
        bits = WORD_BITS // len(places)
        return sum(int(place.value) << bits * i for i, place in enumerate(places))

    async def run(self, program: Program, job: int, key: int) -> None:
        self.done.pop(job, None)
        async with self.lock:
            await self.start_source.send({"job": job, "key": key, "program": int(program)})
        while job not in self.done:
            await RisingEdge(self.dut.clk)
        for _ in range(LIMBS + 1):
            await RisingEdge(self.dut.clk)

    def memory(self, name: str) -> Any:
        return getattr(self.dut.barrel.contexts, name)

    def words(self, name: str, start: int, count: int) -> list[int]:
        """Words of a memory without their check bits."""
        return [limbs.peek(self.memory(name), start + i) for i in range(count)]

    def compare(self, job: int, key: int, context: Context) -> None:
        assert self.words("registers2", job * REGISTERS, REGISTERS) == context.registers
        assert self.words("outbox_words", job * OUTBOX_WORDS, OUTBOX_WORDS) == context.outbox
        assert self.words("digit_words", job, 1) == [context.digits]
        keys = [self.read_key(key, i) for i in range(KEY_WORDS)]
        assert keys == context.key
        flags = context.fault | context.odd << 1 | context.neg << 2 | context.over << 3
        assert self.done[job] == flags

    def is_wiped(self, job: int) -> bool:
        sizes = {
            **{f"registers{i}": REGISTERS for i in range(4)},
            "digit_words": 1,
            "outbox_words": OUTBOX_WORDS,
            "inbox_words": INBOX_WORDS,
        }
        return int(self.memory("flag_words")[job].value) == 0 and all(
            int(place.value) == 0
            for name, size in sizes.items()
            for i in range(size)
            for place in limbs.places(self.memory(name), job * size + i)
        )


def edge_scalar(order: int) -> int:
    edges = [1, 2, 3, order - 1, order - 2, order // 2, 2**255 - 1]
    return random.choice([*edges, *(random.randrange(1, order) for _ in range(6))])


async def job(driver: Driver, index: int, key: int, sequences: tuple[Any, ...]) -> None:
    context = Context()
    for sequence in sequences:
        of_ed25519 = sequence[0].name.startswith("ED25519")
        order = ED25519.order if of_ed25519 else SECP256K1.order
        await driver.write_raw_key(key, context)
        for program in sequence:
            if "SCALAR" in program.name or program == Program.ED25519_FINISH:
                context.inbox[:2] = [edge_scalar(order), edge_scalar(order)]
                await driver.write_inbox(index, context.inbox)
            await driver.run(program, index, key)
            driver.model.run(program, context)
            driver.compare(index, key, context)
            if program in INVERSES:
                driver.model.invert(context, *INVERSES[program])
                await driver.write_inbox(index, context.inbox)
        async with driver.lock:
            await driver.wipe_source.send(index)
        for _ in range(2):  # the second edge writes the last word
            await RisingEdge(driver.dut.clk)
        assert driver.is_wiped(index)
        context = Context(key=context.key)


@cocotb.test()
async def programs_equal_the_model(dut: Any) -> None:
    driver = Driver(dut, EngineModel(Image(WINDOW)))
    dut.inbox.value = 0
    dut.outbox.value = 0
    dut.digest.value = 0
    await bfm.start(dut)
    cocotb.start_soon(driver.watch())
    pairs = [SEQUENCES[:2], SEQUENCES[2:]]
    tasks = [cocotb.start_soon(job(driver, i, i, pairs[i % 2])) for i in range(4)]
    for task in tasks:
        await bfm.within(400_000, task, "the programs")
    assert all(limbs.peek(dut.barrel.high_words, i) == 0 for i in range(SLOTS))
    bfm.record("issued", driver.model.issued)
