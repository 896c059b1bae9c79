from __future__ import annotations

from types import SimpleNamespace

import pytest

import intaglio
from intaglio import Curve, Identity, bitstreams, doctor, reference, wire
from intaglio.cli import common
from intaglio.curve import DEVICE_CURVES
from intaglio.doctor import Finding, Level
from intaglio.soft import SoftSigner

SECRET = "07" * 32


def test_info_of_software(run) -> None:
    result = run("info", "--device", "soft:", "--json")
    assert result.status == 0
    assert result.json["identity"]["curves"] == ["ed25519", "secp256k1", "p256"]
    assert result.json["identity"]["version"] == wire.VERSION
    assert set(result.json["counters"]) >= {field.name for field in wire.COUNTERS.fields}
    assert "software" in run("info").out


class Board(SoftSigner):
    @property
    def identity(self) -> Identity:
        return Identity(
            name="board",
            curves=DEVICE_CURVES,
            profile="tiny",
            key_slots=16,
            job_slots=8,
            pool_bytes=32768,
            clock_hz=50_000_000,
            release_check=wire.ReleaseCheck.ALGEBRAIC,
            rtl_digest="ab" * 16,
            git_revision="00" * 20,
        )


def test_info_of_a_board(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intaglio, "open", lambda url, **_: Board())
    text = run("info").out
    for part in ("tiny", "algebraic", "16 (a cache", "8 jobs", "32768 bytes", "50 MHz", "unknown"):
        assert part in text
    assert run("info", "--json").json["identity"]["release_check"] == "algebraic"
    assert "16, all empty" in run("keys").out


def test_info_names_the_bitstream(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intaglio, "open", lambda url, **_: Board())
    identity = Board().identity
    fields = ("profile", "clock_hz", "rtl_digest", "git_revision")
    alike = SimpleNamespace(
        name="ulx3s-85f-tiny",
        board="ulx3s-85f",
        **{name: getattr(identity, name) for name in fields},
    )
    unlike = SimpleNamespace(**{**vars(alike), "name": "elsewhere", "clock_hz": 1})
    monkeypatch.setattr(bitstreams, "manifests", lambda: [alike, unlike])
    text = run("info").out
    assert "ulx3s-85f-tiny, stale" in text
    assert "elsewhere" not in text
    monkeypatch.setattr(common, "entry_points", lambda group: ())
    text = run("info").out
    assert "ulx3s-85f-tiny" in text
    assert "stale" not in text


@pytest.mark.parametrize("curve", list(Curve))
def test_keys_shows_the_public_key(run, curve: Curve) -> None:
    result = run("keys", "--curve", curve, "--key", SECRET, "--json")
    assert result.status == 0
    expected = reference.public_key(curve, bytes.fromhex(SECRET))
    assert result.json["public_key"] == expected.hex()
    assert result.json["equal"] is True
    assert SECRET not in result.out + result.err
    assert expected.hex() in run("keys", "--curve", curve, "--key", SECRET).out


def test_keys_load_test(run) -> None:
    result = run("keys", "--load-test", 30, "--json")
    assert result.status == 0
    assert (result.json["load_test"]["keys"], result.json["load_test"]["right"]) == (30, 30)
    assert "30 right" in run("keys", "--load-test", 30).out


def test_keys_needs_curve_and_key_together(run) -> None:
    assert run("keys", "--curve", "ed25519").status == 2


def test_doctor_tells_problems(run, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [Finding("g++", Level.OK, "12"), Finding("latency", Level.WARNING, "16 ms", "mend")]
    monkeypatch.setattr(doctor, "examine", lambda: list(findings))
    assert run("doctor").status == 0
    assert run("doctor", "--device", "soft:").status == 0
    dead = run("doctor", "--device", "uart:/dev/no-such-port", "--json")
    assert dead.status == 1
    assert dead.json[-1]["level"] == "problem"
    findings.append(Finding("make [x]", Level.PROBLEM, "absent", "sudo apt install make"))
    result = run("doctor")
    assert result.status == 1
    assert "make [x]" in result.out
    assert "sudo apt install make" in result.out


def test_help_of_every_verb(run) -> None:
    verbs = ("demo", "info", "doctor", "keys", "sign", "verify", "selftest")
    overview = run("--help").out
    for verb in verbs:
        assert verb in overview
        text = run(verb, "--help").out
        assert "--json" in text
        assert "--device" in text


def test_info_and_doctor_tell_of_each_member_of_a_pool(run, tmp_path) -> None:
    path = tmp_path / "pool.toml"
    path.write_text(
        '[[device]]\nname = "left"\nurl = "model:"\n'
        '[[device]]\nname = "right"\nurl = "uart:/dev/no-such-port"\n'
    )
    told = run("info", "-d", f"pool:{path}", "--json").json["members"]
    states = [(one["name"], one["state"], one["fallback"]) for one in told]
    assert states == [("left", "up", False), ("right", "down", False), ("soft:", "up", True)]
    table = run("info", "-d", f"pool:{path}").out
    assert "up, fallback" in table
    assert "/dev/no-such-port" in table
    findings = {one["check"]: one for one in run("doctor", "-d", f"pool:{path}", "--json").json}
    assert findings["member left"]["level"] == findings["member soft:"]["level"] == "ok"
    assert findings["member right"]["level"] == "warning"
    assert "/dev/no-such-port" in findings["member right"]["found"]
    assert findings[f"device pool:{path}"]["level"] == "ok"
