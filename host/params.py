"""Domain parameters of the curves, with their sources. Plain integers, no arithmetic libraries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edwards:
    """Twisted Edwards curve -x^2 + y^2 = 1 + d x^2 y^2 over F_p with base point of prime order."""

    name: str
    p: int
    d: int
    order: int
    base: tuple[int, int]


@dataclass(frozen=True)
class Weierstrass:
    """Short Weierstrass curve y^2 = x^3 + a x + b over F_p with base point of prime order."""

    name: str
    p: int
    a: int
    b: int
    order: int
    base: tuple[int, int]


_P25519 = 2**255 - 19

ED25519 = Edwards(
    name="ed25519",
    p=_P25519,
    d=(-121665 * pow(121666, -1, _P25519)) % _P25519,
    order=2**252 + 27742317777372353535851937790883648493,
    base=(
        15112221349535400772501151409588531511454012693041857206046113283949847762202,
        46316835694926478169428394003475163141307993866256225615783033603165251855960,
    ),
)
"""RFC 8032, section 5.1 (edwards25519)."""

SECP256K1 = Weierstrass(
    name="secp256k1",
    p=2**256 - 2**32 - 977,
    a=0,
    b=7,
    order=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    base=(
        0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
        0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
    ),
)
"""SEC 2 version 2.0, section 2.4.1."""

P256 = Weierstrass(
    name="p256",
    p=2**256 - 2**224 + 2**192 + 2**96 - 1,
    a=-3 % (2**256 - 2**224 + 2**192 + 2**96 - 1),
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    order=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    base=(
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
)
"""NIST SP 800-186, section 3.2.1.3 (secp256r1 in SEC 2)."""
