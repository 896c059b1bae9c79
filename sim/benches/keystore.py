"""Bench of :class:`intaglio.hdl.keystore.KeyStore` against a plain model of its slots.

Environment: ``SLOTS``, ``JOBS``, ``LANES``.
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
from intaglio.hdl.engine.isa import LIMB_BITS, LIMBS, WORD_BITS
from intaglio.hdl.keystore import PUBLIC_WORDS, SECRET_WORDS, Action, State
from intaglio.hdl.limbram import Stored
from intaglio.sim import bfm, limbs

SLOTS = int(os.environ.get("SLOTS", "16"))
JOBS = int(os.environ.get("JOBS", "4"))
LANES = int(os.environ.get("LANES", "1"))
ENGINES = [f"engine_{n}" for n in range(int(os.environ.get("ENGINES", "1")))]
STEPS = LIMBS // LANES
PORTS = {
    **{name: (f"secrets{n}", STEPS) for n, name in enumerate(ENGINES)},
    "hash": ("secrets_copy", LIMBS),
    "public": ("publics", LIMBS),
}
"""Memory of each read port, and the reads that a word takes."""
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
        for name in ("acquire", "release", "write__en", *(f"{port}__en" for port in PORTS)):
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
        """Write a word as the engine does, all lanes at once, or as the stations do, by limbs."""
        self.dut.write__slot.value = slot
        self.dut.write__index.value = index
        together = random.random() < 0.5
        for part in range(STEPS if together else LIMBS):
            lanes = range(LANES) if together else (part % LANES,)
            step = part if together else part // LANES
            given = [random.getrandbits(LIMB_BITS) for _ in range(LANES)]
            for lane in lanes:
                given[lane] = limbs.split(value)[LANES * step + lane]
            self.dut.write__step.value = step
            self.dut.write__data.value = limbs.join(given)
            self.dut.write__en.value = sum(1 << lane for lane in lanes)
            await RisingEdge(self.dut.clk)
            self.dut.write__en.value = 0

    async def examine(self, port: str, slot: int, index: int) -> tuple[int, list[bool]]:
        """Read a word, a part each clock: the word, and which parts are damaged."""
        _, parts = PORTS[port]
        which, bits = ("step", LANES * LIMB_BITS) if port in ENGINES else ("limb", LIMB_BITS)
        pin = {name: getattr(self.dut, f"{port}__{name}") for name in ("data", "damaged", "en")}
        getattr(self.dut, f"{port}__slot").value = slot
        getattr(self.dut, f"{port}__index").value = index
        word, damaged = 0, []
        for clock in range(parts + 3):
            pin["en"].value = clock < parts
            getattr(self.dut, f"{port}__{which}").value = min(clock, parts - 1)
            await ReadOnly()
            if 2 <= clock <= parts + 1:
                word |= int(pin["data"].value) << (clock - 2) * bits
            if clock >= 3:
                damaged.append(bool(int(pin["damaged"].value)))
            await RisingEdge(self.dut.clk)
        return word, damaged

    async def read(self, port: str, slot: int, index: int) -> int:
        return (await self.examine(port, slot, index))[0]

    async def damaged(self, port: str, slot: int, index: int) -> list[int]:
        """Parts of the word that are."""
        flags = (await self.examine(port, slot, index))[1]
        return [part for part, damaged in enumerate(flags) if damaged]

    async def load(self, slot: int, curve: wire.CurveId) -> list[int]:
        """Load random words, secret ones first."""
        await self.begin(slot, curve)
        words = [new_word() for _ in keystore.Word]
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
        """All words of the memories, two clocks after the edge that came last, without guards."""
        await RisingEdge(self.dut.clk)
        await RisingEdge(self.dut.clk)
        await ReadOnly()
        copies = [
            [self.word(memory, n) for n in range(SLOTS * SECRET_WORDS)]
            for memory in (*(f"secrets{n}" for n in range(len(ENGINES))), "secrets_copy")
        ]
        secrets = copies[0]
        assert all(copy == secrets for copy in copies)
        publics = [self.word("publics", n) for n in range(SLOTS * PUBLIC_WORDS)]
        await RisingEdge(self.dut.clk)
        return secrets + publics

    def word(self, memory: str, number: int) -> int:
        places = limbs.places(getattr(self.dut, memory), number)
        stored = [bfm.unpack(Stored, int(place.value)) for place in places]
        assert all(bool(each["limb"]) >= bool(each["guard"]) for each in stored), "a guard is left"
        return limbs.join([each["limb"] for each in stored])

    def outputs(self) -> set[int]:
        """Limbs at the outputs."""
        engines = (int(getattr(self.dut, f"{name}__data").value) for name in ENGINES)
        others = (int(self.dut.hash__data.value), int(self.dut.public__data.value))
        return {*(limb for word in engines for limb in limbs.split(word)[:LANES]), *others}


def new_word() -> int:
    """A random word none of whose limbs is 0."""
    return random.getrandbits(WORD_BITS) | limbs.join([1] * LIMBS)


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
        for index in range(SECRET_WORDS):
            for port in (*ENGINES, "hash"):
                assert await store.read(port, n, index) == key[index]
        for index in range(PUBLIC_WORDS):
            assert await store.read("public", n, index) == key[4 + index]
    assert sorted(await store.stored()) == sorted(word for key in keys for word in key)


@cocotb.test()
async def altered_words(dut: Any) -> None:
    """A bit flipped in a stored limb, or in its guard, shows when the limb is read, only then."""
    store = await started(dut)
    await store.load(1, wire.CurveId.ED25519)
    for port, (memory, parts) in PORTS.items():
        words = PUBLIC_WORDS if port == "public" else SECRET_WORDS
        for bit in random.sample(range(Stored.size), 20):
            index, limb = random.randrange(words), random.randrange(LIMBS)
            stored = limbs.places(getattr(dut, memory), words + index)[limb]
            whole = int(stored.value)
            assert not await store.damaged(port, 1, index)
            stored.value = whole ^ 1 << bit
            await RisingEdge(dut.clk)
            assert await store.damaged(port, 1, index) == [limb * parts // LIMBS]
            assert not await store.damaged(port, 1, index ^ 1)
            assert not await store.damaged(port, 2, index)
            stored.value = whole
            await RisingEdge(dut.clk)


@cocotb.test()
async def wipes(dut: Any) -> None:
    """A wipe leaves no word of its slot, in memory or at an output, and all of the others."""
    store = await started(dut)
    keys = [await store.load(n, wire.CurveId.ED25519) for n in range(SLOTS)]
    gone: set[int] = set()

    async def check_gone() -> None:
        assert not gone & set(await store.stored())
        assert not {limb for word in gone for limb in limbs.split(word)} & store.outputs()
        await store.check()

    for n in (3, SLOTS - 1, 0):
        for port, index in (*((name, 1) for name in ENGINES), ("hash", 3), ("public", 1)):
            await store.read(port, n, index)
        await store.wipe(n)
        gone |= set(keys[n])
        await check_gone()
        kept = {word for k, key in enumerate(keys) if k not in (0, 3, SLOTS - 1) for word in key}
        assert kept <= set(await store.stored())
    gone |= set(await store.load(3, wire.CurveId.SECP256K1))
    await store.begin(3, wire.CurveId.ED25519)
    await check_gone()
    word = new_word()
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
            await store.write(slot, index, new_word())
    assert await store.stored() == before
    assert await store.read(ENGINES[-1], 1, 2) == key[2]
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
        key = [new_word() for _ in range(6)]
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
