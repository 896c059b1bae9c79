"""Bench of the Feed station: what hash lanes are given, of which job, and who is told of damage."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import cocotb
from amaranth.lib import data
from cocotb.triggers import ReadOnly, RisingEdge

from intaglio.hdl import keystore
from intaglio.hdl.engine.isa import LIMB_BITS, LIMBS
from intaglio.hdl.hash.lanes import ecdsa_request_layout, sha512_request_layout
from intaglio.hdl.jobs import record_layout
from intaglio.hdl.routes import Kind
from intaglio.hdl.stations.words import outbox_read_layout
from intaglio.sim import bfm
from intaglio.sim.limbs import split
from intaglio.sim.model.cycles import FEED_CLOCKS

JOBS, KEYS, PAGES = 16, 4, 32
SHA512_JOB = data.StructLayout({"job": range(JOBS), "second": 1})
NONCE_JOB = data.StructLayout({"job": range(JOBS), "hashed": 1})
SHA512 = sha512_request_layout((JOBS - 1).bit_length(), (PAGES - 1).bit_length())
NONCE = ecdsa_request_layout((JOBS - 1).bit_length(), (PAGES - 1).bit_length())
OUTBOX_CLOCKS = 4
"""From a wish that is taken to its limb."""
LANE_CLOCKS = 3
"""Clocks of ``FEED_CLOCKS`` that are the lane's: its request, and two for its first word."""


@dataclass
class Memories:
    """What the station reads: noise when nothing was asked for."""

    dut: Any
    stall: float = 0.0
    secrets: dict[tuple[int, int], int] = field(default_factory=dict)
    publics: dict[int, int] = field(default_factory=dict)
    outbox: dict[tuple[int, int], int] = field(default_factory=dict)
    records: dict[int, dict[str, int]] = field(default_factory=dict)
    damaged: set[tuple[str, int, int, int]] = field(default_factory=set)
    """Where, slot or job, index and limb."""
    alarms: set[int] = field(default_factory=set)

    def fill(self) -> None:
        for slot in range(KEYS):
            self.publics[slot] = random.getrandbits(256)
            for word in range(keystore.SECRET_WORDS):
                self.secrets[slot, word] = random.getrandbits(256)
        for job in range(JOBS):
            for index in range(2):
                self.outbox[job, index] = random.getrandbits(255)

    def _read(self, name: str, asked: tuple[int, ...] | None) -> tuple[int, int]:
        """A limb, and whether it is damaged."""
        if asked is None:
            return random.getrandbits(LIMB_BITS), random.getrandbits(1)
        owner, index, limb = asked
        words = {"secret": self.secrets, "outbox": self.outbox}.get(name, {})
        word = self.publics[owner] if name == "public" else words[owner, index]
        return split(word)[limb], (name, owner, index, limb) in self.damaged

    async def run(self) -> None:
        dut = self.dut
        layouts = {name: getattr(self, f"_{name}_layout") for name in ("secret", "public")}
        reads: dict[str, list[tuple[int, int]]] = {
            name: [self._read("", None)] * 3 for name in layouts
        }
        records, under_way, found = [0] * 2, [], (0, (0, 0))
        while True:
            taken = random.random() >= self.stall
            dut.outbox_taken.value = int(taken)
            await ReadOnly()
            alarm = int(dut.alarm.value)
            if alarm & 1:
                self.alarms.add(alarm >> 1)
            for name, layout in layouts.items():
                asks = bfm.unpack(layout, int(getattr(dut, name).value))
                wants = asks.get("en", asks.get("want", 0))
                place = (asks["slot"], asks["index"], asks["limb"]) if wants else None
                reads[name] = [*reads[name][1:], self._read(name, place)]
            asks = bfm.unpack(outbox_read_layout(JOBS), int(dut.outbox.value))
            if asks["want"] and taken:
                limb = self._read("outbox", (asks["job"], asks["index"], asks["limb"]))
                under_way.append((bfm.cycle(), limb))
            records = [*records[1:], int(dut.record_job.value)]
            await RisingEdge(dut.clk)
            for name in layouts:
                getattr(dut, f"{name}_limb").value = reads[name][-2][0]
                getattr(dut, f"{name}_damaged").value = reads[name][-3][1]
            record = self.records.get(records[-2], {})
            dut.record.value = bfm.pack(record_layout(KEYS, PAGES, "feed"), record)
            dut.outbox_damaged.value = found[1][1] if found[0] else random.getrandbits(1)
            comes = bool(under_way) and bfm.cycle() >= under_way[0][0] + OUTBOX_CLOCKS
            comes &= random.random() >= self.stall
            found = (int(comes), under_way.pop(0)[1] if comes else self._read("", None))
            dut.outbox_found.value, dut.outbox_limb.value = found[0], found[1][0]

    _secret_layout = data.StructLayout(
        {"en": 1, "slot": range(KEYS), "index": range(keystore.SECRET_WORDS), "limb": range(LIMBS)}
    )
    _public_layout = data.StructLayout(
        {"want": 1, "slot": range(KEYS), "index": 1, "limb": range(LIMBS)}
    )


def chunks(word: int) -> Iterator[int]:
    """What a SHA-512 lane reads of 32 little-endian bytes."""
    octets = word.to_bytes(32, "little")
    for start in range(0, 32, 8):
        yield int.from_bytes(octets[start : start + 8], "big")


def head(memories: Memories, job: int, second: int) -> list[int]:
    """RFC 8032, 5.1.6: the prefix, or R and the public key; of a key to load, the seed."""
    record = memories.records[job]
    if not second:
        signs = record["kind"] == Kind.SIGN_ED25519.value
        word = keystore.Word.PREFIX if signs else keystore.Word.RAW
        return list(chunks(memories.secrets[record["slot"], word.value]))
    x, y = memories.outbox[job, 0], memories.outbox[job, 1]
    return [*chunks(y | (x & 1) << 255), *chunks(memories.publics[record["slot"]])]


