"""Libraries of the ``orders`` extra, imported when first needed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

from intaglio.errors import InputError


@cache
def load(module: str) -> Any:
    """The library ``module``, or one sentence saying how to get it (:class:`InputError`)."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"this order needs the Python library {module.partition('.')[0]!r}, which is not "
            'installed; run: pip install "intaglio[orders]"'
        ) from error


@cache
def _keccak() -> Callable[[bytes], bytes]:
    implementation: Callable[[bytes], bytes] = load("intaglio.orders.keccak").implementation()
    return implementation


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (the padding of before FIPS 202), 32 bytes."""
    return _keccak()(data)


def base58_decode(text: str) -> bytes:
    """Bytes of base58 text in Bitcoin's alphabet; ``ValueError`` for any other character."""
    raw: bytes = load("base58").b58decode(text)
    return raw


def base58_encode(raw: bytes) -> str:
    """Base58 text in Bitcoin's alphabet."""
    text: str = load("base58").b58encode(raw).decode()
    return text


def bech32_decode(text: str) -> tuple[str, bytes] | None:
    """Prefix and bytes of a bech32 address (BIP 173), or None if its checksum is wrong."""
    bech32 = load("bech32")
    prefix, words = bech32.bech32_decode(text)
    raw = None if words is None else bech32.convertbits(words, 5, 8, False)
    return None if raw is None else (prefix, bytes(raw))
