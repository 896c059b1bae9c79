"""Bench of :class:`intaglio.hdl.keystore.KeyStore` against a plain model of its slots.

Environment: ``SLOTS``, ``JOBS``.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio import wire
from intaglio.hdl import keystore
from intaglio.hdl.keystore import Action, State
from intaglio.sim import bfm

SLOTS = int(os.environ.get("SLOTS", "16"))
JOBS = int(os.environ.get("JOBS", "4"))
COMMAND, FINISH, INFO = keystore.Command(SLOTS), keystore.Finish(SLOTS), keystore.Info(JOBS)


@dataclass
class Slot:
    """What a slot must look like."""

    state: int = State.EMPTY.value
    curve: int = 0
    generation: int = 0
    jobs: int = 0

    def renew(self, state: State, curve: int = 0) -> None:
        self.state, self.curve = state.value, curve
        self.generation = (self.generation + 1) % (1 << keystore.GENERATION_BITS)


class Store:
    """The unit's ports and the model of its slots."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.commands = bfm.Source(dut, "command", COMMAND)
        self.finishes = bfm.Source(dut, "finish", FINISH)
        self.slots = [Slot() for _ in range(SLOTS)]
        for name in ("acquire", "release", "write__en", "engine__en", "hash__en", "public__en"):
            getattr(dut, name).value = 0

    async def ready(self) -> int:
        """Wait until ``busy`` is low; clocks that took."""
        start = bfm.cycle()
        await ReadOnly()
        while int(self.dut.busy.value):
            await RisingEdge(self.dut.clk)
            await ReadOnly()
        await RisingEdge(self.dut.clk)
        return bfm.cycle() - start - 1

    async def begin(self, slot: int, curve: wire.CurveId) -> None:
        await self.commands.send(
            {"action": Action.BEGIN_LOAD.value, "slot": slot, "curve": curve.value}
        )
        self.slots[slot].renew(State.LOADING, curve.value)
        await self.ready()

    async def finish(self, slot: int, ok: bool) -> None:
        await self.finishes.send({"slot": slot, "ok": int(ok)})
        if self.slots[slot].state == State.LOADING.value:
            if ok:
                self.slots[slot].state = State.READY.value
            else:
                self.slots[slot].renew(State.EMPTY)
        await self.ready()

    async def wipe(self, slot: int) -> None:
        await self.commands.send({"action": Action.WIPE.value, "slot": slot})
        self.slots[slot].renew(State.EMPTY)
        await self.ready()

    async def wipe_all(self) -> None:
        await self.commands.send({"action": Action.WIPE_ALL.value})
        for slot in self.slots:
            slot.renew(State.EMPTY)
        await self.ready()

    async def write(self, slot: int, index: int, value: int) -> None:
        self.dut.write__slot.value = slot
        self.dut.write__index.value = index
        self.dut.write__data.value = value
        self.dut.write__en.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.write__en.value = 0

    async def read(self, port: str, slot: int, index: int) -> int:
        getattr(self.dut, f"{port}__slot").value = slot
        getattr(self.dut, f"{port}__index").value = index
        getattr(self.dut, f"{port}__en").value = 1
        await RisingEdge(self.dut.clk)
        getattr(self.dut, f"{port}__en").value = 0
        await ReadOnly()
        value = int(getattr(self.dut, f"{port}__data").value)
        await RisingEdge(self.dut.clk)
        return value

    async def damaged(self, port: str, slot: int, index: int) -> bool:
        await self.read(port, slot, index)
        await ReadOnly()
        damaged = bool(int(getattr(self.dut, f"{port}__damaged").value))
        await RisingEdge(self.dut.clk)
        return damaged

    async def load(self, slot: int, curve: wire.CurveId) -> list[int]:
        """Load random words, secret ones first."""
        await self.begin(slot, curve)
        words = [random.getrandbits(256) | 1 for _ in keystore.Word]
        for index, word in enumerate(words):
            await self.write(slot, index, word)
        await self.finish(slot, True)
        return words

    async def check(self) -> None:
        """Every slot looks like its model."""
        for n, slot in enumerate(self.slots):
            self.dut.slot_0.value = n
            await ReadOnly()
            assert bfm.unpack(INFO, int(self.dut.info_0.value)) == vars(slot), n
            await RisingEdge(self.dut.clk)

    async def stored(self) -> list[int]:
        """All words of both memories, two clocks after the edge that came last, without guards."""
        await RisingEdge(self.dut.clk)
        await RisingEdge(self.dut.clk)
        await ReadOnly()
        size = SLOTS * keystore.SECRET_WORDS
        secrets, copy = (
            [int(memory.words[n].value) for n in range(size)]
            for memory in (self.dut.secrets, self.dut.secrets_copy)
        )
        assert secrets == copy
        publics = [
            int(self.dut.publics.words[n].value) for n in range(SLOTS * keystore.PUBLIC_WORDS)
        ]
        await RisingEdge(self.dut.clk)
        words = [bfm.unpack(keystore.Stored, stored) for stored in secrets + publics]
        assert all(bool(each["word"]) >= bool(each["guard"]) for each in words), "a guard is left"
        return [each["word"] for each in words]

    def outputs(self) -> list[int]:
        return [int(getattr(self.dut, f"{p}__data").value) for p in ("engine", "hash", "public")]


async def started(dut: Any) -> Store:
    store = Store(dut)
    await bfm.start(dut)
    await store.ready()
    return store


