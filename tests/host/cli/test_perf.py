"""intaglio perf: what it prints, and the options it refuses."""

from __future__ import annotations

from importlib import import_module

from intaglio.hdl.profiles import PROFILES

verb = import_module("intaglio.cli.perf")


def test_json_has_a_row_for_each_profile_and_curve(run):
    ran = run("perf", "--json")
    assert ran.status == 0
    rows = ran.json
    assert {(row["profile"], row["curve"]) for row in rows} == {
        (profile, curve)
        for profile in {row["profile"] for row in rows}
        for curve in ("ed25519", "secp256k1")
    }
    for row in rows:
        assert isinstance(row["stale"], bool)
        assert 0 < row["multiplier_occupancy"] <= 1
        assert row["latency_cycles"] > row["products_per_signature"]


def test_table_of_one_profile(run, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    ran = run("perf", "--profile", "small")
    assert ran.status == 0
    words = ("small", "multiplier", "bottleneck", "ECDSA lanes", "UART, 3 Mbaud", "algebraic")
    for word in (*words, "Gen2 x4", "estimated after routing"):
        assert word in ran.out
    assert "double" not in ran.out


def test_measure_simulates_and_saves_as_asked_for(run, monkeypatch):
    figures = verb.part("load")()
    kept = []
    parts = {
        "profiles": PROFILES,
        "measure": lambda name: [one for one in figures if one.profile == name],
        "load": lambda: [],
        "save": kept.append,
        "rows": verb.part("rows"),
    }
    monkeypatch.setattr(verb, "part", parts.__getitem__)
    ran = run("perf", "--measure", "--profile", "small", "--json")
    assert {row["profile"] for row in ran.json} == {"small"}
    assert "simulating small" in ran.err
    assert not kept
    run("perf", "--measure", "--save", "-p", "small")
    assert [one.profile for one in kept[0]] == ["small", "small"]
    nothing = run("perf", "-p", "small")
    assert nothing.status == 2
    assert "give --measure" in nothing.err


def test_what_is_refused(run, tmp_path):
    for arguments, said in (
        (("--profile", "huge"), "known are small"),
        (("--save",), "give both"),
        (("--png", tmp_path / "picture.jpg"), "must end in .png"),
    ):
        ran = run("perf", *arguments)
        assert ran.status == 2
        assert said in ran.err
