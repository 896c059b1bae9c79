"""Keys shaped like those of cryptography, PyNaCl and coincurve: equal to the originals."""

import copy
import hashlib

import coincurve
import jwt
import nacl.signing
import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from nacl.encoding import HexEncoder

import intaglio
from intaglio import BadCurveError, InputError
from intaglio.adapters.coincurve import DevicePrivateKey
from intaglio.adapters.cryptography import Ed25519Key, P256Key, Secp256k1Key
from intaglio.adapters.nacl import DeviceSigningKey

MESSAGE = b"order" * 30
ORDER_N = coincurve.utils.GROUP_ORDER_INT


@pytest.fixture
def ed(device, secret):
    return Ed25519Key(device, secret)


@pytest.fixture
def secp(device, secret):
    return Secp256k1Key(device, secret)


@pytest.fixture(scope="module")
def stock_ed(secret):
    return ed25519.Ed25519PrivateKey.from_private_bytes(secret)


@pytest.fixture(scope="module")
def stock_secp(secret):
    return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256K1())


def low(signature):
    r, s = decode_dss_signature(signature)
    return r, min(s, ORDER_N - s)


async def test_ed25519_equals_openssl(ed, stock_ed):
    assert ed.sign(MESSAGE) == stock_ed.sign(MESSAGE)
    assert ed.sign(memoryview(MESSAGE)) == stock_ed.sign(MESSAGE)
    assert await ed.sign_async(MESSAGE) == stock_ed.sign(MESSAGE)
    assert ed.public_key() == stock_ed.public_key()


async def test_deterministic_secp256k1_equals_openssl(secp, stock_secp):
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    digest = hashlib.sha256(MESSAGE).digest()
    prehashed = ec.ECDSA(Prehashed(hashes.SHA256()), deterministic_signing=True)
    expected = low(stock_secp.sign(MESSAGE, algorithm))
    for signed in (
        secp.sign(MESSAGE, algorithm),
        secp.sign(digest, prehashed),
        secp.sign(MESSAGE, ec.ECDSA(hashes.SHA256())),
        await secp.sign_async(MESSAGE, algorithm),
    ):
        assert decode_dss_signature(signed) == expected
    assert secp.public_key() == stock_secp.public_key()
    assert (secp.curve.name, secp.key_size) == ("secp256k1", 256)


@pytest.mark.parametrize(
    "algorithm",
    [hashes.SHA1(), hashes.SHA224(), hashes.SHA384(), hashes.SHA512(), hashes.SHA3_256()],
)
def test_other_hashes_verify(secp, algorithm):
    secp.public_key().verify(secp.sign(MESSAGE, ec.ECDSA(algorithm)), MESSAGE, ec.ECDSA(algorithm))
    context = hashes.Hash(algorithm)
    context.update(MESSAGE)
    prehashed = ec.ECDSA(Prehashed(algorithm))
    signed = secp.sign(context.finalize(), prehashed)
    secp.public_key().verify(signed, MESSAGE, ec.ECDSA(algorithm))
    with pytest.raises(UnsupportedAlgorithm, match="nonces come from SHA-256"):
        secp.sign(MESSAGE, ec.ECDSA(algorithm, deterministic_signing=True))


def test_prehashed_of_another_length_is_refused(secp):
    with pytest.raises(ValueError, match="32 bytes"):
        secp.sign(b"short", ec.ECDSA(Prehashed(hashes.SHA256())))
    with pytest.raises(UnsupportedAlgorithm, match="not ECDSA"):
        secp.sign(MESSAGE, hashes.SHA256())


async def test_p256_equals_openssl(secret):
    stock = ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    ours = P256Key("soft:", secret)
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    expected = stock.sign(MESSAGE, algorithm)
    assert ours.sign(MESSAGE, algorithm) == expected
    assert ours.sign(MESSAGE, ec.ECDSA(hashes.SHA256())) == expected
    assert await ours.sign_async(MESSAGE, algorithm) == expected
    assert ours.public_key() == stock.public_key()
    assert (ours.curve.name, ours.key_size) == ("secp256r1", 256)
    for signs in (ours, stock):
        token = jwt.encode({"sub": "trader"}, signs, algorithm="ES256")
        assert jwt.decode(token, stock.public_key(), algorithms=["ES256"]) == {"sub": "trader"}
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "trader")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = builder.sign(ours, hashes.SHA256())
    assert request.is_signature_valid
    assert request == builder.sign(stock, hashes.SHA256(), ecdsa_deterministic=True)
    with pytest.raises(PermissionError, match="in a device"):
        ours.private_numbers()


