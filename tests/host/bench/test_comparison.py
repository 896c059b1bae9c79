"""What --compare tells: a row for each side of each call, ratios, and what is missing."""

import pytest

import intaglio
from intaglio.bench import calls, comparison
from intaglio.errors import InputError


def test_rows_and_ratios_of_all_calls():
    with intaglio.open("soft:") as signer:
        told = comparison.compared(signer, rounds=1, scale=0.005).to_json()
    assert list(told["ratios"]) == [
        "hyperliquid_order",
        "eip712",
        "eip1559",
        "ccxt_hyperliquid",
        "sign_ed25519",
        "sign_secp256k1",
        "sign_many_2_workers",
    ]
    assert told["missing"] == {}
    assert all(ratio > 0 for ratio in told["ratios"].values())
    assert len(told["rows"]) == 2 * len(told["ratios"])
    by_call = {row["call"]: row for row in told["rows"]}
    for name, ratio in told["ratios"].items():
        ours, theirs = (row for call, row in by_call.items() if call.startswith(f"{name}: "))
        assert set(ours) == {"call", "p50_us", "p99_us", "per_second"}
        assert ours["call"] == f"{name}: intaglio"
        assert theirs["p50_us"] / ours["p50_us"] == pytest.approx(ratio, rel=0.01)
        jobs = calls.MANY if name == "sign_many_2_workers" else 1
        assert ours["per_second"] == pytest.approx(jobs * 1e6 / ours["p50_us"], rel=0.01)


def test_what_is_not_installed_has_no_ratio(monkeypatch):
    monkeypatch.setattr(comparison, "available", lambda: ["sign_ed25519"])
    with intaglio.open("soft:") as signer:
        told = comparison.compared(signer, rounds=1, scale=0.005)
    assert [name for name, ratio in told.ratios.items() if ratio is not None] == ["sign_ed25519"]
    assert list(told.ratios) == list(calls.NEEDS)
    assert len(told.rows) == 2
    assert told.missing["ccxt_hyperliquid"] == "pip install 'intaglio[ccxt]'"
    assert told.missing["hyperliquid_order"] == "pip install 'intaglio[hyperliquid]'"


def test_every_call_that_needs_packages_names_its_extra():
    assert set(comparison.EXTRAS) == {name for name, needs in calls.NEEDS.items() if needs}


def test_seconds_of_a_simulation_are_not_compared():
    with intaglio.open("model:") as signer, pytest.raises(InputError, match="simulated"):
        comparison.compared(signer)
