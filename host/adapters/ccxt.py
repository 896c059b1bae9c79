"""ccxt with its signatures made on any device, and without its pure-Python keccak.

>>> import ccxt
>>> from intaglio.adapters import ccxt as fast
>>> fast.install("soft:")
>>> exchange = ccxt.hyperliquid({"privateKey": "0x" + "00" * 31 + "01", "walletAddress": "0x"})
>>> action = {"type": "cancel", "cancels": [{"a": 1, "o": 2}]}
>>> exchange.sign_l1_action(action, 1700000000000)["v"] in (27, 28)
True
>>> fast.uninstall()

``install`` serves all exchanges of the process, the asynchronous ones too (their signing blocks the
event loop, as it always did). It takes over ECDSA on secp256k1, Ed25519, keccak, MessagePack and
EIP-712; other curves, and values that ccxt coerces before it hashes them, stay with ccxt. A private
key may be a handle (:func:`intaglio.adapters.devices.handle`), as ``"0x" + handle.hex()`` or bytes.
"""

from __future__ import annotations

import base64
import threading
from typing import Any

import msgpack
from ccxt.base.exchange import Exchange
from ccxt.static_dependencies import keccak as keccak_module
from ccxt.static_dependencies.ethabi import abi, typed_data
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from intaglio.adapters.devices import device, held_for, is_handle
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.orders import eip712
from intaglio.orders.keccak import implementation
from intaglio.signer import Signer

_BASE = next(base for base in Exchange.__mro__ if "ecdsa" in vars(base))
_DIGEST_BYTES = 32

_lock = threading.Lock()
_replaced: list[tuple[Any, str, Any]] = []


def install(signer: Signer | str | None = None) -> None:
    """Sign on ``signer``, a signer or a device URL (by default that of ``INTAGLIO_DEVICE``).

    Installed again, it only changes the signer.
    """
    where = device(signer)
    uninstall()
    calls = _Calls(where)
    with _lock:
        for name in ("ecdsa", "eddsa", "packb", "eth_encode_structured_data"):
            _replace(_BASE, name, staticmethod(getattr(calls, name)))
        for module, name in ((keccak_module, "SHA3"), (abi, "keccak"), (typed_data, "keccak")):
            _replace(module, name, calls.sha3)


def uninstall() -> None:
    """Put ccxt's own functions back; without :func:`install` it does nothing."""
    with _lock:
        while _replaced:
            owner, name, stock = _replaced.pop()
            setattr(owner, name, stock)


def _replace(owner: Any, name: str, ours: Any) -> None:
    _replaced.append((owner, name, vars(owner)[name]))
    setattr(owner, name, ours)


class _Calls:
    """What stands in the place of ccxt's static methods."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._keccak = implementation()
        self._stock_ecdsa = Exchange.ecdsa
        self._stock_eddsa = Exchange.eddsa
        self._stock_encode = Exchange.eth_encode_structured_data
        self.packb = msgpack.packb

    def ecdsa(
        self,
        request: Any,
        secret: Any,
        algorithm: str = "p256",
        hash: Any = None,
        fixed_length: bool = False,
    ) -> dict[str, Any]:
        key = _scalar(secret)
        if key is None or algorithm != "secp256k1":
            if key is not None and is_handle(key):
                raise InputError(f"this key handle is of no {algorithm} key: give another")
            stock: dict[str, Any] = self._stock_ecdsa(
                request, secret, algorithm, hash, fixed_length
            )
            return stock
        if hash is None:
            digest = bytes.fromhex(request)
        else:
            digest = Exchange.hash(Exchange.encode(request), hash, "binary")
        if len(digest) != _DIGEST_BYTES:
            raise InputError(f"secp256k1 signs digests of {_DIGEST_BYTES} bytes, not {len(digest)}")
        held = held_for(Curve.SECP256K1, key, self._signer)
        signature = held.signer.sign(held.key, digest=digest)
        return {
            "r": signature.raw[:32].hex(),
            "s": signature.raw[32:].hex(),
            "v": signature.recid,
        }

    def eddsa(
        self, request: bytes, secret: Any, curve: str = "ed25519", url_encode: bool = False
    ) -> str:
        data = secret.encode() if isinstance(secret, str) else bytes(secret)
        parse = bytes if len(data) == 32 else _seed
        held = held_for(Curve.ED25519, data, self._signer, parse=parse)
        raw = held.signer.sign(held.key, bytes(request)).raw
        if url_encode:
            return base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return base64.b64encode(raw).decode()

    def eth_encode_structured_data(self, domain: Any, types: Any, message: Any) -> bytes:
        try:
            if eip712.DOMAIN in types:
                raise InputError("ccxt derives the domain's type itself")
            struct = eip712.compiled(types)
            return b"\x19\x01" + eip712.domain_separator(domain) + struct.hash(message)
        except (InputError, TypeError):
            encoded: bytes = self._stock_encode(domain, types, message)
            return encoded

    def sha3(self, data: Any) -> bytearray:
        return bytearray(self._keccak(bytes(data)))


def _scalar(secret: Any) -> bytes | None:
    """The 32 bytes of a private key in hexadecimal, or ``None`` for one in PEM."""
    try:
        return bytes.fromhex(secret if isinstance(secret, str) else bytes(secret).decode())
    except ValueError:
        return None


def _seed(pem: bytes) -> bytes:
    private = load_pem_private_key(pem, None)
    if not isinstance(private, Ed25519PrivateKey):
        raise InputError("the PEM text holds no Ed25519 private key")
    return private.private_bytes_raw()
