"""RFC 6979 gateware in simulation, and its model against published vectors and libsecp256k1."""

import hashlib
import json
import random

import coincurve
import pytest

from intaglio.hdl.hash.rfc6979 import Rfc6979, check_order
from intaglio.params import SECP256K1
from intaglio.sim import runner
from intaglio.sim.model.rfc6979 import nonce

BENCH = "intaglio.sim.benches.hash_rfc6979"

SECT163K1 = 0x4000000000000000000020108A2E0CC0D99F8A5EF
SECT163K1_VECTOR = (
    "09A4D6792295A7F730FC3F2B49CBC0F62E862272F",
    hashlib.sha256(b"sample").hexdigest(),
    "23AF4074C90A02B3FE61D286D5C87F425E6BDD81B",
)
"""RFC 6979, appendix A.1: a 163-bit order, the first two candidates refused."""

P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_KEY = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"
P256_VECTORS = [
    (
        P256_KEY,
        hashlib.sha256(b"sample").hexdigest(),
        "A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60",
    ),
    (
        P256_KEY,
        hashlib.sha256(b"test").hexdigest(),
        "D16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0",
    ),
]
"""RFC 6979, appendix A.2.5, with SHA-256."""

HALF_REFUSED = 2**254 + 79
"""255 bits: candidates are uniform below 2**255, so half of them are refused."""

TINY = 3
"""Two bits: a candidate is 0 or 3, both refused, as often as 1 or 2."""


@pytest.mark.parametrize(
    ("order", "vectors", "count"),
    [
        (SECP256K1.order, [], 30),
        (P256, P256_VECTORS, 5),
        (SECT163K1, [SECT163K1_VECTOR], 10),
        (HALF_REFUSED, [], 20),
        (TINY, [], 20),
    ],
    ids=["secp256k1", "p256", "sect163k1", "half-refused", "tiny"],
)
def test_rfc6979(order: int, vectors: list[tuple[str, str, str]], count: int) -> None:
    build = runner.build(Rfc6979(order), "rfc6979")
    env = {"ORDER": order, "VECTORS": json.dumps(vectors), "COUNT": count}
    measured = runner.run(build, BENCH, env=env)
    if order in (HALF_REFUSED, TINY):
        assert len(measured["cycles"]) >= 3, "the seed gave too few retries to test anything"
    assert measured["blocks"] == (20 if order == TINY else 22)


def test_model_agrees_with_libsecp256k1() -> None:
    chosen = random.Random(6979)
    for digest in (bytes(32), b"\xff" * 32, *(chosen.randbytes(32) for _ in range(50))):
        x = chosen.randrange(1, SECP256K1.order)
        k, refused = nonce(SECP256K1.order, x, int.from_bytes(digest, "big"))
        point = coincurve.PrivateKey.from_int(k).public_key.point()
        signature = coincurve.PrivateKey.from_int(x).sign_recoverable(digest, hasher=None)
        assert refused == 0
        assert signature[:32] == (point[0] % SECP256K1.order).to_bytes(32, "big")


@pytest.mark.parametrize("order", [0, 1, 2**256, -5])
def test_order_out_of_range(order: int) -> None:
    with pytest.raises(ValueError, match="order must be"):
        check_order(order)
