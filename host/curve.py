"""The curves a signer may offer."""

from __future__ import annotations

import enum
from typing import NoReturn

from intaglio import params, wire
from intaglio.errors import InputError


class Curve(enum.StrEnum):
    """A curve and the signature scheme that goes with it."""

    ED25519 = "ed25519"
    """Ed25519, RFC 8032 section 5.1."""
    SECP256K1 = "secp256k1"
    """ECDSA on secp256k1 (SEC 2) with RFC 6979 nonces by HMAC-SHA256 and low s."""
    P256 = "p256"
    """ECDSA on P-256 (SP 800-186) with RFC 6979 nonces by HMAC-SHA256; s is low or high, as it
    comes. No device has it: it is signed in software only, by OpenSSL."""

    @property
    def wire_id(self) -> wire.CurveId:
        """The code in the wire protocol of one of :data:`DEVICE_CURVES`."""
        return wire.CurveId[self.name]

    @property
    def order(self) -> int:
        """Order of the base point; a secret of an ECDSA curve is one of 1..order-1."""
        return _PARAMS[self].order

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        known = ", ".join(curve.value for curve in cls)
        raise InputError(f"unknown curve {value!r}: known are {known}")


_PARAMS: dict[Curve, params.Edwards | params.Weierstrass] = {
    Curve.ED25519: params.ED25519,
    Curve.SECP256K1: params.SECP256K1,
    Curve.P256: params.P256,
}

DEVICE_CURVES = tuple(curve for curve in Curve if curve.name in wire.CurveId.__members__)
"""Curves that the wire protocol has a code for, so that a device may sign with them."""
