"""Values: forms of keys and signatures, and that no secret shows in them."""

import copy
import pickle

import coincurve
import pytest
from coincurve.ecdsa import cdata_to_der, deserialize_recoverable, recoverable_convert
from hypothesis import given
from hypothesis import strategies as st

import intaglio
from intaglio import Curve, InputError, Key, Signature
from intaglio.curve import DEVICE_CURVES


def der_of(raw):
    """DER of r || s by libsecp256k1."""
    return cdata_to_der(recoverable_convert(deserialize_recoverable(raw + b"\0")))


@given(st.binary(min_size=32, max_size=32), st.integers(0, 200), st.integers(0, 200))
def test_der_is_that_of_libsecp256k1(digest, shorten_r, shorten_s):
    raw = coincurve.PrivateKey(b"\1" * 32).sign_recoverable(digest, hasher=None)[:64]
    halves = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    r, s = (half >> shift or 1 for half, shift in zip(halves, (shorten_r, shorten_s), strict=True))
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert Signature(raw, Curve.SECP256K1, 0).der() == der_of(raw)


def test_halves_and_recovery_bit():
    raw = bytes(31) + b"\1" + bytes(31) + b"\2"
    ecdsa = Signature(raw, Curve.SECP256K1, 1, 9)
    assert (ecdsa.r, ecdsa.s, ecdsa.recid_bit, ecdsa.cycles) == (1, 2, 1, 9)
    eddsa = Signature(raw, Curve.ED25519)
    assert (eddsa.r, eddsa.s) == (1 << 248, 2 << 248)


@pytest.mark.parametrize(("recid", "sentence"), [(2, "id 2"), (3, "id 3"), (None, "have no")])
def test_a_recovery_id_that_is_no_bit_raises(recid, sentence):
    with pytest.raises(InputError, match=sentence):
        _ = Signature(bytes(64), Curve.SECP256K1, recid).recid_bit


def test_ed25519_has_no_der_and_one_public_form():
    with pytest.raises(InputError, match="raw"):
        Signature(bytes(64), Curve.ED25519).der()
    with pytest.raises(InputError, match="public_key"):
        _ = Key(Curve.ED25519, bytes(32)).public_key_uncompressed


def test_curve_is_a_string_and_names_those_it_knows():
    assert Curve("secp256k1") is Curve.SECP256K1
    assert f"{Curve.ED25519}" == "ed25519" == Curve.ED25519
    with pytest.raises(InputError, match="'p384': known are ed25519, secp256k1, p256"):
        Curve("p384")


@pytest.mark.parametrize(
    ("url", "curve"),
    [*(("soft:", curve) for curve in Curve), *(("model:", curve) for curve in DEVICE_CURVES)],
)
def test_a_key_neither_shows_nor_carries_its_secret(url, curve):
    secret = bytes(range(1, 33))
    with intaglio.open(url) as signer:
        key = signer.load_key(curve, secret)
        assert secret.hex() not in repr(key) + repr(signer) + repr(vars(signer))
        assert key.public_key.hex() in repr(key)
        assert secret not in (key._curve, key._point)
        assert Key.__slots__ == ("__weakref__", "_curve", "_point")
        for action in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled"):
                action(key)


def test_errors_never_show_a_secret():
    secret = bytes(range(1, 32))
    with intaglio.open() as signer, pytest.raises(InputError) as caught:
        signer.load_key("ed25519", secret)
    assert "32 bytes, not 31" in str(caught.value)
    assert secret.hex() not in str(caught.value)
    with intaglio.open() as signer, pytest.raises(InputError, match="bytes, not str"):
        signer.load_key("ed25519", "00" * 32)
