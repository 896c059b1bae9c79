"""The programs, run by the instruction-accurate model, against libsodium and libsecp256k1."""

from __future__ import annotations

import hashlib
import hmac

import coincurve
import nacl.signing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intaglio.hdl.engine.isa import INSTRUCTION_BITS, Instruction
from intaglio.hdl.engine.programs import Image, Program
from intaglio.params import ED25519, SECP256K1
from intaglio.sim.model.engine import Context, EngineModel

N = SECP256K1.order


@pytest.fixture(scope="module", params=[4, 5])
def model(request: pytest.FixtureRequest) -> EngineModel:
    return EngineModel(Image(window=request.param))


def inbox(digest: bytes) -> list[int]:
    return [int.from_bytes(digest[i : i + 32], "little") for i in (0, 32)] + [0, 0]


def encode_point(context: Context) -> bytes:
    x, y = context.outbox[:2]
    return (y | (x & 1) << 255).to_bytes(32, "little")


def point_ed25519(model: EngineModel, context: Context) -> None:
    model.run(Program.ED25519_COMB, context)
    model.invert(context, ED25519.p, source=3, target=2)
    model.run(Program.ED25519_POINT, context)


def point_secp256k1(model: EngineModel, context: Context) -> None:
    model.run(Program.ECDSA_COMB, context)
    model.invert(context, SECP256K1.p, source=3, target=2)
    model.run(Program.ECDSA_POINT, context)


def sign_ed25519(model: EngineModel, seed: bytes, message: bytes) -> tuple[bytes, bytes]:
    expanded = hashlib.sha512(seed).digest()
    a = int.from_bytes(expanded[:32], "little") & (2**254 - 8) | 2**254
    load = Context(inbox=[a, 0, 0, 0])
    model.run(Program.ED25519_SCALAR_A, load)
    point_ed25519(model, load)
    assert not load.fault
    public = encode_point(load)
    job = Context(key=load.key, inbox=inbox(hashlib.sha512(expanded[32:] + message).digest()))
    model.run(Program.ED25519_SCALAR_R, job)
    point_ed25519(model, job)
    r = encode_point(job)
    job.inbox = inbox(hashlib.sha512(r + public + message).digest())
    model.run(Program.ED25519_FINISH, job)
    assert not job.fault
    return public, r + job.outbox[2].to_bytes(32, "little")


def rfc6979(d: int, digest: bytes) -> int:
    z = (int.from_bytes(digest, "big") % N).to_bytes(32, "big")
    x = d.to_bytes(32, "big")
    key, v = bytes(32), b"\1" * 32
    for tag in (b"\0", b"\1"):
        key = hmac.digest(key, v + tag + x + z, "sha256")
        v = hmac.digest(key, v, "sha256")
    return int.from_bytes(hmac.digest(key, v, "sha256"), "big")


def load_secp256k1(model: EngineModel, d: int) -> Context:
    load = Context(key=[0, 0, 0, d])
    model.run(Program.ECDSA_SCALAR_D, load)
    if not load.fault:
        point_secp256k1(model, load)
    return load


def sign_secp256k1(model: EngineModel, d: int, digest: bytes) -> tuple[Context, Context]:
    load = load_secp256k1(model, d)
    assert not load.fault
    job = Context(key=load.key, inbox=[int.from_bytes(digest, "big"), rfc6979(d, digest), 0, 0])
    model.run(Program.ECDSA_SCALAR_K, job)
    model.invert(job, N, source=2, target=3)
    point_secp256k1(model, job)
    model.run(Program.ECDSA_FINISH, job)
    return load, job


@settings(max_examples=10, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200))
def test_ed25519_equals_libsodium(model: EngineModel, seed: bytes, message: bytes) -> None:
    key = nacl.signing.SigningKey(seed)
    public, signature = sign_ed25519(model, seed, message)
    assert public == bytes(key.verify_key)
    assert signature == key.sign(message).signature


@settings(max_examples=10, deadline=None)
@given(
    d=st.one_of(st.integers(1, N - 1), st.sampled_from([1, 2, 3, N - 1, N - 2, N // 2])),
    digest=st.one_of(
        st.binary(min_size=32, max_size=32),
        st.sampled_from([bytes(32), b"\xff" * 32, N.to_bytes(32, "big")]),
    ),
)
def test_secp256k1_equals_libsecp256k1(model: EngineModel, d: int, digest: bytes) -> None:
    key = coincurve.PrivateKey.from_int(d)
    load, job = sign_secp256k1(model, d, digest)
    assert not job.fault
    x, y = (word.to_bytes(32, "big") for word in load.outbox[:2])
    assert b"\x04" + x + y == key.public_key.format(compressed=False)
    r, s = (word.to_bytes(32, "big") for word in job.outbox[2:])
    assert r + s + bytes([job.recid]) == key.sign_recoverable(digest, hasher=None)


@pytest.mark.parametrize("d", [0, N, N + 1, 2**256 - 1])
def test_invalid_secp256k1_key_faults(model: EngineModel, d: int) -> None:
    assert load_secp256k1(model, d).fault


def test_instructions_round_trip(model: EngineModel) -> None:
    for program in model.image.programs.values():
        for instruction in program:
            word = instruction.encode()
            assert word < 1 << INSTRUCTION_BITS
            assert Instruction.decode(word) == instruction
        assert [i.end for i in program] == [0] * (len(program) - 1) + [1]


@pytest.mark.parametrize("scalar", [0, 1, 2, ED25519.order - 1])
def test_ed25519_point_of_edge_scalars(model: EngineModel, scalar: int) -> None:
    context = Context(inbox=[scalar, 0, 0, 0])
    model.run(Program.ED25519_SCALAR_R, context)
    point_ed25519(model, context)
    expected = {0: (0, 1), 1: ED25519.base}.get(scalar)
    assert not context.fault
    if scalar == ED25519.order - 1:
        expected = (ED25519.p - ED25519.base[0], ED25519.base[1])
    if expected is not None:
        assert tuple(context.outbox[:2]) == expected
