"""The curves a signer may offer."""

from __future__ import annotations

import enum
from typing import NoReturn

from intaglio import wire
from intaglio.errors import InputError


class Curve(enum.StrEnum):
    """A curve and the signature scheme that goes with it."""

    ED25519 = "ed25519"
    """Ed25519, RFC 8032 section 5.1."""
    SECP256K1 = "secp256k1"
    """ECDSA on secp256k1 (SEC 2) with RFC 6979 nonces by HMAC-SHA256 and low s."""

    @property
    def wire_id(self) -> wire.CurveId:
        """The curve's code in the wire protocol."""
        return wire.CurveId[self.name]

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        known = ", ".join(curve.value for curve in cls)
        raise InputError(f"unknown curve {value!r}: known are {known}")
