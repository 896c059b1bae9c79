"""Published vectors, on software, on the models and on the core; ``SOURCES.md`` says whose."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cryptography_vectors
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

import intaglio
from intaglio.curve import Curve
from intaglio.hdl.engine.programs import Image, Program
from intaglio.hdl.routes import Kind, Modulus, Station, routes
from intaglio.params import ED25519, P256, SECP256K1
from intaglio.sim import runner
from intaglio.sim.benches import core_build
from intaglio.sim.model.core import is_scalar
from intaglio.sim.model.engine import Context, EngineModel
from intaglio.sim.model.rfc6979 import nonce
from intaglio.wire import CurveId, Op, ReleaseCheck

HASHES = {
    "SHA-1": hashes.SHA1(),
    "SHA-224": hashes.SHA224(),
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}
ORDERS = {
    "P-192": 0xFFFFFFFFFFFFFFFFFFFFFFFF99DEF836146BC9B1B4D22831,
    "P-224": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    "P-256": P256.order,
}
"""SP 800-186, section 3.2.1; P-192: FIPS 186-4, section D.1.2.1."""


class EdVector(NamedTuple):
    seed: bytes
    public: bytes
    message: bytes
    signature: bytes


class EcVector(NamedTuple):
    hash_name: str
    message: bytes
    d: bytes
    public: bytes

    @property
    def digest(self) -> bytes:
        """Its 32 bytes as they are signed."""
        hashed = hashlib.new(self.hash_name.replace("-", ""), self.message).digest()
        return hashed[:32].rjust(32, b"\0")


class NonceVector(NamedTuple):
    order: int
    x: int
    h1: int
    r: int
    s: int


def read(name: str) -> str:
    with cryptography_vectors.open_vector_file(f"asymmetric/{name}", "r") as file:
        return str(file.read())


def ed_vectors() -> list[EdVector]:
    vectors = []
    for line in read("Ed25519/sign.input").split():
        secret, public, message, signed = (bytes.fromhex(x) for x in line.split(":")[:4])
        vectors.append(EdVector(secret[:32], public, message, signed[:64]))
    return vectors


def ec_vectors() -> list[EcVector]:
    vectors = []
    for section in read("ECDSA/SECP256K1/SigGen.txt").split("[K-256,")[1:]:
        name, _, rest = section.partition("]")
        for message, d, x, y in re.findall(
            r"Msg = (\w*)\s+d = (\w+)\s+Qx = (\w+)\s+Qy = (\w+)", rest
        ):
            words = [int(value, 16).to_bytes(32, "big") for value in (d, x, y)]
            vectors.append(EcVector(name, bytes.fromhex(message), words[0], words[1] + words[2]))
    return vectors


def nonce_vectors() -> list[NonceVector]:
    text = read("ECDSA/RFC6979/evppkey_ecdsa_rfc6979.txt")
    keys = {}
    for name, pem in re.findall(
        r"PrivateKey=(\S+)_PRIV\n(-----BEGIN.*?END [A-Z ]+-----)", text, re.S
    ):
        keys[name] = pem
    vectors = []
    for curve, content, output in re.findall(
        r"DigestSign = SHA256\nKey = (\S+)_PRIV\nNonceType = deterministic\n"
        r'Input = "(\w+)"\nOutput = (\w+)',
        text,
    ):
        if curve not in ORDERS:
            continue
        key = serialization.load_pem_private_key(keys[curve].encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        h1 = int.from_bytes(hashlib.sha256(content.encode()).digest(), "big")
        r, s = utils.decode_dss_signature(bytes.fromhex(output))
        x = key.private_numbers().private_value
        vectors.append(NonceVector(ORDERS[curve], x, h1, r, s))
    return vectors


def verify_ecdsa(vector: EcVector, signature: bytes) -> None:
    """Raises if it is not a signature of the vector's message under its public key, with low s."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), b"\4" + vector.public)
    r, s = (int.from_bytes(signature[i : i + 32], "big") for i in (0, 32))
    algorithm = ec.ECDSA(HASHES[vector.hash_name])
    public.verify(utils.encode_dss_signature(r, s), vector.message, algorithm)
    assert s <= SECP256K1.order // 2


def test_the_files_hold_what_is_expected() -> None:
    assert len(ed_vectors()) == 1024
    assert {len(vector.message) for vector in ed_vectors()} == set(range(1024))
    assert len(ec_vectors()) == 1125
    assert {vector.hash_name for vector in ec_vectors()} == set(HASHES)
    assert all(is_scalar(vector.d) for vector in ec_vectors())
    assert len(nonce_vectors()) == 6


def test_ed25519_in_software() -> None:
    with intaglio.open("soft:") as signer:
        for vector in ed_vectors():
            key = signer.load_key(Curve.ED25519, vector.seed)
            assert key.public_key == vector.public
            assert signer.sign(key, vector.message).raw == vector.signature


def test_secp256k1_in_software() -> None:
    with intaglio.open("soft:") as signer:
        for vector in ec_vectors():
            key = signer.load_key(Curve.SECP256K1, vector.d)
            assert key.public_key_uncompressed == b"\4" + vector.public
            verify_ecdsa(vector, signer.sign(key, digest=vector.digest).raw)


def test_p256_in_software() -> None:
    vectors = [vector for vector in nonce_vectors() if vector.order == P256.order]
    assert len(vectors) == 2
    with intaglio.open("soft:") as signer:
        for vector in vectors:
            key = signer.load_key(Curve.P256, vector.x.to_bytes(32, "big"))
            signature = signer.sign(key, digest=vector.h1.to_bytes(32, "big"))
            assert (signature.r, signature.s) == (vector.r, vector.s)


