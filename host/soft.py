"""The software signer ``soft:``: libsodium and libsecp256k1 behind the same verbs, no device.

It keeps the libraries' own key objects, so a signature costs little more than the library's call.
Wiping drops them; Python cannot zeroise the immutable bytes inside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

import coincurve
import nacl.bindings

from intaglio import check, wire
from intaglio.curve import Curve
from intaglio.errors import ClosedError, InvalidKeyError
from intaglio.signer import Secret, Signer, done, failed, unknown_key
from intaglio.transport.base import ParsedUrl
from intaglio.values import Counters, Identity, Key, Signature, check_payload, check_secret

_Sign = Callable[[wire.Op, bytes], Signature]


class SoftSigner(Signer):
    """Signs in the calling thread; its futures have ended when they are returned."""

    def __init__(self) -> None:
        self._identity = Identity(name="soft", curves=tuple(Curve), profile="soft")
        self._sign_with: dict[Key, _Sign] = {}
        self._jobs_done = 0
        self._lock = threading.Lock()
        self._closed = False

    @property
    def identity(self) -> Identity:
        return self._identity

    def submit_load(self, curve: Curve | str, secret: Secret) -> Future[Key]:
        self._check_open()
        curve = Curve(curve)
        data = check_secret(curve, secret)
        point = check.public_point(curve, data)
        if point is None:
            return failed(invalid_key())
        key = Key(curve, point)
        self._sign_with[key] = _ed25519(data) if curve is Curve.ED25519 else _secp256k1(data)
        self._count()
        return done(key)

    def sign(
        self, key: Key, message: bytes | None = None, *, digest: bytes | None = None
    ) -> Signature:
        self._check_open()
        signer = self._sign_with.get(key)
        if signer is None:
            raise unknown_key(key)
        op, body = check_payload(key.curve, message, digest)
        self._count()
        return signer(op, body)

    def submit(
        self, key: Key, message: bytes | None = None, *, digest: bytes | None = None
    ) -> Future[Signature]:
        return done(self.sign(key, message, digest=digest))

    def submit_public_key(self, key: Key) -> Future[bytes]:
        self._check_open()
        if key not in self._sign_with:
            raise unknown_key(key)
        return done(key.public_key)

    def submit_wipe(self, key: Key | None = None) -> Future[None]:
        self._check_open()
        if key is None:
            self._sign_with.clear()
        elif self._sign_with.pop(key, None) is None:
            raise unknown_key(key)
        return done(None)

    def submit_counters(self) -> Future[Counters]:
        self._check_open()
        return done(Counters(jobs_done=self._jobs_done))

    def close(self) -> None:
        self._closed = True
        self._sign_with.clear()

    def _count(self) -> None:
        with self._lock:
            self._jobs_done += 1

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this signer was closed: open it again")


def open_soft(url: ParsedUrl) -> SoftSigner:
    """Signer for ``soft:``, which takes no parameters."""
    url.allow()
    return SoftSigner()


def invalid_key() -> InvalidKeyError:
    """The error for a secp256k1 secret out of range."""
    return InvalidKeyError("the secp256k1 secret is 0 or not below the group order: use another")


def _ed25519(seed: bytes) -> _Sign:
    _, secret = nacl.bindings.crypto_sign_seed_keypair(seed)

    def sign(_op: wire.Op, message: bytes) -> Signature:
        signed = nacl.bindings.crypto_sign(message, secret)
        return Signature(signed[: wire.SIGNATURE_BYTES], Curve.ED25519)

    return sign


def _secp256k1(secret: bytes) -> _Sign:
    private = coincurve.PrivateKey(secret)

    def sign(op: wire.Op, body: bytes) -> Signature:
        signed = private.sign_recoverable(check.digest_of(op, body), hasher=None)
        return Signature(signed[: wire.SIGNATURE_BYTES], Curve.SECP256K1, signed[-1])

    return sign
