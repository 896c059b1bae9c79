"""Signatures from the virtual board through the real driver, equal to the libraries' ones."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import intaglio
from intaglio import params, reference
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.signer import Signer
from intaglio.sim.board import DEFAULT_PROFILE
from intaglio.values import SignRequest

EDGE_LENGTHS = (0, 1, 55, 56, 63, 64, 111, 112, 127, 128, 4095, 4096)
ORDER = params.SECP256K1.order
PER_CURVE = 64
KEYS_PER_CURVE = 9
"""Of both curves together more than the board's key slots."""

Case = tuple[Curve, bytes, dict[str, bytes]]


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    with intaglio.open("sim:", verify=False) as opened:
        yield opened


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("intaglio")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=500)


def secrets(curve: Curve) -> st.SearchStrategy[bytes]:
    if curve is Curve.ED25519:
        return st.binary(min_size=32, max_size=32)
    edges = st.sampled_from([1, 2, 3, ORDER // 2, ORDER - 2, ORDER - 1])
    return (edges | st.integers(1, ORDER - 1)).map(lambda n: n.to_bytes(32, "big"))


def payloads(curve: Curve) -> st.SearchStrategy[dict[str, bytes]]:
    of_edge_length = st.sampled_from(EDGE_LENGTHS).flatmap(
        lambda n: st.randoms(use_true_random=False).map(lambda rng: rng.randbytes(n))
    )
    messages = st.binary(max_size=300) | of_edge_length
    choices = messages.map(lambda message: {"message": message})
    if curve is Curve.SECP256K1:
        edges = st.sampled_from([0, 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1])
        digests = edges | st.integers(0, 2**256 - 1)
        choices |= digests.map(lambda n: {"digest": n.to_bytes(32, "big")})
    return choices


cases = st.sampled_from(DEVICE_CURVES).flatmap(
    lambda curve: st.tuples(st.just(curve), secrets(curve), payloads(curve))
)


def check(signer: Signer, wanted: list[Case]) -> None:
    """Sign everything pipelined; compare signatures and public keys."""
    pairs = list(dict.fromkeys((curve, secret) for curve, secret, _ in wanted))
    keys = dict(zip(pairs, signer.load_keys(pairs), strict=True))
    requests = [SignRequest(keys[curve, secret], **data) for curve, secret, data in wanted]
    signatures = signer.sign_many(requests)
    for (curve, secret, data), signature in zip(wanted, signatures, strict=True):
        got = (signature.raw, signature.recid, keys[curve, secret].public_key)
        assert got == tuple(reference.sign(curve, secret, **data)), (curve, data)
        assert signature.cycles > 0
    for key in keys.values():
        signer.wipe(key)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(wanted=st.lists(cases, min_size=1, max_size=10))
def test_any_mixture_equals_the_libraries(signer: Signer, wanted: list[Case]) -> None:
    check(signer, wanted)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(wanted=st.lists(cases, min_size=1, max_size=40))
def test_many_mixtures_equal_the_libraries(signer: Signer, wanted: list[Case]) -> None:
    check(signer, wanted)


@pytest.mark.parametrize("curve", DEVICE_CURVES)
def test_every_edge_length(signer: Signer, curve: Curve) -> None:
    rng = random.Random(f"lengths of {curve.value}")
    secret = rng.randbytes(32)
    wanted: list[Case] = [(curve, secret, {"message": rng.randbytes(n)}) for n in EDGE_LENGTHS]
    wanted.append((curve, secret, {"message": bytes(4096)}))
    wanted.append((curve, secret, {"message": b"\xff" * 128}))
    check(signer, wanted)


def batch(rng: random.Random) -> list[Case]:
    """:data:`PER_CURVE` of each curve over a few keys, shuffled."""
    wanted: list[Case] = []
    for curve in DEVICE_CURVES:
        held = [rng.randbytes(32) for _ in range(KEYS_PER_CURVE)]
        for n in range(PER_CURVE):
            data = {"message": rng.randbytes(rng.choice((0, 32, 100, 200, 600)))}
            if curve is Curve.SECP256K1 and n % 2:
                data = {"digest": rng.randbytes(32)}
            wanted.append((curve, held[n % len(held)], data))
    rng.shuffle(wanted)
    return wanted


def test_batch_on_the_command_line(tmp_path: Path) -> None:
    """Every line is answered in order: right signatures, and one sentence where a line is bad."""
    rng = random.Random(64)
    wanted = batch(rng)
    lines: list[str] = [
        json.dumps(
            {"curve": curve.value, "key": secret.hex()}
            | {name: value.hex() for name, value in data.items()}
        )
        for curve, secret, data in wanted
    ]
    bad = {
        5: "{broken",
        40: json.dumps({"curve": "secp256k1", "key": "00" * 32, "digest": "11" * 32}),
        41: json.dumps({"curve": "ed25519", "key": "11" * 32, "message": "00" * 4097}),
        90: json.dumps({"curve": "secp256k1", "key": "11" * 32, "digest": "11" * 31}),
    }
    for at, line in bad.items():
        lines.insert(at, line)
    file = tmp_path / "batch.jsonl"
    file.write_text("\n".join(lines) + "\n")
    device = f"sim:?profile={DEFAULT_PROFILE}"
    ran = command("sign", "--batch", str(file), "--device", device, "--json")
    assert ran.returncode == 1, ran.stderr
    printed: list[dict[str, Any]] = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(printed) == len(lines)
    assert [n for n, record in enumerate(printed) if "error" in record] == list(bad)
    for at in bad:
        assert printed[at]["line"] == at + 1
    signed = [record for record in printed if "error" not in record]
    for (curve, secret, data), record in zip(wanted, signed, strict=True):
        expected = reference.sign(curve, secret, **data)
        assert record["signature"] == expected.raw.hex()
        assert record["recid"] == expected.recid
        assert record["public_key"] == expected.public_key.hex()
        assert record["cycles"] > 0