def test_nonces_of_the_model() -> None:
    for vector in nonce_vectors():
        k, refused = nonce(vector.order, vector.x, vector.h1)
        assert refused == 0
        z = vector.h1 >> 256 - vector.order.bit_length()
        # s k = z + r x holds for the nonce that the signature was made with, and for no other
        assert vector.s * k % vector.order == (z + vector.r * vector.x) % vector.order


CHECK = ReleaseCheck.DOUBLE
"""The level with the most programs."""

MODEL = EngineModel(Image(4, release_check=CHECK))
INVERSES = {
    Modulus.ED25519_FIELD: (ED25519.p, 3, 2),
    Modulus.ECDSA_FIELD: (SECP256K1.p, 3, 2),
    Modulus.ORDER: (SECP256K1.order, 2, 3),
}
"""Modulus, outbox word and inbox word of :class:`~intaglio.hdl.stations.invert.Invert`."""


def execute(kind: Kind, context: Context, hashed: Callable[[Context], list[int]]) -> None:
    """A job through all its stations, on the models; ``hashed`` gives what a lane would."""
    for station, what in routes(CHECK)[kind]:
        if station in (Station.SHA512, Station.NONCE):
            context.inbox[:2] = hashed(context)
        elif station == Station.ENGINE:
            assert isinstance(what, Program)
            MODEL.run(what, context)
        elif station == Station.INVERT:
            assert isinstance(what, Modulus)
            MODEL.invert(context, *INVERSES[what])
    assert not context.fault


def halves(digest: bytes) -> list[int]:
    return [int.from_bytes(digest[i : i + 32], "little") for i in (0, 32)]


def encoded(context: Context) -> bytes:
    x, y = context.outbox[:2]
    return (y | (x & 1) << 255).to_bytes(32, "little")


def test_ed25519_by_the_instruction_model() -> None:
    for vector in ed_vectors()[::16]:
        expanded = hashlib.sha512(vector.seed).digest()
        scalar = int.from_bytes(expanded[:32], "little") & (2**254 - 8) | 2**254
        load = Context()
        execute(Kind.LOAD_ED25519, load, lambda _, scalar=scalar: [scalar, 0])
        public = encoded(load)
        assert public == vector.public
        inputs = iter(
            (
                lambda _, e=expanded, v=vector: e[32:] + v.message,
                lambda c, v=vector: encoded(c) + v.public + v.message,
            )
        )
        job = Context(key=load.key)
        execute(
            Kind.SIGN_ED25519, job, lambda c, i=inputs: halves(hashlib.sha512(next(i)(c)).digest())
        )
        assert encoded(job) + job.outbox[2].to_bytes(32, "little") == vector.signature


def test_secp256k1_by_the_instruction_model() -> None:
    for vector in ec_vectors()[::18]:
        d = int.from_bytes(vector.d, "big")
        load = Context(key=[0, 0, 0, d])
        execute(Kind.LOAD_ECDSA, load, lambda _: [0, 0])
        assert b"".join(word.to_bytes(32, "big") for word in load.outbox[:2]) == vector.public
        z = int.from_bytes(vector.digest, "big")
        k, _ = nonce(SECP256K1.order, d, z)
        job = Context(key=load.key)
        execute(Kind.SIGN_ECDSA, job, lambda _, z=z, k=k: [z, k])
        verify_ecdsa(vector, b"".join(word.to_bytes(32, "big") for word in job.outbox[2:]))


def test_the_core(tmp_path: Path) -> None:
    """24 vectors of Ed25519 over all lengths, and five of each hash of secp256k1, on the RTL."""
    ed = [ed_vectors()[round(i * 1023 / 23)] for i in range(24)]
    by_hash = {name: [v for v in ec_vectors() if v.hash_name == name][:5] for name in HASHES}
    chosen = [vector for vectors in by_hash.values() for vector in vectors]
    items = [
        {
            "curve": CurveId.ED25519,
            "op": Op.SIGN_MESSAGE,
            "key": v.seed.hex(),
            "body": v.message.hex(),
            "public": v.public.hex(),
            "signature": v.signature.hex(),
        }
        for v in ed
    ]
    items += [
        {
            "curve": CurveId.SECP256K1,
            "op": Op.SIGN_MESSAGE if v.hash_name == "SHA-256" else Op.SIGN_DIGEST,
            "key": v.d.hex(),
            "body": (v.message if v.hash_name == "SHA-256" else v.digest).hex(),
            "public": v.public.hex(),
        }
        for v in chosen
    ]
    path = tmp_path / "vectors.json"
    path.write_text(json.dumps(items))
    bench = "intaglio.sim.benches.core_vectors"
    made = runner.run(core_build.build(), bench, env={"VECTORS": path})["signatures"]
    assert len(made) == len(items) == 49
    for vector, signature in zip(chosen, made[len(ed) :], strict=True):
        verify_ecdsa(vector, bytes.fromhex(signature))
        if vector.hash_name == "SHA-256":
            assert signature == deterministic(vector).hex()


def deterministic(vector: EcVector) -> bytes:
    """The RFC 6979 signature that OpenSSL makes, with low s."""
    key = ec.derive_private_key(int.from_bytes(vector.d, "big"), ec.SECP256K1())
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = utils.decode_dss_signature(key.sign(vector.message, algorithm))
    return r.to_bytes(32, "big") + min(s, SECP256K1.order - s).to_bytes(32, "big")
