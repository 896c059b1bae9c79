"""The whole device on secp256k1's twist: ECDSA at a 220-bit order, through the real driver."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest

from intaglio.curve import Curve
from intaglio.device import DeviceSigner
from intaglio.errors import InvalidKeyError
from intaglio.hdl.device import SerialSigner
from intaglio.hdl.profiles import SMALL
from intaglio.sim.board import CLOCKS_PER_BIT, VirtualBoard
from intaglio.sim.model import ecdsa
from intaglio.sim.model.ecdsa import TWIST_220
from intaglio.transport.uart import UartTransport
from intaglio.values import Key, Signature

N = TWIST_220.order
TIMEOUT_S = 60.0


def top() -> SerialSigner:
    return SerialSigner(SMALL, clocks_per_bit=CLOCKS_PER_BIT, curve=TWIST_220)


@pytest.fixture(scope="module")
def signer() -> Iterator[DeviceSigner]:
    with VirtualBoard("small-order", top=top) as board:
        transport = UartTransport(board.path, name="the board", default_timeout_s=TIMEOUT_S)
        with DeviceSigner(transport, verify=False) as opened:
            yield opened


def load(signer: DeviceSigner, d: int) -> Key:
    return signer.load_key(Curve.SECP256K1, d.to_bytes(32, "big"))


def expect(d: int, digest: bytes, signature: Signature) -> int:
    """Compare with plain integers; how many candidates for the nonce were refused."""
    expected = ecdsa.sign(TWIST_220, d, int.from_bytes(digest, "big"))
    assert expected is not None
    assert (signature.r, signature.s, signature.recid) == expected[:3]
    return expected.refused


@pytest.mark.parametrize("d", [1, 2, N // 2, N - 1])
def test_public_key(signer: DeviceSigner, d: int) -> None:
    point = ecdsa.multiply(TWIST_220, d, TWIST_220.base)
    assert point is not None
    x, y = (coordinate.to_bytes(32, "big") for coordinate in point)
    assert load(signer, d).public_key_uncompressed == b"\x04" + x + y


@pytest.mark.parametrize("d", [0, N, N + 1, 2**220, 2**256 - 1])
def test_key_out_of_range(signer: DeviceSigner, d: int) -> None:
    with pytest.raises(InvalidKeyError):
        load(signer, d)


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_signatures(signer: DeviceSigner, count: int) -> None:
    """Messages and digests; each refused nonce costs the same time, nothing else costs any."""
    rng = random.Random(count)
    times: dict[tuple[bool, int], set[int]] = {}
    keys = {d: load(signer, d) for d in (1, N - 1, *(rng.randrange(1, N) for _ in range(4)))}
    edges = [bytes(32), b"\xff" * 32, (N << 36).to_bytes(32, "big"), N.to_bytes(32, "big")]
    for n, digest in enumerate([*edges, *(rng.randbytes(32) for _ in range(count))]):
        d = rng.choice(list(keys))
        of_digest = n < len(edges) or n % 2 == 0
        if of_digest:
            signature = signer.sign(keys[d], digest=digest)
        else:
            signature = signer.sign(keys[d], digest)
            digest = hashlib.sha256(digest).digest()
        refused = expect(d, digest, signature)
        times.setdefault((of_digest, refused), set()).add(signature.cycles)
    assert all(len(cycles) == 1 for cycles in times.values()), times
    for of_digest in (False, True):
        first, second = (times[of_digest, refused].pop() for refused in (0, 1))
        assert first < second
