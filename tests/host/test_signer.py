"""The signer's verbs, the same on software and on a device behind a byte link."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import coincurve
import nacl.signing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import intaglio
from intaglio import Curve, SignRequest, errors
from intaglio.curve import DEVICE_CURVES

SECRET = bytes(range(1, 33))
GROUP_ORDER = coincurve.utils.GROUP_ORDER_INT
LENGTHS = [0, 1, 55, 56, 63, 64, 111, 112, 127, 128, 4095, 4096]
URLS = ["soft:", "model:", "model:?key_slots=1&job_slots=2&pool_bytes=4096"]


@pytest.fixture(params=URLS)
def signer(request):
    with intaglio.open(request.param) as signer:
        yield signer


@pytest.fixture
def keys(signer):
    return {curve: signer.load_key(curve, SECRET) for curve in DEVICE_CURVES}


def right(curve, message):
    if curve is Curve.ED25519:
        return nacl.signing.SigningKey(SECRET).sign(message).signature, None
    signed = coincurve.PrivateKey(SECRET).sign_recoverable(message)
    return signed[:64], signed[64]


@pytest.mark.parametrize("curve", DEVICE_CURVES)
@pytest.mark.parametrize("length", LENGTHS)
def test_sign_equals_the_libraries(signer, keys, curve, length):
    message = bytes(i * 7 & 255 for i in range(length))
    signature = signer.sign(keys[curve], message=message)
    assert (signature.raw, signature.recid) == right(curve, message)
    assert signature.curve is curve
    assert signer.verify(keys[curve], message, signature)
    assert signer.verify(keys[curve].public_key, message, signature.raw)


def test_digest_is_signed_as_it_is(signer, keys):
    key = keys[Curve.SECP256K1]
    digest = hashlib.sha256(b"m").digest()
    assert signer.sign(key, digest=digest).raw == signer.sign(key, b"m").raw
    signature = signer.sign(key, digest=bytes(32))
    assert signature.raw == coincurve.PrivateKey(SECRET).sign_recoverable(bytes(32), None)[:64]
    assert signer.verify(key.public_key_uncompressed, digest=bytes(32), signature=signature)


def test_verify_refuses_what_is_wrong(signer, keys):
    for curve, key in keys.items():
        signature = signer.sign(key, b"m")
        assert not signer.verify(key, b"n", signature)
        for at in (0, 32, 63):
            raw = bytearray(signature.raw)
            raw[at] ^= 1
            assert not signer.verify(key, b"m", bytes(raw))
        assert not signer.verify(key, b"m", b"\xff" * 64)
        with pytest.raises(errors.InputError, match="64 bytes, not 63"):
            signer.verify(key, b"m", signature.raw[:63])
        assert curve is key.curve
    s = GROUP_ORDER - signature.s
    assert not signer.verify(key, b"m", signature.raw[:32] + s.to_bytes(32, "big"))
    with pytest.raises(errors.InputError, match="not 31"):
        signer.verify(bytes(31), b"m", signature)
    with pytest.raises(errors.InputError, match="not on secp256k1"):
        signer.verify(b"\2" + b"\xff" * 32, b"m", signature)


def test_sign_many_keeps_order_and_isolates_errors(signer, keys):
    ed, secp = keys.values()
    requests = [
        (ed, b"0"),
        SignRequest(secp, digest=bytes(32)),
        (secp, bytes(4097)),
        SignRequest(secp, digest=bytes(31)),
        SignRequest(ed, digest=bytes(32)),
        (ed, b"5"),
    ]
    results = signer.sign_many(iter(requests), return_exceptions=True)
    assert [isinstance(one, errors.InputError) for one in results] == [0, 0, 1, 1, 1, 0]
    assert results[0].raw == right(Curve.ED25519, b"0")[0]
    assert results[5].raw == right(Curve.ED25519, b"5")[0]
    with pytest.raises(errors.InputError, match="4097 bytes is too long: at most 4096"):
        signer.sign_many(requests)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "either message= or digest="),
        ({"message": b"", "digest": bytes(32)}, "either message= or digest="),
        ({"message": "text"}, "must be bytes, not str"),
        ({"digest": bytes(33)}, "must be 32 bytes, not 33"),
    ],
)
def test_bad_input_is_one_sentence(signer, keys, arguments, sentence):
    with pytest.raises(errors.InputError, match=sentence):
        signer.sign(keys[Curve.SECP256K1], **arguments)


@pytest.mark.parametrize("scalar", [0, GROUP_ORDER, 2**256 - 1])
def test_invalid_secp256k1_secrets(signer, scalar):
    with pytest.raises(errors.InvalidKeyError, match="not below the group order"):
        signer.load_key(Curve.SECP256K1, scalar.to_bytes(32, "big"))
    signer.load_key(Curve.SECP256K1, (GROUP_ORDER - 1).to_bytes(32, "big"))


def test_load_keys_takes_all_or_none(signer):
    keys = signer.load_keys(("ed25519", bytes([i]) * 32) for i in range(20))
    assert [key.public_key for key in keys] == [
        bytes(nacl.signing.SigningKey(bytes([i]) * 32).verify_key) for i in range(20)
    ]
    before = signer.counters().jobs_done
    with pytest.raises(errors.InvalidKeyError):
        signer.load_keys([("ed25519", SECRET), ("secp256k1", bytes(32))])
    assert signer.counters().jobs_done > before
    assert signer.sign(keys[0], b"m").curve is Curve.ED25519


def test_the_secret_may_be_any_buffer_and_is_copied(signer):
    buffer = bytearray(SECRET)
    key = signer.load_key(Curve.ED25519, memoryview(buffer))
    buffer[:] = bytes(32)
    assert signer.sign(key, b"m").raw == right(Curve.ED25519, b"m")[0]


def test_public_key_and_identity(signer, keys):
    for key in keys.values():
        assert signer.public_key(key) == key.public_key
    software = (Curve.P256,) if signer.identity.name == "soft" else ()
    assert signer.identity.curves == DEVICE_CURVES + software
    assert signer.identity.max_message_bytes == 4096


def test_wiped_keys_are_gone(signer, keys):
    ed, secp = keys.values()
    signer.wipe(ed)
    for use in (signer.sign, signer.submit):
        with pytest.raises(errors.InputError, match="not held here"):
            use(ed, b"m")
    with pytest.raises(errors.InputError, match="not held here"):
        signer.wipe(ed)
    assert signer.sign(secp, b"m").raw == right(Curve.SECP256K1, b"m")[0]
    signer.wipe()
    with pytest.raises(errors.InputError, match="not held here"):
        signer.public_key(secp)
    assert signer.sign(signer.load_key(Curve.ED25519, SECRET), b"m")


def test_keys_of_another_signer_are_refused(signer):
    with intaglio.open() as other:
        key = other.load_key(Curve.ED25519, SECRET)
        with pytest.raises(errors.InputError, match="another signer"):
            signer.sign(key, b"m")
    with pytest.raises(errors.InputError, match="not str"):
        signer.sign("key", b"m")


def test_closed_signers_say_so(signer, keys):
    signer.close()
    signer.close()
    for use in (
        lambda: signer.sign(keys[Curve.ED25519], b"m"),
        lambda: signer.load_key(Curve.ED25519, SECRET),
        signer.counters,
        signer.wipe,
    ):
        with pytest.raises(errors.ClosedError, match="closed"):
            use()


def test_many_threads_share_one_signer(signer, keys):
    def work(number):
        curve = DEVICE_CURVES[number % 2]
        messages = [b"%d %d" % (number, i) for i in range(20)]
        signatures = [signer.sign(keys[curve], message).raw for message in messages]
        return signatures == [right(curve, message)[0] for message in messages]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


@settings(max_examples=40, deadline=None)
@given(
    curve=st.sampled_from(DEVICE_CURVES),
    secret=st.integers(1, GROUP_ORDER - 1).map(lambda scalar: scalar.to_bytes(32, "big")),
    message=st.one_of(st.binary(max_size=300), st.sampled_from(LENGTHS).map(bytes)),
)
def test_software_equals_the_libraries(curve, secret, message):
    with intaglio.open() as signer:
        key = signer.load_key(curve, secret)
        signature = signer.sign(key, message)
        if curve is Curve.ED25519:
            assert signature.raw == nacl.signing.SigningKey(secret).sign(message).signature
        else:
            signed = coincurve.PrivateKey(secret).sign_recoverable(message)
            assert signature.raw + bytes([signature.recid]) == signed
        assert signature.cycles == 0
