"""P-256: signed in software by OpenSSL, refused by devices, done by the fallback of a pool."""

import hashlib
import sys

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st

import intaglio
from intaglio import Curve, errors, params, reference
from intaglio.config import PoolConfig

SECRET = bytes(range(1, 33))
ORDER = params.P256.order
KEY = ec.derive_private_key(int.from_bytes(SECRET, "big"), ec.SECP256R1())


def test_parameters_are_those_of_openssl():
    x, y = params.P256.base
    base = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
    assert (base.x, base.y) == (x, y)
    p, a, b = params.P256.p, params.P256.a, params.P256.b
    assert (y * y - x**3 - a * x - b) % p == 0
    last = ec.derive_private_key(ORDER - 1, ec.SECP256R1()).public_key().public_numbers()
    assert (last.x, last.y) == (x, p - y)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, ORDER - 1), st.binary(max_size=300))
def test_signatures_are_openssl_s_deterministic_ones(scalar, message):
    key = ec.derive_private_key(scalar, ec.SECP256R1())
    expected = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    with intaglio.open() as signer:
        held = signer.load_key("p256", scalar.to_bytes(32, "big"))
        signature = signer.sign(held, message)
        assert (signature.r, signature.s) == utils.decode_dss_signature(expected)
        assert signature.recid is None
        assert signer.sign(held, digest=hashlib.sha256(message).digest()) == signature
        assert signer.sign_many([(held, message)] * 9) == [signature] * 9
        assert (
            held.public_key_uncompressed[1:]
            == reference.public_key(Curve.P256, scalar.to_bytes(32, "big"))[1:]
            + held.public_key_uncompressed[33:]
        )
        assert signer.verify(held.public_key, message, signature)


def test_either_s_verifies_and_nothing_else():
    with intaglio.open() as signer:
        key = signer.load_key("p256", SECRET)
        signature = signer.sign(key, b"m")
        other = signature.raw[:32] + (ORDER - signature.s).to_bytes(32, "big")
        assert signer.verify(key, b"m", signature)
        assert signer.verify(key, b"m", other)
        assert not signer.verify(key, b"n", signature)
        for wrong in (bytes(64), b"\xff" * 64, signature.raw[32:] + signature.raw[:32]):
            assert not signer.verify(key, b"m", wrong)


@pytest.mark.parametrize("scalar", [0, ORDER, 2**256 - 1])
def test_invalid_secrets(scalar):
    secret = scalar.to_bytes(32, "big")
    with intaglio.open() as signer:
        with pytest.raises(errors.InvalidKeyError, match="p256 secret is 0 or not below"):
            signer.load_key("p256", secret)
        with pytest.raises(errors.InvalidKeyError):
            signer.load_keys([("ed25519", SECRET), ("p256", secret)])


def test_a_device_says_that_it_has_no_such_curve():
    with intaglio.open("model:") as signer:
        with pytest.raises(
            errors.BadCurveError, match="model has no p256, only ed25519, secp256k1"
        ):
            signer.load_key("p256", SECRET)
        with pytest.raises(errors.BadCurveError):
            signer.load_keys([("ed25519", SECRET), ("p256", SECRET)])
        assert not signer._dispatcher._ring.by_key
        assert signer.load_key("ed25519", SECRET)


def test_a_pool_signs_it_on_its_fallback_and_says_so_where_there_is_none():
    config = {"device": [{"url": "model:", "name": "left"}]}
    with intaglio.open_pool(PoolConfig.parse(config)) as pool:
        p256, ed = pool.load_keys([("p256", SECRET), ("ed25519", SECRET)])
        signature = pool.sign(p256, b"m")
        KEY.public_key().verify(signature.der(), b"m", ec.ECDSA(hashes.SHA256()))
        pool.sign(ed, b"m")
        signed = {one.name: one.signatures for one in pool.members()}
        assert signed == {"left": 1, "soft:": 1}
    config |= {"fallback": [], "limits": {"patience_s": 0.05}}
    with intaglio.open_pool(PoolConfig.parse(config)) as pool:
        key = pool.load_key("p256", SECRET)
        with pytest.raises(errors.LinkError, match="holds this p256 key was up"):
            pool.sign(key, b"m")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    monkeypatch.delitem(sys.modules, "intaglio.p256", raising=False)
    monkeypatch.delattr(intaglio, "p256", raising=False)
    with (
        intaglio.open() as signer,
        pytest.raises(errors.InputError, match=r"pip install 'intaglio\[cryptography\]'"),
    ):
        signer.load_key("p256", SECRET)
