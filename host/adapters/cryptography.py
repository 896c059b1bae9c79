"""Private keys of the ``cryptography`` package that are in a device.

They are accepted where the package's own are: by PyJWT (``EdDSA``, ``ES256K``, ``ES256``), by x509
builders. P-256 (``ES256``) is signed in software only: by ``soft:``, or in a pool by the ``soft:``
among its fallbacks.

>>> import jwt
>>> from intaglio.adapters.cryptography import Ed25519Key
>>> key = Ed25519Key("soft:", bytes(range(32)))
>>> token = jwt.encode({"sub": "order"}, key, algorithm="EdDSA")
>>> jwt.decode(token, key.public_key(), algorithms=["EdDSA"])
{'sub': 'order'}
>>> from intaglio.adapters.cryptography import P256Key
>>> key = P256Key("soft:", bytes(31) + b"\\x01")
>>> token = jwt.encode({"sub": "order"}, key, algorithm="ES256")
>>> jwt.decode(token, key.public_key(), algorithms=["ES256"])
{'sub': 'order'}

Whatever would show or need the private key itself raises :class:`PermissionError`.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, NoReturn, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from intaglio import wire
from intaglio.adapters.devices import hold, in_device
from intaglio.curve import Curve
from intaglio.signer import Secret, Signer
from intaglio.values import Key


class _InDevice:
    """What all kinds of key refuse, and how they are copied: a copy is the same key."""

    def private_bytes(self, *_: Any, **__: Any) -> NoReturn:
        """The private key is in the device: raises :class:`PermissionError`."""
        raise in_device()

    private_bytes_raw = private_numbers = exchange = private_bytes

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self


class Ed25519Key(_InDevice, ed25519.Ed25519PrivateKey):
    """An Ed25519 key of ``signer`` (a signer or a device URL).

    ``key`` is one the signer holds, or 32 secret bytes, which are loaded into it.
    """

    def __init__(self, signer: Signer | str, key: Key | Secret) -> None:
        self._signer, self._key = hold(signer, Curve.ED25519, key)

    def public_key(self) -> ed25519.Ed25519PublicKey:
        return ed25519.Ed25519PublicKey.from_public_bytes(self._key.public_key)

    def sign(self, data: Any) -> bytes:
        return self._signer.sign(self._key, bytes(data)).raw

    async def sign_async(self, data: Any) -> bytes:
        """:meth:`sign` that lets other tasks run while a device signs."""
        return (await asyncio.wrap_future(self._signer.submit(self._key, bytes(data)))).raw


class _EcKey(_InDevice, ec.EllipticCurvePrivateKey):
    """An ECDSA key on a 256-bit curve; signatures are DER, and always deterministic.

    Nonces are those of RFC 6979 with SHA-256: ``deterministic_signing=True`` with any other hash
    raises :class:`cryptography.exceptions.UnsupportedAlgorithm`.
    """

    _on: ClassVar[Curve]
    _curve: ClassVar[ec.EllipticCurve]

    def __init__(self, signer: Signer | str, key: Key | Secret) -> None:
        self._signer, self._key = hold(signer, self._on, key)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        point = self._key.public_key_uncompressed
        return ec.EllipticCurvePublicKey.from_encoded_point(self._curve, point)

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._curve

    @property
    def key_size(self) -> int:
        return self._curve.key_size

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        digest = ecdsa_digest(bytes(data), signature_algorithm)
        return self._signer.sign(self._key, digest=digest).der()

    async def sign_async(
        self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm
    ) -> bytes:
        """:meth:`sign` that lets other tasks run while a device signs."""
        digest = ecdsa_digest(bytes(data), signature_algorithm)
        return (await asyncio.wrap_future(self._signer.submit(self._key, digest=digest))).der()


class Secp256k1Key(_EcKey):
    """A secp256k1 key of ``signer`` (a signer or a device URL).

    ``key`` is one the signer holds, or 32 secret bytes, which are loaded into it. The s of
    signatures is low: OpenSSL's deterministic ones have the same r and the same s or its negative.
    """

    _on = Curve.SECP256K1
    _curve = ec.SECP256K1()


class P256Key(_EcKey):
    """A P-256 key of ``signer`` (a signer or a device URL), such as ``ES256`` wants.

    ``key`` is one the signer holds, or 32 secret bytes, which are loaded into it. Signatures are
    those that OpenSSL makes with ``deterministic_signing=True``, byte for byte. No device has this
    curve: one without a ``soft:`` beside it raises :class:`intaglio.BadCurveError`.
    """

    _on = Curve.P256
    _curve = ec.SECP256R1()


def ecdsa_digest(data: bytes, algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
    """The 32 bytes that ECDSA on a 256-bit curve signs for ``data`` (FIPS 186-5 section 6.4.1).

    Raises :class:`UnsupportedAlgorithm` for what is not ECDSA, ``ValueError`` for a digest that has
    not its hash's length.
    """
    if not isinstance(algorithm, ec.ECDSA):
        raise UnsupportedAlgorithm(f"{type(algorithm).__name__} is not ECDSA: give ec.ECDSA(...)")
    chosen = algorithm.algorithm
    hash_algorithm = chosen._algorithm if isinstance(chosen, Prehashed) else chosen
    if algorithm.deterministic_signing and not isinstance(hash_algorithm, hashes.SHA256):
        raise UnsupportedAlgorithm(
            f"deterministic signing with {hash_algorithm.name}: nonces come from SHA-256 here"
        )
    if isinstance(chosen, Prehashed):
        if len(data) != chosen.digest_size:
            raise ValueError(f"a prehashed {hash_algorithm.name} has {chosen.digest_size} bytes")
        digest = data
    else:
        context = hashes.Hash(hash_algorithm)
        context.update(data)
        digest = context.finalize()
    return digest[: wire.DIGEST_BYTES].rjust(wire.DIGEST_BYTES, b"\0")
