"""A dispatcher and a golden device joined under a clock that only this rig moves."""

import random
from concurrent.futures import Future

import pytest

from intaglio.curve import Curve
from intaglio.dispatch import Dispatcher
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import FaultRates, ModelDevice
from intaglio.values import check_payload


class Rig:
    """``dispatcher`` talks to ``device``; :meth:`settle` lets time pass until nothing waits."""

    def __init__(self, *, seed=1, retry_s=1.0, rates=None, silent_after=None, verify=True, **core):
        self.rng = random.Random(seed)
        self.core = GoldenCore(rng=self.rng, **core)
        self.device = ModelDevice(
            self.core, rates or FaultRates(), rng=self.rng, silent_after=silent_after
        )
        self.dispatcher = Dispatcher("dut", retry_s=retry_s, verify=verify, rng=self.rng)
        self.now = 0.0
        self.sent = bytearray()
        self.identity = self.dispatcher.open(self.now)

    def load(self, curve, secret):
        future = Future()
        self.dispatcher.load(Curve(curve), secret, future, self.now)
        return future

    def sign(self, key, message=None, digest=None):
        future = Future()
        op, body = check_payload(key.curve, message, digest)
        self.dispatcher.start(key, op, body, future, self.now)
        return future

    def ask(self, verb, *arguments):
        future = Future()
        getattr(self.dispatcher, verb)(*arguments, future, self.now)
        return future

    def step(self):
        """Move the bytes that wait once; whether anything moved."""
        output = bytes(self.dispatcher.output)
        self.dispatcher.output.clear()
        self.sent += output
        if output:
            self.dispatcher.moved(self.now)
            self.device.write(output)
        data = self.device.run() if self.device.busy else b""
        if data:
            self.dispatcher.feed(data, self.now)
        self.dispatcher.poll(self.now)
        return bool(output or data)

    def settle(self, *futures, steps=100_000):
        """Run until all ``futures`` have ended, or, without any, until nothing waits."""
        for _ in range(steps):
            if futures and all(future.done() for future in futures):
                return
            if not self.step() and not self.device.busy and not self.dispatcher.output:
                deadline = self.dispatcher.next_deadline
                if deadline is None:
                    break
                self.now = max(self.now, deadline)
        left = [future for future in futures if not future.done()]
        assert not left, f"{len(left)} of {len(futures)} requests never ended"

    def load_now(self, *keys):
        """Keys of ``(curve, secret)``, loaded."""
        futures = [self.load(curve, secret) for curve, secret in keys]
        self.settle(*futures)
        return [future.result() for future in futures]


@pytest.fixture(scope="session")
def rig():
    """Makes a :class:`Rig`."""
    return Rig