def operands(memories: Memories, job: int, hashed: int) -> list[int]:
    """The secret key's limbs and the digest's."""
    slot = memories.records[job]["slot"]
    secret = split(memories.secrets[slot, keystore.Word.RAW.value])
    return [*secret, *(split(memories.outbox[job, 0]) if hashed else [0] * LIMBS)]


def places(
    memories: Memories, job: int, is_sha512: bool, flag: int
) -> list[tuple[str, int, int, int]]:
    """Everything that is read for a job."""
    record = memories.records[job]
    slot, raw = record["slot"], keystore.Word.RAW.value
    signs = record["kind"] == Kind.SIGN_ED25519.value
    words = [("secret", slot, keystore.Word.PREFIX.value if signs else raw)]
    if is_sha512 and flag:
        words = [("outbox", job, 0), ("outbox", job, 1), ("public", slot, 0)]
    elif not is_sha512:
        words = [("secret", slot, raw)] + [("outbox", job, 0)] * flag
    return [(*word, limb) for word in words for limb in range(LIMBS)]


async def begun(dut: Any) -> Memories:
    """The station out of reset, before full memories."""
    memories = Memories(dut)
    memories.fill()
    await bfm.start(dut)
    cocotb.start_soon(memories.run())
    return memories


async def lane(
    dut: Any, names: tuple[str, str], layout: data.Layout, memories: Memories, count: int
) -> None:
    """Takes ``count`` requests, each with the words that belong to it and no others."""
    request, words = names
    requests = bfm.Sink(dut, request, layout)
    sink = bfm.Sink(dut, words, stall=memories.stall)
    for _ in range(count):
        asked = await requests.take()
        job = asked["job"]
        record = memories.records[job]
        location = asked["location"]
        assert location == record["page"] | record["length"] << (PAGES - 1).bit_length()
        if request == "sha512":
            expected = head(memories, job, asked["head_units"] == 2)
        else:
            expected = operands(memories, job, asked["hashed"])
        assert await sink.take_all(len(expected)) == expected, (request, job)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def lanes_are_given_what_is_theirs(dut: Any) -> None:
    memories = await begun(dut)
    for stall in (0.0, 0.4):
        memories.stall = stall
        memories.alarms.clear()
        memories.damaged.clear()
        jobs = random.sample(range(JOBS), JOBS)
        flags = {job: random.getrandbits(1) for job in jobs}
        damaged = set()
        for number, job in enumerate(jobs):
            is_sha512 = number % 2 == 0
            kinds = (Kind.SIGN_ED25519, Kind.LOAD_ED25519) if is_sha512 else (Kind.SIGN_ECDSA,)
            kind = Kind.SIGN_ED25519 if is_sha512 and flags[job] else random.choice(kinds)
            memories.records[job] = {
                "kind": kind.value,
                "slot": random.randrange(KEYS),
                "page": random.randrange(PAGES),
                "length": random.randrange(4097),
            }
        for number, job in enumerate(jobs):
            place = random.choice(places(memories, job, number % 2 == 0, flags[job]))
            if random.random() < 0.3:
                memories.damaged.add(place)
        for number, job in enumerate(jobs):
            if memories.damaged & set(places(memories, job, number % 2 == 0, flags[job])):
                damaged.add(job)
        tasks = [
            cocotb.start_soon(
                bfm.Source(dut, name, layout, stall=stall).send_all(
                    [{"job": job, flag: flags[job]} for job in jobs[first::2]]
                )
            )
            for name, layout, flag, first in (
                ("sha512_jobs", SHA512_JOB, "second", 0),
                ("nonce_jobs", NONCE_JOB, "hashed", 1),
            )
        ]
        tasks += [
            cocotb.start_soon(lane(dut, names, layout, memories, JOBS // 2))
            for names, layout in ((("sha512", "head"), SHA512), (("nonce", "operands"), NONCE))
        ]
        for task in tasks:
            await bfm.within(400 * JOBS, task, "feeding")
        assert memories.alarms == damaged
    assert damaged


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_word_takes_as_long_as_the_cycle_model_says(dut: Any) -> None:
    memories = await begun(dut)
    measured = {}
    for name, stream, layout, fields, kind, words in (
        ("secret", "sha512", SHA512_JOB, {"second": 0}, Kind.SIGN_ED25519, 4),
        ("point", "sha512", SHA512_JOB, {"second": 1}, Kind.SIGN_ED25519, 8),
        ("nonce", "nonce", NONCE_JOB, {"hashed": 1}, Kind.SIGN_ECDSA, 2 * LIMBS),
    ):
        memories.records[3] = {"kind": kind.value, "slot": 1}
        source = bfm.Source(dut, f"{stream}_jobs", layout)
        request = bfm.Sink(dut, stream)
        sink = bfm.Sink(dut, {"sha512": "head", "nonce": "operands"}[stream])
        sending = cocotb.start_soon(source.send({"job": 3, **fields}))
        await bfm.within(100, request.take(), f"the request for {name}")
        await bfm.within(200, sink.take_all(words), f"the words of {name}")
        await sending
        measured[name] = sink.taken[-1] - source.accepted[-1]
        for _ in range(4):
            await RisingEdge(dut.clk)
    dut._log.info(f"{measured}")
    bfm.record("clocks", measured)
    assert all(0 <= FEED_CLOCKS[name] - clocks <= LANE_CLOCKS for name, clocks in measured.items())
