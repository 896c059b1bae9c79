"""The virtual board, with a loopback in place of the core."""

import os
import random
import select
import subprocess
import sys
import time
import tty
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cobs import cobs

from intaglio import wire
from intaglio.errors import InputError, IntaglioError, LinkError
from intaglio.hdl.link.serial import SerialLink
from intaglio.sim import board, runner
from intaglio.transport.base import ParsedUrl
from intaglio.transport.uart import UartTransport

SPIN = 0xEE
"""A first byte that keeps the loopback busy for a while after its reply."""
SPIN_CLOCKS = 100_000


class Loopback(wiring.Component):
    """Replies with the request, the git revision added to its first 20 bytes."""

    rx: In(1, init=1)
    tx: Out(1, init=1)
    busy: Out(1)
    git_revision: In(160)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.link = link = SerialLink(board.CLOCKS_PER_BIT)
        spin = Signal(range(SPIN_CLOCKS + 1))
        position = Signal(range(21))
        request, reply = link.requests, link.replies
        m.d.comb += [
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
            self.busy.eq(link.busy | (spin != 0)),
            reply.valid.eq(request.valid),
            reply.payload.eq(request.payload),
            request.ready.eq(reply.ready),
        ]
        with m.If(position != 20):
            revision = self.git_revision.word_select(position, 8)
            m.d.comb += reply.payload.data.eq(request.payload.data + revision)
        with m.If(spin != 0):
            m.d.sync += spin.eq(spin - 1)
        with m.If(reply.valid & reply.ready):
            with m.If(position != 20):
                m.d.sync += position.eq(position + 1)
            with m.If((position == 0) & (request.payload.data == SPIN)):
                m.d.sync += spin.eq(SPIN_CLOCKS)
            with m.If(request.payload.last):
                m.d.sync += position.eq(0)
        return m


def frame(payload: bytes) -> bytes:
    return cobs.encode(payload + zlib.crc32(payload).to_bytes(4, "little")) + b"\0"


def answer(payload: bytes) -> bytes:
    revision = board.git_revision().ljust(len(payload), b"\0")
    return bytes((a + b) & 0xFF for a, b in zip(payload, revision, strict=False))


def exchange(transport: UartTransport, line: bytes, count: int, timeout_s: float = 60) -> bytes:
    """Write ``line``, reading as long as ``count`` bytes have not come."""
    received = b""
    deadline = time.monotonic() + timeout_s
    rest = memoryview(line)
    while len(received) < count:
        rest = rest[transport.write(rest) :] if rest else rest
        assert time.monotonic() < deadline, f"{len(received)} of {count} bytes came"
        received += transport.read(1.0, or_writable=bool(rest))
    return received


@pytest.fixture(scope="module")
def program() -> Path:
    return board.build("loopback", top=Loopback)


@pytest.fixture
def running(program: Path) -> Iterator[board.VirtualBoard]:
    with board.VirtualBoard("loopback", top=Loopback) as started:
        yield started


@pytest.fixture
def port(running: board.VirtualBoard) -> Iterator[UartTransport]:
    transport = UartTransport(running.path)
    yield transport
    transport.close()


def test_round_trip(port: UartTransport) -> None:
    rng = random.Random(1)
    payloads = [rng.randbytes(n) for n in (12, 20, 21, 88, 300, wire.MAX_REQUEST_BYTES)]
    wanted = b"".join(frame(answer(payload)) for payload in payloads)
    assert exchange(port, b"".join(map(frame, payloads)), len(wanted)) == wanted


def test_pipelined_beyond_every_buffer(port: UartTransport) -> None:
    """200 KiB while nobody reads at first: what does not fit waits, nothing is lost."""
    rng = random.Random(2)
    payloads = [rng.randbytes(1000) for _ in range(200)]
    line = b"".join(map(frame, payloads))
    rest = memoryview(line)
    quiet_since = time.monotonic()
    while rest and time.monotonic() < quiet_since + 0.5:
        taken = port.write(rest)
        rest = rest[taken:]
        if taken:
            quiet_since = time.monotonic()
    wanted = b"".join(frame(answer(payload)) for payload in payloads)
    assert exchange(port, bytes(rest), len(wanted)) == wanted


