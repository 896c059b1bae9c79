"""The golden core at the end of a byte link that can lose, damage, repeat and cut frames.

``model:?seed=1&drop=0.05&corrupt=0.05&dup=0.05&trunc=0.05&key_slots=4&job_slots=8&latency=0.001``
opens it as a device. The rates are chances for each frame, the same in both directions.
``model:pcie`` is the same core behind descriptor rings (:mod:`intaglio.sim.model.pcie`).
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from intaglio import frame, wire
from intaglio.errors import InputError, LinkError
from intaglio.sim.model.core import GoldenCore
from intaglio.transport.base import ParsedUrl, Transport


@dataclass(frozen=True)
class FaultRates:
    """Chances (0..1) that a frame is lost, damaged in one byte, sent twice, cut short."""

    drop: float = 0.0
    corrupt: float = 0.0
    dup: float = 0.0
    trunc: float = 0.0


class FaultyWire:
    """One direction of a link: whole frames in, what arrives of them out."""

    def __init__(self, rates: FaultRates, rng: random.Random) -> None:
        self._rates = rates
        self._rng = rng
        self._partial = b""

    def carry(self, data: bytes) -> bytes:
        """What arrives of ``data``, once each frame in it is whole."""
        *frames, self._partial = (self._partial + data).split(frame.DELIMITER)
        return b"".join(self._carry(one + frame.DELIMITER) for one in frames)

    def _carry(self, data: bytes) -> bytes:
        rates, rng = self._rates, self._rng
        if rng.random() < rates.drop:
            return b""
        copies = 2 if rng.random() < rates.dup else 1
        if rng.random() < rates.corrupt:
            at = rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]
        if rng.random() < rates.trunc:
            data = data[: rng.randrange(len(data))]
        return data * copies


class ModelDevice:
    """Bytes in, bytes out: framing and a :class:`GoldenCore`, with faults on both ways.

    After ``silent_after`` frames that arrived it answers nothing any more (``None``: never).
    """

    def __init__(
        self,
        core: GoldenCore,
        rates: FaultRates = FaultRates(),
        *,
        rng: random.Random | None = None,
        silent_after: int | None = None,
    ) -> None:
        self.core = core
        self._rng = rng or random.Random(0)
        self._to_device = FaultyWire(rates, self._rng)
        self._to_host = FaultyWire(rates, self._rng)
        self._decoder = frame.Decoder(wire.MAX_REQUEST_BYTES)
        self._requests: deque[bytes | None] = deque()
        self._frames_left = silent_after

    @property
    def busy(self) -> bool:
        """Whether :meth:`run` has something to do."""
        return bool(self._requests or self.core.jobs)

    def write(self, data: bytes) -> None:
        """Bytes from the host."""
        bad = self._decoder.frames_bad
        for payload in self._decoder.feed(self._to_device.carry(data)):
            self._arrive(payload)
        for _ in range(self._decoder.frames_bad - bad):
            self._arrive(None)

    def run(self) -> bytes:
        """Take in what there is room for, end some of the jobs; the bytes that reach the host."""
        replies = []
        while self._requests:
            payload = self._requests[0]
            if payload is not None and not self.core.has_room(payload):
                break
            self._requests.popleft()
            reply = self.core.bad_frame() if payload is None else self.core.accept(payload)
            if reply is not None:
                replies.append(reply)
        if self.core.jobs:
            ended = self._rng.randint(1, len(self.core.jobs))
            replies += [self.core.finish_one() for _ in range(ended)]
        return self._to_host.carry(b"".join(frame.encode(reply) for reply in replies))

    def _arrive(self, payload: bytes | None) -> None:
        if self._frames_left is not None:
            if self._frames_left <= 0:
                return
            self._frames_left -= 1
        self._requests.append(payload)


FRUITLESS_S = 0.001
"""Seconds until a device that gave nothing is run again."""


class ModelTransport(Transport):
    """A :class:`ModelDevice` as a transport; it works while :meth:`read` waits.

    ``latency_s`` is the wall time between two runs of the device.
    """

    default_timeout_s = 2.0

    def __init__(self, device: ModelDevice, *, latency_s: float = 0.0, name: str = "model") -> None:
        self.name = name
        self.device = device
        self._latency_s = latency_s
        self._run_at = 0.0
        self._woken = threading.Event()
        self._closed = False

    def write(self, data: bytes | memoryview) -> int:
        if self._closed:
            raise LinkError(f"{self.name} was closed: open it again")
        self.device.write(bytes(data))
        return len(data)

    def read(self, timeout_s: float | None, *, or_writable: bool = False) -> bytes:
        now = time.monotonic()
        until = None if timeout_s is None else now + timeout_s
        while True:
            if self.device.busy and now >= self._run_at:
                self._run_at = now + self._latency_s
                data = self.device.run()
                if data:
                    return data
                self._run_at = max(self._run_at, time.monotonic() + FRUITLESS_S)
            if or_writable or (until is not None and now >= until):
                return b""
            times = [at for at in (until, self._run_at if self.device.busy else None) if at]
            if self._woken.wait(min(times) - now if times else None):
                self._woken.clear()
                return b""
            now = time.monotonic()

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        self._closed = True


def open_transport(url: ParsedUrl) -> Transport:
    """Open ``model:`` or ``model:pcie`` with the parameters named below; all have defaults."""
    core = ("seed", "key_slots", "job_slots", "pool_bytes", "fault", "version")
    rng = random.Random(url.integer("seed", 0, 0, 2**63))

    def new_core() -> GoldenCore:
        return GoldenCore(
            key_slots=url.integer("key_slots", 16, 1, 256),
            job_slots=url.integer("job_slots", 64, 1, 1024),
            pool_bytes=url.integer("pool_bytes", 32768, wire.MAX_MESSAGE_BYTES, 1 << 24),
            fault_rate=url.real("fault", 0.0, 0.0, 1.0),
            version=url.integer("version", wire.VERSION, 0, 255),
            rng=rng,
        )

    if url.path == "pcie":
        url.allow(*core, "dma_faults", "gone_after")
        return _open_pcie(url, new_core, rng)
    if url.path:
        raise InputError(f"device URL {url.text!r}: write model: or model:pcie")
    rates = ("drop", "corrupt", "dup", "trunc")
    url.allow(*rates, *core, "silent_after", "latency")
    silent_after = url.integer("silent_after", 1 << 62, 0, 1 << 62)
    device = ModelDevice(
        new_core(),
        FaultRates(**{name: url.real(name, 0.0, 0.0, 1.0) for name in rates}),
        rng=rng,
        silent_after=silent_after,
    )
    return ModelTransport(device, latency_s=url.real("latency", 0.0, 0.0, 60.0))


def _open_pcie(url: ParsedUrl, new_core: Callable[[], GoldenCore], rng: random.Random) -> Transport:
    from intaglio.sim.model.pcie import ModelFunction
    from intaglio.transport.pcie import RingTransport

    function = ModelFunction(
        new_core,
        name=url.text,
        dma_faults=url.real("dma_faults", 0.0, 0.0, 1.0),
        gone_after=url.integer("gone_after", 1 << 62, 0, 1 << 62),
        rng=rng,
    )
    return RingTransport(function)
