"""Bench of the whole core: bits flipped in its memories while it signs.

One bit of one limb or word in a memory is flipped at a random clock of a job, and stays so until it
is written again or the batch has ended. :data:`OUTCOMES` says for each class of faults how jobs may
end: rightly or in FAULT where the release check claims to catch the class. What it does not claim,
and the bench only measures:

* *flags*: the recovery id, or which of s and n - s is the signature.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import cocotb
import coincurve
import nacl.exceptions
import nacl.signing
from cocotb.triggers import ClockCycles

from intaglio import wire
from intaglio.hdl.engine.isa import INBOX_WORDS, LIMB_BITS, LIMBS, OUTBOX_WORDS, REGISTERS
from intaglio.hdl.engine.programs import Image
from intaglio.hdl.engine.table import first_windows
from intaglio.hdl.jobs import record_layout
from intaglio.hdl.keystore import PUBLIC_WORDS, SECRET_WORDS, Word
from intaglio.hdl.limbram import lanes_of
from intaglio.hdl.pool import PAGE_WORDS
from intaglio.hdl.profiles import SMALL
from intaglio.params import SECP256K1
from intaglio.sim import bfm, limbs
from intaglio.sim.benches.core_host import CURVES, Pair, secret, split
from intaglio.wire import CurveId, Op, Status

BATCHES = int(os.environ.get("BATCHES", "1"))
"""Batches of jobs a class."""

CLASSES = tuple(filter(None, os.environ.get("CLASSES", "").split(",")))
"""Classes to try; empty: all."""

KEYS = range(4)
"""Key slots, of the curves in turn."""

MOST_TRIES = 4
"""Times ``BATCHES`` that are tried for a class until a fault hits: words are in use for a part of
a job's life only."""

LIFE_CLOCKS = 70_000
"""Clocks from a batch's last request within which faults come; its jobs take some more."""

LANE_CLOCKS = 10_000
"""The same for the digests: the lane reads them one after the other at the beginning."""

LENGTH = 200
"""Bytes of the messages: two pages."""

Fault = Callable[[Any, int], tuple[Any, int]]
"""Memory word and width, of the job in a context (which has been read from its record)."""

LAYOUT = record_layout(SMALL.key_slots, SMALL.pool_pages, "feed")


def limb_of(store: Any, index: int) -> tuple[Any, int]:
    """Any limb of a word."""
    return random.choice(limbs.places(store, index)), limbs.STORED_BITS


def of_context(memory: str, words: int) -> Fault:
    """Any limb of the job's part of a context memory."""

    def choose(dut: Any, job: int) -> tuple[Any, int]:
        store = getattr(dut.engine.barrel0.contexts, memory)
        return limb_of(store, job * words + random.randrange(words))

    return choose


def flags(dut: Any, job: int) -> tuple[Any, int]:
    return dut.engine.barrel0.contexts.flag_words[job], 4


def register(dut: Any, job: int) -> tuple[Any, int]:
    return of_context(f"registers{random.randrange(4)}", REGISTERS)(dut, job)


def high_word(dut: Any, job: int) -> tuple[Any, int]:
    return limb_of(dut.engine.barrel0.high_words, random.randrange(SMALL.issue_slots))


def record_of(dut: Any, job: int) -> dict[str, int]:
    return bfm.unpack(LAYOUT, int(dut.jobs.records_feed.words[job].value))


def message(dut: Any, job: int) -> tuple[Any, int]:
    page = record_of(dut, job)["page"]
    return dut.pool.words.words[page * PAGE_WORDS + random.randrange(PAGE_WORDS)], 64


def digest(dut: Any, job: int) -> tuple[Any, int]:
    return limb_of(dut.engine.barrel0.contexts.outbox_words, job * OUTBOX_WORDS)


def key_word(dut: Any, job: int) -> tuple[Any, int]:
    """A secret word of the job's key, but for the prefix."""
    index = random.choice((Word.SCALAR0, Word.SCALAR1, Word.RAW)).value
    slot = record_of(dut, job)["slot"]
    copy = random.choice((dut.keys.secrets0, dut.keys.secrets_copy))
    return limb_of(copy, slot * SECRET_WORDS + index)