def test_bad_frame_is_dropped(port: UartTransport) -> None:
    broken = bytearray(frame(b"x" * 40))
    broken[7] ^= 1
    wanted = frame(answer(b"after the bad one"))
    assert exchange(port, broken + frame(b"after the bad one"), len(wanted)) == wanted


def test_hosts_come_and_go(running: board.VirtualBoard) -> None:
    for n in range(3):
        transport = UartTransport(running.path)
        payload = bytes([n]) * 30
        wanted = frame(answer(payload))
        assert exchange(transport, frame(payload), len(wanted)) == wanted
        transport.close()


def test_clock_stops_when_idle_and_not_before(
    running: board.VirtualBoard, port: UartTransport
) -> None:
    payload = bytes([SPIN]) * 12
    before = running.cycles
    exchange(port, frame(payload), len(frame(answer(payload))))
    after = running.cycles
    while (now := running.cycles) != after or now < before + SPIN_CLOCKS:
        after = now
        time.sleep(0.2)
    assert after < before + SPIN_CLOCKS + 10_000
    used = _cpu_ticks(running)
    time.sleep(0.3)
    assert running.cycles == after
    assert _cpu_ticks(running) <= used + 1


def _cpu_ticks(running: board.VirtualBoard) -> int:
    process = running._process
    assert process is not None
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_stop_tells_cycles(running: board.VirtualBoard) -> None:
    during = running.cycles
    running.stop()
    running.stop()
    assert running.cycles >= during > 0
    assert running.path == ""


def test_second_start_is_refused(running: board.VirtualBoard) -> None:
    with pytest.raises(IntaglioError, match="runs already"):
        running.start()


def test_dead_board_is_reported(running: board.VirtualBoard) -> None:
    process = running._process
    assert process is not None
    process.kill()
    process.wait()
    with pytest.raises(LinkError, match="has ended"):
        _ = running.cycles


def test_board_dies_with_its_parent(program: Path) -> None:
    """Also when another process still holds its standard input open."""
    script = f"""
import os, subprocess, sys
board = subprocess.Popen([{str(program)!r}, "4", "00" * 20], stdin=0, stdout=subprocess.PIPE)
board.stdout.readline()
print(board.pid, flush=True)
os._exit(0)
"""
    read_end, write_end = os.pipe()
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=read_end, capture_output=True, text=True, timeout=60
    )
    os.close(read_end)
    pid = int(done.stdout)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{pid}").exists()
    os.close(write_end)


def test_terminal_is_raw(running: board.VirtualBoard) -> None:
    """A plain file descriptor, as other hosts use, sees every byte unchanged."""
    fd = os.open(running.path, os.O_RDWR | os.O_NOCTTY)
    payload = bytes(range(256))
    wanted = frame(answer(payload))
    received = b""
    os.write(fd, frame(payload))
    while len(received) < len(wanted):
        assert select.select([fd], [], [], 30)[0]
        received += os.read(fd, 4096)
    os.close(fd)
    assert received == wanted


def test_open_transport(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    monkeypatch.setattr(board, "build", lambda profile, top=None: program)
    transport = board.open_transport(ParsedUrl.parse("sim:?profile=loopback"))
    assert transport.name == "sim:?profile=loopback"
    wanted = frame(answer(b"through the URL"))
    assert exchange(transport, frame(b"through the URL"), len(wanted)) == wanted
    transport.close()
    transport.close()


@pytest.mark.parametrize(
    ("url", "error"),
    [("sim:?speed=2", InputError), ("sim:/dev/ttyS0", InputError), ("sim:?profile=x", InputError)],
)
def test_bad_urls(url: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"sim:|'x': known are"):
        board.open_transport(ParsedUrl.parse(url))


def test_missing_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LinkError, match=r"cannot start the virtual board: .*g\+\+ make perl"):
        board.open_transport(ParsedUrl.parse("sim:"))


def test_report_is_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    report = board.BuildReport("board")
    for percent in range(101):
        report("compiling", percent / 100)
    report.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"board: compiling, {n}%" for n in (0, 25, 50, 75, 100)]


def test_report_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    with open(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        report = board.BuildReport("board")
        report("compiling", 0.5)
        report.close()
    shown = os.read(master, 65536)
    os.close(master)
    assert b"compiling" in shown


def test_build_is_cached(program: Path) -> None:
    assert board.build("loopback", top=Loopback) == program
    assert program.is_relative_to(runner.cache_dir())