def test_p256_on_a_device_without_it(secret):
    with intaglio.open("model:") as device, pytest.raises(BadCurveError, match="has no p256"):
        P256Key(device, secret)


@pytest.mark.parametrize("kind", ["EdDSA", "ES256K"])
def test_pyjwt(ed, secp, stock_ed, stock_secp, kind):
    ours, stock = (ed, stock_ed) if kind == "EdDSA" else (secp, stock_secp)
    claims = {"sub": "trader", "uri": "POST api/v3/orders"}
    token = jwt.encode(claims, ours, algorithm=kind, headers={"kid": "k"})
    assert jwt.decode(token, stock.public_key(), algorithms=[kind]) == claims
    if kind == "EdDSA":
        assert token == jwt.encode(claims, stock, algorithm=kind, headers={"kid": "k"})


def test_x509_requests(ed, secp, stock_ed):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "trader")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    assert builder.sign(secp, hashes.SHA256()).is_signature_valid
    ours, stock = builder.sign(ed, None), builder.sign(stock_ed, None)
    assert ours == stock


def test_private_keys_stay_where_they_are(device, secret, ed, secp):
    raw = serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    peer = ec.generate_private_key(ec.SECP256K1()).public_key()
    key, private = DeviceSigningKey(device, secret), DevicePrivateKey(device, secret)
    asked = [
        lambda: ed.private_bytes(*raw),
        ed.private_bytes_raw,
        lambda: secp.private_bytes(*raw),
        secp.private_numbers,
        lambda: secp.exchange(ec.ECDH(), peer),
        lambda: bytes(key),
        key.encode,
        key.to_curve25519_private_key,
        lambda: private.secret,
        private.to_hex,
        private.to_pem,
        lambda: private.ecdh(private.public_key.format()),
        lambda: private.sign_schnorr(bytes(32)),
        lambda: private.add(bytes(32)),
    ]
    for ask in asked:
        with pytest.raises(PermissionError, match="in a device"):
            ask()
    assert copy.deepcopy(ed) is copy.copy(ed) is ed


async def test_nacl_equals_pynacl(device, secret):
    ours, stock = DeviceSigningKey(device, secret), nacl.signing.SigningKey(secret)
    assert isinstance(ours, nacl.signing.SigningKey)
    assert ours.verify_key == stock.verify_key
    for encoder in ((), (HexEncoder,)):
        signed, expected = ours.sign(MESSAGE, *encoder), stock.sign(MESSAGE, *encoder)
        assert signed == expected == await ours.sign_async(MESSAGE, *encoder)
        assert (signed.signature, signed.message) == (expected.signature, expected.message)
    same, other = DeviceSigningKey(device, secret), DeviceSigningKey(device, bytes(32))
    assert ours == same
    assert hash(ours) == hash(same)
    assert ours not in (other, stock)


async def test_coincurve_equals_the_original(device, secret):
    ours, stock = DevicePrivateKey(device, secret), coincurve.PrivateKey(secret)
    digest = hashlib.sha256(MESSAGE).digest()
    assert isinstance(ours, coincurve.PrivateKey)
    assert ours.public_key == stock.public_key
    assert ours.sign(MESSAGE) == stock.sign(MESSAGE) == ours.sign(digest, None)
    assert ours.sign_recoverable(MESSAGE) == stock.sign_recoverable(MESSAGE)
    assert ours.sign_recoverable(digest, hasher=None) == stock.sign_recoverable(MESSAGE)
    assert await ours.sign_async(MESSAGE) == stock.sign(MESSAGE)
    assert await ours.sign_recoverable_async(digest, None) == stock.sign_recoverable(MESSAGE)
    with pytest.raises(ValueError, match="32 bytes"):
        ours.sign(b"short", hasher=None)
    with pytest.raises(InputError, match="custom_nonce"):
        ours.sign(MESSAGE, custom_nonce=(None, None))
