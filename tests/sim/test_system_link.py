"""The real driver and the virtual board over a line that damages frames, and boards that die."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import wait

import pytest

from intaglio import frame, reference, wire
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.device import DeviceSigner
from intaglio.errors import IntaglioError, LinkError, RequestTimeout
from intaglio.sim.board import VirtualBoard
from intaglio.sim.model.link import FaultRates, FaultyWire
from intaglio.transport.base import Transport
from intaglio.transport.uart import UartTransport
from intaglio.values import SignRequest
from intaglio.wire import Op

TIMEOUT_S = 8.0
"""Silence that ends a request; a quarter of it is far longer than a job on a busy machine."""
IMPATIENT_S = 2.0


class Line:
    """One direction of a noisy line: whole frames go wrong, bytes are lost, bits flip.

    ``byte_loss`` and ``bit_flip`` are chances for each byte. Perfect while ``noisy`` is false.
    """

    def __init__(
        self, rates: FaultRates, byte_loss: float, bit_flip: float, rng: random.Random
    ) -> None:
        self.noisy = False
        self._frames = FaultyWire(rates, rng)
        self._byte_loss, self._bit_flip, self._rng = byte_loss, bit_flip, rng

    def carry(self, data: bytes) -> bytes:
        """What arrives of ``data``."""
        if not self.noisy:
            return data
        arriving = bytearray()
        for byte in self._frames.carry(data):
            if self._rng.random() < self._byte_loss:
                continue
            flip = self._rng.random() < self._bit_flip
            arriving.append(byte ^ (1 << self._rng.randrange(8) if flip else 0))
        return bytes(arriving)


class NoisyTransport(Transport):
    """``inner`` behind two lines; ``arrived`` counts the requests that reach the device whole."""

    def __init__(self, inner: Transport, to_device: Line, to_host: Line) -> None:
        self.name, self.default_timeout_s = inner.name, inner.default_timeout_s
        self._inner, self._to_device, self._to_host = inner, to_device, to_host
        self._backlog = b""
        self.decoder = frame.Decoder(wire.MAX_REQUEST_BYTES)
        self.arrived: Counter[Op] = Counter()

    def write(self, data: bytes | memoryview) -> int:
        self._flush()
        if self._backlog:
            return 0
        self._backlog = self._to_device.carry(bytes(data))
        for payload in self.decoder.feed(self._backlog):
            self.arrived[Op(wire.REQUEST.unpack(payload)["op"])] += 1
        self._flush()
        return len(data)

    def read(self, timeout_s: float | None, *, or_writable: bool = False) -> bytes:
        data = self._inner.read(timeout_s, or_writable=or_writable or bool(self._backlog))
        self._flush()
        return self._to_host.carry(data)

    def wake(self) -> None:
        self._inner.wake()

    def close(self) -> None:
        self._inner.close()

    def _flush(self) -> None:
        if self._backlog:
            self._backlog = self._backlog[self._inner.write(self._backlog) :]


FAULTS = {
    "frames": (FaultRates(drop=0.04, corrupt=0.04, dup=0.05, trunc=0.04), 0.0, 0.0),
    "bytes": (FaultRates(), 0.0004, 0.0004),
}


@pytest.fixture
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard() as running:
        yield running


def pid(board: VirtualBoard) -> int:
    process = board._process
    assert process is not None
    return process.pid


def tidy() -> tuple[set[str], int]:
    """Names of the driver's threads and how many file descriptors are open."""
    threads = {t.name for t in threading.enumerate() if t.name.startswith("intaglio")}
    return threads, len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize(
    ("seed", "count"),
    [(1, 170), *(pytest.param(seed, 2000, marks=pytest.mark.slow) for seed in (2, 3, 4))],
)
def test_damaged_frames(board: VirtualBoard, kind: str, seed: int, count: int) -> None:
    """Each request ends in one right signature or one typed error, and the counters add up."""
    rng = random.Random(f"{kind} {seed}")
    lines = [Line(*FAULTS[kind], random.Random(rng.random())) for _ in range(2)]
    transport = NoisyTransport(UartTransport(board.path), *lines)
    with DeviceSigner(transport, timeout_s=TIMEOUT_S, verify=False) as signer:
        before = signer.counters()
        good, bad = transport.decoder.frames_good, transport.decoder.frames_bad
        transport.arrived.clear()
        for line in lines:
            line.noisy = True
        pairs = [(curve, b"\1" + rng.randbytes(31)) for curve in DEVICE_CURVES for _ in range(5)]
        held = list(zip(pairs, signer.load_keys(pairs), strict=True))
        wanted = [(*rng.choice(held), rng.randbytes(rng.randrange(80))) for _ in range(count)]
        signatures = signer.sign_many(
            [SignRequest(key, message) for _, key, message in wanted], return_exceptions=True
        )
        for line in lines:
            line.noisy = False
        after = signer.counters()
        arrived = transport.arrived.total() - transport.arrived[Op.COUNTERS]
        good = transport.decoder.frames_good - good
        bad = transport.decoder.frames_bad - bad

    errors = [one for one in signatures if isinstance(one, IntaglioError)]
    assert len(errors) <= count // 50, errors
    for (pair, key, message), signature in zip(wanted, signatures, strict=True):
        if not isinstance(signature, IntaglioError):
            expected = reference.sign(*pair, message)
            got = (signature.raw, signature.recid, key.public_key)
            assert got == tuple(expected)

    assert after.frames_good - before.frames_good == good
    assert after.frames_bad - before.frames_bad == bad
    ended = sum(
        getattr(after, name) - getattr(before, name)
        for name in ("jobs_done", "faults", "duplicates", "refused")
    )
    assert ended == arrived
    assert after.faults == 0
    assert after.frames_bad > 0
    assert after.host_frames_bad > 0
    assert after.host_resent > 0
    assert kind != "frames" or after.duplicates > 0


