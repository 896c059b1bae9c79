"""Boards that misbehave, each by its seed, and the accounting that every chaos test ends with."""

import asyncio
import gc
import os
import random
import sys
import threading
import time

import coincurve
import nacl.signing
import pytest

from intaglio import SignRequest, errors, frame, wire
from intaglio.config import PoolConfig
from intaglio.curve import DEVICE_CURVES
from intaglio.keyring import Job
from intaglio.pool import Pool
from intaglio.router import Attempt, Task
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import ModelDevice, ModelTransport
from intaglio.transport.base import Transport

REQUESTS = int(os.environ.get("INTAGLIO_CHAOS_REQUESTS", "2000"))
"""Requests of each kind of fault; `make test-chaos` asks for 100,000."""
SWITCH_S = 5e-4
"""With Python's default of 5 ms, the threads of several devices wait for nothing."""
SECRETS = [random.Random(n).randbytes(32) for n in range(6)]


class Noise:
    """Bit errors at a rate for each bit, frames dropped or doubled at rates for each frame."""

    def __init__(self, rng, plan, note):
        self.rng, self.plan, self.note = rng, plan, note
        self.partial = b""

    def carry(self, data):
        *frames, self.partial = (self.partial + data).split(frame.DELIMITER)
        return b"".join(self.one(one + frame.DELIMITER) for one in frames)

    def one(self, data):
        rng, plan = self.rng, self.plan
        if rng.random() < plan.get("drop", 0):
            self.note("drop")
            return b""
        if rng.random() < plan.get("dup", 0):
            self.note("dup")
            data += data
        rate = plan.get("bit", 0)
        at = rng.expovariate(rate) if rate else float("inf")
        if at < 8 * len(data):
            data = bytearray(data)
            while at < 8 * len(data):
                self.note("bit")
                data[int(at) // 8] ^= 1 << int(at) % 8
                at += 1 + rng.expovariate(rate)
        return bytes(data)


class ChaosTransport(Transport):
    """A transport with the faults of ``plan`` between it and ``inner``."""

    def __init__(self, inner, plan, rng, note):
        self.inner, self.plan, self.rng, self.note = inner, plan, rng, note
        self.name, self.default_timeout_s = inner.name, inner.default_timeout_s
        self.to_device, self.to_host = Noise(rng, plan, note), Noise(rng, plan, note)
        self.out = b""
        self.lies = frame.Decoder(wire.MAX_REPLY_BYTES)
        self.last = None
        self.answers_left = plan.get("dies_after", float("inf"))
        self.stalled_until = 0.0

    def check(self):
        if self.answers_left <= 0:
            raise errors.LinkError(f"the link to {self.name} was lost (chaos): reconnect it")

    def write(self, data):
        self.check()
        if not self.out:
            self.out = self.to_device.carry(bytes(data))
            taken = len(data)
        else:
            taken = 0
        if self.out:
            self.out = self.out[self.inner.write(self.out) :]
        return taken

    def read(self, timeout_s, *, or_writable=False):
        self.check()
        now = time.monotonic()
        if now < self.stalled_until:
            time.sleep(min(0.01, self.stalled_until - now))
            return b""
        if self.out:
            self.out = self.out[self.inner.write(self.out) :]
        data = self.inner.read(timeout_s, or_writable=or_writable or bool(self.out))
        if data and self.rng.random() < self.plan.get("stall", 0):
            self.note("stall")
            self.stalled_until = now + 0.2
        if data and self.plan.keys() & {"wrong", "swap"}:
            data = b"".join(frame.encode(self.lie(one)) for one in self.lies.feed(data))
        self.answers_left -= data.count(frame.DELIMITER)
        if self.answers_left <= 0:
            self.note("death")
            self.check()
        return self.to_host.carry(data)

    def lie(self, payload):
        """The reply with a wrong bit, or under the tag of the reply before it."""
        reply = wire.REPLY.unpack(payload)
        if reply["length"] != wire.SIGNATURE_BYTES:
            return payload
        if self.rng.random() < self.plan.get("wrong", 0):
            self.note("wrong")
            at = wire.REPLY.size + self.rng.randrange(wire.SIGNATURE_BYTES)
            flipped = payload[at] ^ 1 << self.rng.randrange(8)
            return payload[:at] + bytes([flipped]) + payload[at + 1 :]
        tag, self.last = self.last, reply["tag"]
        if tag is not None and self.rng.random() < self.plan.get("swap", 0):
            self.note("swap")
            later = (reply["tag"] + self.rng.choice([1, 2, 3])) % (1 << wire.TAG_BITS)
            reply["tag"] = self.rng.choice([tag, later])
            return wire.REPLY.pack(**reply) + payload[wire.REPLY.size :]
        return payload

    def wake(self):
        self.inner.wake()

    def close(self):
        self.inner.close()


class Board:
    """A device that can be opened again and again; ``plans`` gives the faults of each opening."""

    def __init__(self, farm, number, plans, make):
        self.farm, self.plans, self.make = farm, iter(plans), make
        self.rng = random.Random(1000 * farm.seed + number)
        self.name = f"board{number}"

    def open(self):
        plan = next(self.plans, None)
        if plan is None:
            raise errors.LinkError(f"{self.name} is gone (chaos): plug it in")
        inner = self.make(self.rng)
        return ChaosTransport(inner, plan, self.rng, self.farm.note)


def model(rng):
    """A golden core that signs through the C libraries."""
    core = GoldenCore(key_slots=4, job_slots=32, rng=random.Random(rng.random()))
    return ModelTransport(ModelDevice(core, rng=core._rng))


class Farm:
    """A pool of boards, requests by seed, and the books on what became of them."""

    def __init__(self, seed, boards, *, make=model, fallback=("soft:",), requests=REQUESTS, **more):
        self.seed, self.requests = seed, requests
        self.rng = random.Random(seed)
        self.faults = {}
        self.lock = threading.Lock()
        self.boards = [Board(self, n, plans, make) for n, plans in enumerate(boards)]
        config = {
            "device": [{"url": f"chaos:{n}", "name": f"board{n}"} for n in range(len(boards))],
            "fallback": list(fallback),
            "health": {"heartbeat_s": 0.05, "reconnect_s": 0.01, "reconnect_max_s": 0.1},
            **more,
        }
        for device in config["device"]:
            device["timeout_s"] = 1.2 if make is model else 20.0
        self.pool = Pool(PoolConfig.parse(config), opener=self.open)
        self.keys = self.pool.load_keys(
            [(DEVICE_CURVES[n % 2], secret) for n, secret in enumerate(SECRETS)]
        )
        signers = [nacl.signing.SigningKey(secret) for secret in SECRETS]
        privates = [coincurve.PrivateKey(secret) for secret in SECRETS]
        self.library = [signers[n].sign if n % 2 == 0 else privates[n] for n in range(6)]
        self.peak = 0
        self.wrong = self.lost = self.refused = self.answered = 0

    def open(self, url):
        return self.boards[int(url.path)].open()

    def note(self, kind):
        with self.lock:
            self.faults[kind] = self.faults.get(kind, 0) + 1

    def request(self, number):
        """Request ``number``: always the same for a seed, as are its key and its length."""
        rng = random.Random(f"{self.seed} {number}")
        self.peak = max(self.peak, self.pool.depth)
        message = rng.randbytes(rng.choice([0, 32, 60, 100, 200, 300]))
        return SignRequest(self.keys[rng.randrange(6)], message)

    def all(self):
        """Every request, in order."""
        return (self.request(number) for number in range(self.requests))

    def judge(self, number, outcome):
        """Enter what became of request ``number``."""
        request = self.request(number)
        if isinstance(outcome, errors.IntaglioError):
            self.refused += 1
        elif outcome is None:
            self.lost += 1
        else:
            self.answered += 1
            index = self.keys.index(request.key)
            sign = self.library[index]
            if index % 2 == 0:
                right = sign(request.message).signature
            else:
                right = sign.sign_recoverable(request.message)
                right = right[:64] if outcome.recid == right[64] else b""
            self.wrong += outcome.raw != right

    def judge_all(self, outcomes):
        """Enter what became of every request."""
        assert len(outcomes) == self.requests
        for number, outcome in enumerate(outcomes):
            self.judge(number, outcome)

    def status(self, name):
        return next(one for one in self.pool.members() if one.name == name)


def alive(*kinds):
    """Objects of ``kinds`` that something still refers to."""
    for _ in range(3):
        gc.collect()
    return [one for one in gc.get_objects() if type(one) in kinds]


def descriptors():
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def farm(record_property):
    """Makes a :class:`Farm`; at the end nothing of it may be left, and its books must balance."""
    switch = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    threads, open_files = set(threading.enumerate()), descriptors()
    farms = []

    def make(*arguments, **named):
        farms.append(Farm(*arguments, **named))
        return farms[-1]

    make.requests = REQUESTS
    try:
        yield make
        for one in farms:
            assert one.lost == 0, f"{one.lost} of {one.requests} requests got no answer"
            assert one.wrong == 0, f"{one.wrong} wrong signatures were given out"
            assert one.answered + one.refused == one.requests
            assert one.pool.depth == 0
            assert one.peak <= 5000
            record_property("chaos", (one.requests, sum(one.faults.values()), one.lost, one.wrong))
    finally:
        for one in farms:
            one.pool.close()
        sys.setswitchinterval(switch)
    farms.clear()
    left = set(threading.enumerate()) - threads
    assert not left
    assert descriptors() <= open_files
    assert not alive(Task, Attempt, Job)


@pytest.fixture(scope="session")
def rtl():
    """Makes virtual boards in place of golden cores: ``Farm(..., make=rtl)``."""
    from intaglio.sim import board
    from intaglio.transport.base import ParsedUrl

    return lambda rng: board.open_transport(ParsedUrl.parse("sim:"))


@pytest.fixture
def run():
    """Runs a coroutine function to its end, with no task left behind."""

    def go(main):
        async def whole():
            before = asyncio.all_tasks()
            await main()
            for _ in range(3):
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == before

        asyncio.run(whole())

    return go


def pytest_terminal_summary(terminalreporter):
    """The line to look for."""
    counts = [
        value
        for report in terminalreporter.stats.get("", [])
        for name, value in getattr(report, "user_properties", [])
        if name == "chaos" and report.when == "teardown"
    ]
    if counts:
        requests, faults, lost, wrong = (sum(column) for column in zip(*counts, strict=True))
        terminalreporter.write_line(
            f"chaos: requests = {requests}, faults injected = {faults}, "
            f"lost = {lost}, wrong = {wrong}"
        )
