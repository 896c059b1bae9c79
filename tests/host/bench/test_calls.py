"""The pairs that are compared make the same bytes, and the comparison counts what it says."""

import pytest

import intaglio
from intaglio.bench import calls
from intaglio.errors import InputError


@pytest.fixture
def signer():
    with intaglio.open() as signer:
        yield signer


def test_all_pairs_agree_and_are_measured(signer):
    assert calls.available() == list(calls.NEEDS)
    with calls.pairs(signer) as made:
        assert [pair.name for pair in made] == list(calls.NEEDS)
        rows = calls.compare(made, rounds=1, scale=0.01)
    for row in rows:
        assert 0 < row.ours_p50_us <= row.ours_p99_us
        assert row.ratio == row.peer_p50_us / row.ours_p50_us


def test_any_device_serves():
    with intaglio.open("model:") as signer:
        names = ["hyperliquid_order", "ccxt_hyperliquid", "sign_ed25519"]
        with calls.pairs(signer, names) as made:
            calls.compare(made, rounds=1, scale=0.001)
        assert signer.counters().jobs_done > len(names)


def test_pairs_that_disagree_are_refused(signer, monkeypatch):
    monkeypatch.setattr(calls, "direct_ed25519", lambda *_: lambda: b"other")
    with (
        pytest.raises(InputError, match="sign_ed25519: ours and libsodium"),
        calls.pairs(signer, ["sign_ed25519"]),
    ):
        pass
    with pytest.raises(InputError, match="no pair 'x'"), calls.pairs(signer, ["x"]):
        pass


def test_medians_of_interleaved_rounds(monkeypatch):
    now = [0]
    monkeypatch.setattr(calls.time, "perf_counter_ns", lambda: now[0])
    log = []

    def side(name, cost_us):
        def call():
            log.append(name)
            now[0] += cost_us * 1000

        return call

    pair = calls.Pair(
        "p",
        "peer",
        side("ours", 2),
        side("peer", 6),
        3,
        1,
        enter=lambda: log.append("enter"),
        leave=lambda: log.append("leave"),
    )
    (row,) = calls.compare([pair], rounds=2)
    assert row == calls.Compared("p", 2, 2, 6, 6, 3)
    ours, peer = ["enter", *["ours"] * 4, "leave"], ["peer"] * 2
    assert log == [*peer, *ours, *ours, *peer]
