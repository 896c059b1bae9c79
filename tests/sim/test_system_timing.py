"""A lone job's cycles on the virtual board: curve, operation and length decide, nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

import intaglio
from intaglio import params, reference, wire
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.signer import Signer

KEYS = 200
"""More than the board has key slots, so that keys come and go meanwhile."""
LENGTH = 48
"""Bytes of the messages that those keys sign."""

BLOCK_BYTES = {Curve.ED25519: 128, Curve.SECP256K1: 64}
LAST_OF_BLOCK = {Curve.ED25519: (47, 79), Curve.SECP256K1: (55,)}
"""Lengths that just fill the first blocks of a hash: SHA-512 pads by 17 bytes and is taken over 32
and over 64 bytes and the message (RFC 8032), SHA-256 pads by 9."""
BLOCK_CLOCKS = {Curve.ED25519: 84, Curve.SECP256K1: 68}
"""Clocks of a block (hdl/hash/README.md)."""
PAGE_CLOCKS = {Curve.ED25519: 128, Curve.SECP256K1: 64}
"""More than fetching a page of the message pool takes: twice for Ed25519, once for SHA-256."""
JUDGE_CLOCKS = 8
"""More than judging a header takes, and beginning to take a body."""
LENGTHS = (0, 1, 55, 56, 63, 64, 111, 112, 127, 128, 1000, 4095, 4096)


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    with intaglio.open("sim:") as opened:
        yield opened


def edge_secrets(curve: Curve) -> list[bytes]:
    if curve is Curve.ED25519:
        return [bytes(32), b"\xff" * 32]
    order = params.SECP256K1.order
    return [n.to_bytes(32, "big") for n in (1, 2, order // 2, order - 1)]


def lone_cycles(
    signer: Signer, curve: Curve, secrets: list[bytes], payloads: list[dict[str, bytes]]
) -> set[int]:
    """Cycles of a job a secret, no two requests in the device at a time; each signature right."""
    cycles = set()
    slots = signer.identity.key_slots
    for first in range(0, len(secrets), slots):
        some = secrets[first : first + slots]
        keys = signer.load_keys([(curve, secret) for secret in some])
        for key, secret, payload in zip(keys, some, payloads[first:], strict=False):
            signature = signer.sign(key, **payload)
            expected = reference.sign(curve, secret, **payload)
            assert (signature.raw, signature.recid) == (expected.raw, expected.recid)
            cycles.add(signature.cycles)
    return cycles


@pytest.mark.parametrize("curve", DEVICE_CURVES)
def test_keys_and_messages_do_not_change_the_time(signer: Signer, curve: Curve) -> None:
    rng = random.Random(f"time of {curve.value}")
    secrets = [*edge_secrets(curve), *(rng.randbytes(32) for _ in range(KEYS))]
    messages = [bytes(LENGTH), b"\xff" * LENGTH, *(rng.randbytes(LENGTH) for _ in secrets[2:])]
    assert len(secrets) > signer.identity.key_slots
    cycles = lone_cycles(signer, curve, secrets, [{"message": one} for one in messages])
    assert len(cycles) == 1, f"lone jobs of one length took {sorted(cycles)} cycles"


def test_digests_do_not_change_the_time(signer: Signer) -> None:
    rng = random.Random("time of digests")
    order = params.SECP256K1.order
    edges = [n.to_bytes(32, "big") for n in (0, 1, order - 1, order, order + 1, 2**256 - 1)]
    digests = [*edges, *(rng.randbytes(32) for _ in range(18))]
    secrets = [rng.randbytes(32) for _ in digests]
    cycles = lone_cycles(signer, Curve.SECP256K1, secrets, [{"digest": one} for one in digests])
    assert len(cycles) == 1, f"lone jobs on digests took {sorted(cycles)} cycles"


@pytest.mark.parametrize("curve", DEVICE_CURVES)
def test_length_decides_the_time(signer: Signer, curve: Curve) -> None:
    """Each length has one time; a longer message pays for its blocks and its pages only."""
    rng = random.Random(f"lengths of {curve.value}")
    secrets = [rng.randbytes(32) for _ in range(3)]
    times = []
    for length in LENGTHS:
        payloads = [{"message": rng.randbytes(length)} for _ in secrets]
        cycles = lone_cycles(signer, curve, secrets, payloads)
        assert len(cycles) == 1, f"{length} bytes took {sorted(cycles)} cycles"
        times.append(cycles.pop())
    # the header's last byte is an empty message's last: it is judged within the time
    assert abs(times[0] - times[1]) <= JUDGE_CLOCKS
    times[0] = times[1]
    assert times == sorted(times)
    for length, time in zip(LENGTHS, times, strict=True):
        blocks = sum(
            max(0, -(-(length - last) // BLOCK_BYTES[curve])) for last in LAST_OF_BLOCK[curve]
        )
        least = blocks * BLOCK_CLOCKS[curve]
        most = least + wire.pages(length) * PAGE_CLOCKS[curve]
        assert least <= time - times[0] <= most, f"{length} bytes, {blocks} blocks more than none"
