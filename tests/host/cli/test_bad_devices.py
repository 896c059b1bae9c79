"""Devices that stop answering or speak another version: one sentence, no traceback, status 1.

A URL that names none is a wrong command line: status 2.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import intaglio
from intaglio import Signer, wire
from intaglio.device import DeviceSigner
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.link import ModelDevice, ModelTransport

SECRET = hashlib.sha256(b"secret").hexdigest()
SIGN = ("sign", "-c", "ed25519", "-k", SECRET, "-m", "00", "--json")


@contextmanager
def silent_port() -> Iterator[str]:
    """A terminal that nobody answers on."""
    controller, port = os.openpty()
    tty.setraw(port)
    try:
        yield os.ttyname(port)
    finally:
        os.close(controller)
        os.close(port)


@pytest.mark.parametrize("command", [SIGN, ("info",), ("demo",), ("selftest",), ("keys",)])
def test_a_port_that_never_answers(run, command: tuple[str, ...]) -> None:
    with silent_port() as port:
        result = run(*command, "--device", f"uart:{port}", "--timeout", "0.1")
    assert result.status == 1
    assert result.out == ""
    sentences = [line for line in result.err.splitlines() if "warning" not in line]
    assert len(sentences) == 1
    assert port in sentences[0]
    assert SECRET not in result.err


@pytest.mark.parametrize("command", [SIGN, ("info",), ("demo",), ("bench",), ("selftest",)])
@pytest.mark.parametrize("url", ["nowhere:", "sim:full", "soft:?fast=1", "/dev/ttyUSB0"])
def test_a_url_that_makes_no_sense_is_a_wrong_command_line(
    run, command: tuple[str, ...], url: str
) -> None:
    result = run(*command, "--device", url)
    assert (result.status, result.out) == (2, "")
    assert url in result.err
    assert SECRET not in result.err


def use(monkeypatch: pytest.MonkeyPatch, device: ModelDevice) -> None:
    def opened(url: str, *, timeout_s: float | None = None, verify: bool = True) -> Signer:
        transport = ModelTransport(device, name="the board")
        return DeviceSigner(transport, timeout_s=timeout_s or 0.2, verify=verify)

    monkeypatch.setattr(intaglio, "open", opened)


def test_another_version(run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ModelDevice(GoldenCore(version=wire.VERSION + 1)))
    result = run(*SIGN)
    assert (result.status, result.out) == (1, "")
    assert f"version {wire.VERSION + 1}" in result.err
    assert f"version {wire.VERSION}" in result.err


def batch(count: int) -> bytes:
    lines = [{"curve": "ed25519", "key": SECRET, "message": f"{n:08x}"} for n in range(count)]
    return b"\n".join(json.dumps(line).encode() for line in lines)


def test_a_board_that_falls_silent_in_a_batch(run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ModelDevice(GoldenCore(), silent_after=100))
    result = run("sign", "--batch", "-", "--json", stdin=batch(400))
    assert result.status == 1
    assert len(result.lines) == 400
    signed = [n for n, line in enumerate(result.lines) if "signature" in line]
    assert signed
    for number, line in enumerate(result.lines):
        assert ("signature" in line) != ("error" in line)
        if "error" in line:
            assert line["line"] == number + 1


def test_a_faulty_board_fails_single_lines(run, monkeypatch: pytest.MonkeyPatch) -> None:
    core = GoldenCore(fault_rate=0.2, rng=random.Random(1))
    use(monkeypatch, ModelDevice(core))
    result = run("sign", "--batch", "-", "--json", stdin=batch(60))
    lines = result.lines
    assert result.status == 1
    assert len(lines) == 60
    errors = [line for line in lines if "error" in line]
    assert len(errors) == core.counters["faults"] > 0
    assert all("release check" in line["error"] for line in errors)
    assert sum("signature" in line for line in lines) == 60 - len(errors) > 0


def test_a_slow_single_signature_is_one_sentence(run, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ModelDevice(GoldenCore(), silent_after=2))
    result = run(*SIGN)
    assert (result.status, result.out) == (1, "")
    assert "the board" in result.err


def test_results_go_to_standard_output_with_a_progress_bar_shown() -> None:
    controller, terminal = os.openpty()
    try:
        result = subprocess.run(
            [sys.executable, "-m", "intaglio.cli", "sign", "--batch", "-", "--json"],
            input=batch(100),
            stdout=subprocess.PIPE,
            stderr=terminal,
            timeout=60,
        )
        os.set_blocking(controller, False)
        shown = os.read(controller, 1 << 16)
    finally:
        os.close(controller)
        os.close(terminal)
    assert result.returncode == 0
    assert len([json.loads(line) for line in result.stdout.splitlines()]) == 100
    assert b"signing" in shown
    assert b"signature" not in shown
