from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path

import pytest

import intaglio
from intaglio import Key, Signature, orders, reference
from intaglio.cli.demo import demo_secret
from intaglio.curve import DEVICE_CURVES
from intaglio.soft import SoftSigner

SAMPLES = len(orders.samples())


def test_every_sample_is_signed_and_equal(run) -> None:
    result = run("demo", "--device", "soft:", "--json")
    assert result.status == 0
    assert result.err == ""
    assert len(result.json) == SAMPLES
    for row, order in zip(result.json, orders.samples(), strict=True):
        assert row.keys() == {"order", "curve", "signature", "cycles", "equal"}
        payload = orders.encode(order)
        secret = demo_secret(payload.curve)
        expected = reference.sign(payload.curve, secret, payload.message, payload.digest)
        assert row["signature"] == expected.raw.hex()
        assert row["order"] == payload.label
        assert row["equal"] is True
    assert {row["curve"] for row in result.json} == {curve.value for curve in DEVICE_CURVES}


def test_table_tells_totals(run) -> None:
    result = run("demo", "-d", "soft:")
    assert result.status == 0
    assert f"Signed {SAMPLES} orders" in result.out
    assert f"{SAMPLES} equal" in result.out
    assert "worth nothing" in result.out


def test_own_orders_and_bad_lines(run, tmp_path: Path) -> None:
    order = orders.samples()[0]
    path = tmp_path / "orders.jsonl"
    lines = [json.dumps(order), "{broken", '{"venue": "nowhere"}', "", json.dumps(order)]
    path.write_text("\n".join(lines))
    result = run("demo", "-d", "soft:", "--orders", path, "--json")
    assert result.status == 1
    assert len(result.json) == SAMPLES + 2
    assert result.json[-1] == result.json[-2] == result.json[0]
    errors = result.err.splitlines()
    assert len(errors) == 2
    assert f"{path} line 2: not JSON" in errors[0]
    assert f"{path} line 3: " in errors[1]


def test_own_key(run, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("11" * 32)
    path.chmod(0o600)
    result = run("demo", "-d", "soft:", "--key", f"ed25519:@{path}", "--json")
    assert result.status == 0
    plain = run("demo", "-d", "soft:", "--json").json
    for row, other in zip(result.json, plain, strict=True):
        assert (row["signature"] == other["signature"]) == (row["curve"] == "secp256k1")
    assert "The secp256k1 keys are" in run("demo", "-d", "soft:", "--key", f"ed25519:@{path}").out
    wrong = run("demo", "-d", "soft:", "--key", f"@{path}")
    assert wrong.status == 2
    assert "names its curve" in wrong.err


def test_missing_orders_file(run) -> None:
    result = run("demo", "-d", "soft:", "--orders", "/no/such/file")
    assert result.status == 2
    assert "does not exist" in result.err


class Liar(SoftSigner):
    """Answers a valid signature of another message."""

    def submit(
        self, key: Key, message: bytes | None = None, *, digest: bytes | None = None
    ) -> Future[Signature]:
        future: Future[Signature] = Future()
        future.set_result(self.sign(key, b"something else")._replace(cycles=1234))
        return future


def test_a_wrong_signature_is_seen(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intaglio, "open", lambda url, **_: Liar())
    result = run("demo", "-d", "soft:", "--json")
    assert result.status == 1
    assert not any(row["equal"] for row in result.json)
    table = run("demo", "-d", "soft:")
    assert f"{SAMPLES} different" in table.out
    assert "for one ed25519 order: 1,234." in table.out