def public_word(dut: Any, job: int) -> tuple[Any, int]:
    slot = record_of(dut, job)["slot"]
    return limb_of(dut.keys.publics, slot * PUBLIC_WORDS)


JOB_FAULTS: dict[str, Fault] = {
    "registers": register,
    "high words": high_word,
    "comb digits": of_context("digit_words", 1),
    "inbox": of_context("inbox_words", INBOX_WORDS),
    "outbox": of_context("outbox_words", OUTBOX_WORDS),
    "message": message,
    "key words": key_word,
    "public key": public_word,
    "flags": flags,
    "digest": digest,
}


OK_OR_FAULT = frozenset({"right", "fault"})
OUTCOMES = {name: OK_OR_FAULT for name in (*JOB_FAULTS, "tables", "key prefix")} | {
    "flags": OK_OR_FAULT | {"wrong recovery id", "high s"}
}
"""How jobs may end, by class of faults."""

RESTORED = ("key words", "public key")
"""Classes of faults that nothing in the core would undo."""


class Faults:
    """Flips bits, counts them, and puts back what nobody else would."""

    def __init__(self) -> None:
        self.count = 0
        self._before: list[tuple[Any, int]] = []

    def flip(self, word: Any, bits: int, *, restore: bool) -> None:
        """Flip a bit of a limb, but never a second one of a limb that is to be put back: two bits
        that are as far apart as a piece of the guard is wide fit each other."""
        if any(word is before for before, _ in self._before):
            return
        value = int(word.value)
        self.count += 1
        if restore:
            self._before.append((word, value))
        word.value = value ^ 1 << random.randrange(bits)

    def restore(self) -> None:
        for word, value in reversed(self._before):
            word.value = value
        self._before.clear()


def outcome(pair: Pair, reply: bytes, expected: bytes, request: bytes, keys: list[bytes]) -> str:
    """What a reply is, beside the one expected."""
    (header, body), (golden, right) = split(reply), split(expected)
    if header["status"] == Status.FAULT:
        return "fault"
    assert header["status"] == Status.OK, header
    if body == right:
        return "right" if header["recid"] == golden["recid"] else "wrong recovery id"
    asked, content = wire.REQUEST.unpack(request), request[wire.REQUEST.size :]
    key = keys[asked["slot"]]
    if asked["curve"] == CurveId.ED25519:
        try:
            nacl.signing.SigningKey(key).verify_key.verify(content, body)
        except nacl.exceptions.BadSignatureError:
            return "wrong"
        return "valid, other nonce"
    hashed = content if asked["op"] == Op.SIGN_DIGEST else hashlib.sha256(content).digest()
    r, s = body[:32], int.from_bytes(body[32:], "big")
    negated = r + (SECP256K1.order - s).to_bytes(32, "big")
    if negated == right:
        return "high s"
    public = coincurve.PrivateKey(key).public_key.format()
    for recid in range(4):
        try:
            found = coincurve.PublicKey.from_signature_and_message(
                body + bytes([recid]), hashed, hasher=None
            )
        except Exception:  # no such point
            continue
        if found.format() == public:
            return "valid, other nonce"
    return "wrong"


async def batch(
    pair: Pair, keys: list[bytes], generations: list[int], inject: Callable[[], Any], op: Op
) -> Counter[str]:
    """As many jobs as the core holds, ``inject`` at work beside them: how they ended."""
    host, requests, expected = pair.host, {}, {}
    for number in range(SMALL.job_slots):
        slot = number % len(keys)
        curve = CURVES[slot % 2] if op == Op.SIGN_MESSAGE else CurveId.SECP256K1
        if op == Op.SIGN_DIGEST:
            slot |= 1
        body = random.randbytes(LENGTH if op == Op.SIGN_MESSAGE else wire.DIGEST_BYTES)
        fields = {"slot": slot, "curve": curve, "generation": generations[slot]}
        payload = host.request(op, body, **fields)
        requests[host.tag] = payload
        expected[host.tag] = pair.golden.transact(payload)
        await host.send(payload)
    injecting = cocotb.start_soon(inject())
    replies = await host.gathered(SMALL.job_slots)
    await host.idle()
    injecting.cancel()
    seen: Counter[str] = Counter()
    for reply in replies:
        tag = split(reply)[0]["tag"]
        seen[outcome(pair, reply, expected[tag], requests[tag], keys)] += 1
    return seen