def test_killed_in_a_burst(board: VirtualBoard) -> None:
    """What was answered is right, all else ends at once in one typed error; nothing is left."""
    before = tidy()
    signer = DeviceSigner(UartTransport(board.path), timeout_s=TIMEOUT_S)
    key = signer.load_key(Curve.ED25519, b"\x11" * 32)
    futures = [signer.submit(key, bytes([n])) for n in range(60)]
    futures[4].result()
    started = time.monotonic()
    os.kill(pid(board), signal.SIGKILL)
    assert not wait(futures, timeout=60).not_done
    assert time.monotonic() - started < TIMEOUT_S
    errors = [future.exception() for future in futures if future.exception() is not None]
    assert errors
    assert {type(error) for error in errors} == {LinkError}
    assert "was lost" in str(errors[0])
    for n, future in enumerate(futures):
        if future.exception() is None:
            assert (
                future.result().raw == reference.sign(Curve.ED25519, b"\x11" * 32, bytes([n])).raw
            )
    with pytest.raises(LinkError, match="was lost"):
        signer.sign(key, b"after")
    signer.close()
    signer.close()
    assert tidy() == before


def test_stops_answering(board: VirtualBoard) -> None:
    """Requests end in a time-out; when the board is back, the same signer signs again."""
    before = tidy()
    signer = DeviceSigner(UartTransport(board.path), timeout_s=IMPATIENT_S)
    key = signer.load_key(Curve.SECP256K1, b"\x11" * 32)
    os.kill(pid(board), signal.SIGSTOP)
    started = time.monotonic()
    futures = [signer.submit(key, bytes([n])) for n in range(12)]
    for future in futures:
        with pytest.raises(RequestTimeout, match="did not answer"):
            future.result(timeout=60)
    assert time.monotonic() - started >= IMPATIENT_S
    os.kill(pid(board), signal.SIGCONT)
    expected = reference.sign(Curve.SECP256K1, b"\x11" * 32, b"back")
    assert signer.sign(key, b"back").raw == expected.raw
    signer.close()
    assert tidy() == before


def test_closing_while_it_does_not_answer(board: VirtualBoard) -> None:
    before = tidy()
    signer = DeviceSigner(UartTransport(board.path), timeout_s=IMPATIENT_S)
    key = signer.load_key(Curve.ED25519, b"\x11" * 32)
    os.kill(pid(board), signal.SIGSTOP)
    future = signer.submit(key, b"never answered")
    signer.close()
    with pytest.raises(IntaglioError, match="closed"):
        future.result(timeout=60)
    assert tidy() == before
    os.kill(pid(board), signal.SIGCONT)