@cocotb.test()
async def words(dut: Any) -> None:
    """Words of full slots come back from the right port and from no other."""
    store = await started(dut)
    keys = [await store.load(n, wire.CurveId(1 + n % 2)) for n in range(SLOTS)]
    await store.check()
    for n, key in enumerate(keys):
        for index in range(keystore.SECRET_WORDS):
            assert await store.read("engine", n, index) == key[index]
            assert await store.read("hash", n, index) == key[index]
        for index in range(keystore.PUBLIC_WORDS):
            assert await store.read("public", n, index) == key[4 + index]
    assert sorted(await store.stored()) == sorted(word for key in keys for word in key)


@cocotb.test()
async def altered_words(dut: Any) -> None:
    """A bit flipped in a stored word, or in its guard, shows when the word is read, only then."""
    store = await started(dut)
    await store.load(1, wire.CurveId.ED25519)
    ports = {
        "engine": dut.secrets.words,
        "hash": dut.secrets_copy.words,
        "public": dut.publics.words,
    }
    for port, memory in ports.items():
        words = keystore.PUBLIC_WORDS if port == "public" else keystore.SECRET_WORDS
        for bit in random.sample(range(keystore.Stored.size), 20):
            index = random.randrange(words)
            word = memory[words + index]
            whole = int(word.value)
            assert not await store.damaged(port, 1, index)
            word.value = whole ^ 1 << bit
            await RisingEdge(dut.clk)
            assert await store.damaged(port, 1, index)
            assert not await store.damaged(port, 1, index ^ 1)
            assert not await store.damaged(port, 2, index)
            word.value = whole
            await RisingEdge(dut.clk)


@cocotb.test()
async def wipes(dut: Any) -> None:
    """A wipe leaves no word of its slot, in memory or at an output, and all of the others."""
    store = await started(dut)
    keys = [await store.load(n, wire.CurveId.ED25519) for n in range(SLOTS)]
    gone: set[int] = set()

    async def check_gone() -> None:
        assert not gone & set(await store.stored())
        assert not gone & set(store.outputs())
        await store.check()

    for n in (3, SLOTS - 1, 0):
        for port, index in (("engine", 1), ("hash", 3), ("public", 1)):
            await store.read(port, n, index)
        await store.wipe(n)
        gone |= set(keys[n])
        await check_gone()
        kept = {word for k, key in enumerate(keys) if k not in (0, 3, SLOTS - 1) for word in key}
        assert kept <= set(await store.stored())
    gone |= set(await store.load(3, wire.CurveId.SECP256K1))
    await store.begin(3, wire.CurveId.ED25519)
    await check_gone()
    word = random.getrandbits(256)
    await store.write(3, 0, word)
    assert word in await store.stored()
    await store.finish(3, False)
    gone.add(word)
    await check_gone()
    await store.wipe_all()
    assert not any(await store.stored())
    await store.check()


@cocotb.test()
async def writes_need_a_loading_slot(dut: Any) -> None:
    """Words for an empty, ready or wiped slot are not stored; its load's end is ignored."""
    store = await started(dut)
    key = await store.load(1, wire.CurveId.ED25519)
    before = await store.stored()
    for slot in (0, 1, 2):
        for index in range(6):
            await store.write(slot, index, random.getrandbits(256))
    assert await store.stored() == before
    assert await store.read("engine", 1, 2) == key[2]
    await store.begin(2, wire.CurveId.SECP256K1)
    await store.wipe_all()
    await store.write(2, 1, 77)
    await store.finish(2, True)
    assert not any(await store.stored())
    await store.check()


@cocotb.test()
async def writes_beside_a_wipe(dut: Any) -> None:
    """Words of one slot written while another one is wiped arrive, and the wipe is complete."""
    store = await started(dut)
    for _ in range(20):
        wiped, loaded = random.sample(range(SLOTS), 2)
        await store.load(wiped, wire.CurveId.ED25519)
        await store.begin(loaded, wire.CurveId.ED25519)
        await store.commands.send({"action": Action.WIPE.value, "slot": wiped})
        store.slots[wiped].renew(State.EMPTY)
        key = [random.getrandbits(256) | 1 for _ in range(6)]
        for index, word in enumerate(key):
            await store.write(loaded, index, word)
            for _ in range(random.randrange(2)):
                await RisingEdge(dut.clk)
        await store.ready()
        await store.finish(loaded, True)
        assert sorted(w for w in await store.stored() if w) == sorted(key)
        await store.wipe(loaded)


@cocotb.test()
async def job_counts(dut: Any) -> None:
    """Random acquires and releases, often of one slot in the same clock."""
    store = await started(dut)
    for _ in range(300):
        taken = [n for n, slot in enumerate(store.slots) if slot.jobs < JOBS]
        given = [n for n, slot in enumerate(store.slots) if slot.jobs]
        for port, among, step in (("acquire", taken, 1), ("release", given, -1)):
            fires = bool(among) and random.random() < 0.7
            getattr(dut, port).value = int(fires)
            if fires:
                n = random.choice(among[:3])
                getattr(dut, f"{port}_slot").value = n
                store.slots[n].jobs += step
        await RisingEdge(dut.clk)
        dut.acquire.value = 0
        dut.release.value = 0
    await store.check()


@cocotb.test()
async def reset_zeroises(dut: Any) -> None:
    """A reset leaves every slot empty and every word zero, also in the middle of a wipe."""
    store = await started(dut)
    for n in range(SLOTS):
        await store.load(n, wire.CurveId.ED25519)
    await store.commands.send({"action": Action.WIPE.value, "slot": 1})
    assert any(await store.stored())
    await bfm.reset(dut)
    bfm.record("reset_cycles", 1 + await store.ready())
    assert not any(await store.stored())
    store.slots = [Slot() for _ in range(SLOTS)]
    await store.check()
    await store.commands.send({"action": Action.WIPE.value, "slot": 1})
    bfm.record("wipe_cycles", await store.ready())