async def signer(dut: Any) -> tuple[Pair, list[bytes], list[int]]:
    """Both cores with four keys; the keys and their generations."""
    pair = Pair(dut)
    await pair.start()
    await pair.submit(Op.OPEN)
    keys = [secret(CURVES[slot % 2]) for slot in KEYS]
    for slot, key in enumerate(keys):
        await pair.submit(Op.LOAD_KEY, key, slot=slot, curve=CURVES[slot % 2])
    await pair.settle()
    return pair, keys, [2] * len(keys)


def damage_tables(dut: Any, faults: Faults) -> None:
    """A bit of one field of every entry of one window, for each curve: each job reads one."""
    image = Image(SMALL.window)
    for curve, comb in image.combs.items():
        window = random.randrange(comb.windows)
        table = dut.engine.combs0.rom.words
        starts = [start for (whose, _), start in first_windows(image).items() if whose == curve]
        first = (random.choice(starts) + window) * comb.entries
        count = LIMBS // lanes_of(SMALL.interval)
        for entry in range(first, first + comb.entries):
            limb = table[count * entry + random.randrange(count)]
            faults.flip(limb, 255 - (count - 1) * LIMB_BITS, restore=True)


def damage_prefixes(dut: Any, faults: Faults) -> None:
    """A bit of the prefix of every key."""
    for slot in KEYS:
        limb = limb_of(dut.keys.secrets_copy, slot * SECRET_WORDS + Word.PREFIX.value)
        faults.flip(*limb, restore=True)


BEFOREHAND = {"tables": damage_tables, "key prefix": damage_prefixes}
"""Faults that are there before the jobs begin."""


@cocotb.test()
async def faults_in_jobs(dut: Any) -> None:
    """A fault in each job, of each class in turn; the core works on afterwards."""
    pair, keys, generations = await signer(dut)
    faults = Faults()
    results: dict[str, Counter[str]] = {}

    async def one_in_each_job(name: str) -> None:
        life = LANE_CLOCKS if name == "digest" else LIFE_CLOCKS
        times = sorted(random.randrange(life) for _ in range(SMALL.job_slots))
        order = random.sample(range(SMALL.job_slots), SMALL.job_slots)
        now = 0
        for time, job in zip(times, order, strict=True):
            await ClockCycles(dut.clk, max(1, time - now))
            now = time
            if int(dut.taken.value) >> job & 1:
                faults.flip(*JOB_FAULTS[name](dut, job), restore=name in RESTORED)

    for name in CLASSES or OUTCOMES:
        op = Op.SIGN_DIGEST if name == "digest" else Op.SIGN_MESSAGE
        results[name] = Counter()
        for tried in range(MOST_TRIES * BATCHES):
            if tried >= BATCHES and results[name].keys() - {"right"}:
                break
            inject = partial(one_in_each_job, name)
            if name in BEFOREHAND:
                BEFOREHAND[name](dut, faults)
                inject = partial(sleep, dut)
            results[name] += await batch(pair, keys, generations, inject, op)
            faults.restore()
            await sleep(dut)
        unexpected = set(results[name]) - OUTCOMES[name]
        assert not unexpected, f"{name}: {dict(results[name])}"
    quiet = await batch(pair, keys, generations, partial(sleep, dut), Op.SIGN_MESSAGE)
    assert set(quiet) == {"right"}, "a fault outlived its batch"
    bfm.record("outcomes", results)
    bfm.record("faults", faults.count)


async def sleep(dut: Any) -> None:
    """Inject nothing; what was put back is there afterwards."""
    await ClockCycles(dut.clk, 1)
