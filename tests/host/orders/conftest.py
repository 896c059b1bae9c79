"""One key a curve (the demo's, which the samples name) and signing by the libraries directly."""

from __future__ import annotations

from collections.abc import Callable

import coincurve
import pytest
from nacl.signing import SigningKey

from intaglio.cli.demo import demo_secret
from intaglio.curve import Curve
from intaglio.orders import Payload

Sign = Callable[[Payload], tuple[bytes, int | None]]


@pytest.fixture(scope="session")
def ed25519_secret() -> bytes:
    return demo_secret(Curve.ED25519)


@pytest.fixture(scope="session")
def secp256k1_secret() -> bytes:
    return demo_secret(Curve.SECP256K1)


@pytest.fixture(scope="session")
def sign(ed25519_secret: bytes, secp256k1_secret: bytes) -> Sign:
    """Signature (64 bytes) and recovery id of a payload, by PyNaCl or coincurve."""
    ed25519 = SigningKey(ed25519_secret)
    secp256k1 = coincurve.PrivateKey(secp256k1_secret)

    def sign_payload(payload: Payload) -> tuple[bytes, int | None]:
        if payload.curve is Curve.ED25519:
            return ed25519.sign(payload.message).signature, None
        if payload.digest is not None:
            raw = secp256k1.sign_recoverable(payload.digest, hasher=None)
        else:
            raw = secp256k1.sign_recoverable(payload.message)
        return raw[:64], raw[64]

    return sign_payload
