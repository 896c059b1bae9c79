"""The command on the virtual board, as a user runs it: what it prints, and boards that die."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib import resources
from pathlib import Path

import pytest

from intaglio import orders, reference
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.hdl.profiles import PROFILES
from intaglio.sim.board import DEFAULT_PROFILE

PROGRAM = Path(sys.executable).with_name("intaglio")
TIME_OUT_S = 500
PROFILE = PROFILES[DEFAULT_PROFILE]
SECRET = b"\x11" * 32


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "150"}
    environment.pop("INTAGLIO_DEVICE", None)
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIME_OUT_S,
        env=environment,
    )


@pytest.fixture
def own_orders(tmp_path: Path) -> Path:
    """Two good orders with a line between them that is cut short, and an unknown venue."""
    samples = (resources.files(orders) / "samples.jsonl").read_text().splitlines()
    lines = [samples[0], '{"venue": "binance", "symbol": "BTCUSDT"', '{"venue": "x"}', samples[-1]]
    path = tmp_path / "orders.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_demo_with_broken_lines(own_orders: Path) -> None:
    """All good orders are signed, each bad line gets one sentence, the exit status says so."""
    count = len((resources.files(orders) / "samples.jsonl").read_text().splitlines()) + 2
    ran = run("demo", "--orders", own_orders)
    assert ran.returncode == 1
    errors = [line for line in ran.stderr.splitlines() if line.startswith("intaglio: ")]
    assert len(errors) == 2, ran.stderr
    assert f"{own_orders} line 2: not JSON (Expecting ',' delimiter at column 41)" in errors[0]
    assert f"{own_orders} line 3: order: field 'venue' is 'x'" in errors[1]
    assert len(re.findall(r"│ yes lib", ran.stdout)) == count
    assert f"{count} equal to the library's signature" in ran.stdout
    assert "2 not signed, 0 different." in ran.stdout
    assert "waiting included" in ran.stdout
    ranges = re.findall(r"for one (\S+) order: ([\d,]+)", ran.stdout)
    assert {curve for curve, _ in ranges} == {curve.value for curve in DEVICE_CURVES}
    alone = re.findall(r"^  ([\d,]+) cycles: ", ran.stdout, re.MULTILINE)
    assert len(alone) == len(DEVICE_CURVES)


def test_demo_as_json(own_orders: Path) -> None:
    ran = run("demo", "--orders", own_orders, "--json")
    assert ran.returncode == 1
    rows = json.loads(ran.stdout)
    assert all(row["equal"] and row["cycles"] > 0 for row in rows)
    assert {"order", "curve", "signature", "cycles", "equal"} == set(rows[0])


def test_info_tells_the_profile() -> None:
    ran = run("info", "--device", "sim:", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    identity = told["identity"]
    assert identity["profile"] == PROFILE.name
    assert identity["key_slots"] == PROFILE.key_slots
    assert identity["job_slots"] == PROFILE.job_slots
    assert identity["release_check"] == PROFILE.release_check.name.lower()
    assert identity["curves"] == [curve.value for curve in DEVICE_CURVES]
    assert len(identity["rtl_digest"]) == 32
    assert told["counters"]["frames_bad"] == 0


def test_doctor_tries_the_device() -> None:
    ran = run("doctor", "--device", "sim:")
    assert ran.returncode == 0, ran.stdout
    assert f"answers, profile {PROFILE.name}" in ran.stdout


def test_keys_beyond_the_slots() -> None:
    ran = run("keys", "--device", "sim:", "--load-test", PROFILE.key_slots + 4, "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["load_test"]["right"] == PROFILE.key_slots + 4


def test_selftest() -> None:
    ran = run("selftest", "--device", "sim:", "--rounds", 2, "--json")
    results = json.loads(ran.stdout)
    assert [result for result in results if not result["passed"]] == []
    assert ran.returncode == 0


@pytest.mark.parametrize(
    ("how", "sentence"),
    [(signal.SIGKILL, "was lost"), (signal.SIGSTOP, "did not answer")],
    ids=["killed", "silent"],
)
def test_board_fails_in_a_batch(tmp_path: Path, how: signal.Signals, sentence: str) -> None:
    """What came before is printed and right, every later line gets its sentence, nothing hangs."""
    lines = [
        {"curve": "ed25519", "key": SECRET.hex(), "message": n.to_bytes(2, "big").hex()}
        for n in range(1500)
    ]
    file = tmp_path / "batch.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = ["sign", "--batch", file, "--device", "sim:", "--json", "--timeout", "4"]
    process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = [process.stdout.readline() for _ in range(5)]
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 1
    os.kill(int(children[0]), how)
    started = time.monotonic()
    rest, _ = process.communicate(timeout=TIME_OUT_S)
    assert time.monotonic() - started < 60
    assert process.returncode == 1
    assert not Path(f"/proc/{children[0]}").exists()
    records = [json.loads(line) for line in [*printed, *rest.splitlines()]]
    assert len(records) == len(lines)
    signed = [record for record in records if "error" not in record]
    assert records[: len(signed)] == signed
    for n, record in enumerate(signed):
        expected = reference.sign(Curve.ED25519, SECRET, n.to_bytes(2, "big"))
        assert record["signature"] == expected.raw.hex()
    failed = records[len(signed) :]
    assert [record["line"] for record in failed] == list(range(len(signed) + 1, len(lines) + 1))
    assert all(sentence in record["error"] for record in failed)
