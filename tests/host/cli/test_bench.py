"""intaglio bench: what it prints and where, and the options it refuses."""

import pytest

from intaglio.bench import comparison
from intaglio.cli.bench import OPEN_IN_FLIGHT
from intaglio.errors import FaultError

SHORT = ("--seconds", "0.02")


def test_table_of_a_closed_loop(run, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    ran = run("bench", *SHORT)
    assert ran.status == 0
    for word in ("secp256k1, order, on soft:", "p99.99", "jitter", "encode", "closed loop"):
        assert word in ran.out
    assert "closed loop, 1 in flight" in ran.err


@pytest.mark.parametrize("curve", ["ed25519", "secp256k1"])
def test_json_of_an_open_loop_on_a_device(run, curve):
    ran = run(
        "bench", "-d", "model:", "-c", curve, "--rate", "500", "--size", "64", "--json", *SHORT
    )
    told = ran.json
    assert ran.status == 0
    assert (told["signed"], told["loop"], told["offered_per_second"]) == (10, "fixed", 500)
    assert (told["payload"], told["simulated"], told["verify"]) == ("64 bytes", True, "all")
    assert told["in_flight"] == OPEN_IN_FLIGHT
    assert {"wait", "encode", "sign", "queue", "link", "verify"} <= set(told["stages"])
    assert told["cycles"]["p50"] > 0
    assert "sweep" not in told


def test_table_of_an_open_loop_on_a_simulated_device(run):
    ran = run("bench", "-d", "model:", "--rate", "500", "--poisson", *SHORT)
    assert ran.status == 0
    for word in ("device cycles", "intended arrival", "asked for", "Simulated"):
        assert word in ran.out


@pytest.mark.parametrize("verify", ["all", "off"])
def test_signatures_are_checked_as_asked_for(run, monkeypatch, verify):
    checked = []
    monkeypatch.setattr("intaglio.check.is_right", lambda *_: checked.append(1) or True)
    arguments = ("bench", "-d", "model:", "--rate", "500", "--in-flight", "3", *SHORT)
    told = run(*arguments, "--verify", verify, "--json").json
    assert (told["signed"], told["verify"]) == (10, verify)
    assert len(checked) == (3 + 10 if verify == "all" else 0)


def test_replay_lasts_as_long_as_its_file(run, tmp_path):
    path = tmp_path / "arrivals"
    path.write_text("0\n0.001\n0.002\n")
    assert run("bench", "--replay", path, "--json").json["signed"] == 3
    told = run("bench", "--replay", path, "--seconds", "0.0015", "--json").json
    assert (told["signed"], told["loop"]) == (2, "replay")


def test_picture_and_sweep(run, tmp_path):
    path = tmp_path / "latency.png"
    ran = run("bench", "--in-flight", "4", "--png", path, "--json", *SHORT)
    assert [one["in_flight"] for one in ran.json["sweep"]] == [1, 2]
    assert path.stat().st_size > 1000
    assert f"wrote {path}" in ran.err


def test_errors_of_requests_fail_the_command(run, monkeypatch):
    def faulty(self, key, message=None, *, digest=None, **_):
        raise FaultError("no")

    monkeypatch.setattr("intaglio.soft.SoftSigner.sign", faulty)
    ran = run("bench", *SHORT, "--rate", "100")
    assert ran.status == 1
    assert "2 ended in FaultError" in ran.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--rate", "1", "--replay", __file__), "not both"),
        (("--poisson",), "--poisson needs --rate"),
        (("--replay", __file__), "is no arrival"),
        (("--size", "5000"), "0 to 4096"),
        (("--png", "latency.svg"), "end in .png"),
        (("--compare", "--rate", "1"), "--compare measures calls"),
        (("--compare", "-d", "model:"), "simulated"),
        (("--in-flight", "1000"), "at most 64"),
        (("--verify", "some"), "some"),
    ],
)
def test_options_that_make_no_sense(run, arguments, sentence):
    ran = run("bench", *arguments)
    assert ran.status == 2
    assert sentence in ran.err
    assert ran.out == ""


def test_compare(run, monkeypatch):
    monkeypatch.setattr(comparison, "available", lambda: ["sign_ed25519", "sign_secp256k1"])
    arguments = ("bench", "--device", "soft:", "--compare", "--rounds", "1", "--scale", "0.01")
    ran = run(*arguments, "--json")
    assert ran.status == 0
    assert set(ran.json) == {"rows", "ratios", "missing"}
    assert ran.json["ratios"]["eip712"] is None
    assert "eip712 was not measured" in ran.err
    assert "pip install 'intaglio[eth]'" in ran.err
    table = run(*arguments)
    assert "sign_ed25519: libsodium crypto_sign" in table.out
    assert "eip712                not measured" in table.out


def test_bench_needs_its_extra(run, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("intaglio.bench.histogram.import_module", missing)
    ran = run("bench", *SHORT)
    assert ran.status == 2
    assert "pip install 'intaglio[bench]'" in ran.err
