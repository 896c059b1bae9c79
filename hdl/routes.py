"""Routes: which stations work on a job of each kind, in which order."""

from __future__ import annotations

from amaranth.lib import enum

from intaglio import wire

from .engine.programs import Program


class Kind(enum.Enum, shape=2):
    """What a job does."""

    LOAD_ED25519 = 0
    LOAD_ECDSA = 1
    SIGN_ED25519 = 2
    SIGN_ECDSA = 3


class Station(enum.Enum, shape=3):
    """Who works on a job."""

    SHA512 = 0
    NONCE = 1
    """SHA-256 of the message if need be, then RFC 6979."""
    ENGINE = 2
    INVERT = 3
    FINISH = 4


class Modulus(enum.Enum, shape=2):
    """What an inverse is taken modulo."""

    ED25519_FIELD = 0
    ECDSA_FIELD = 1
    ORDER = 2
    """Of ECDSA's group: the inverse of the nonce."""


Step = tuple[Station, Program | Modulus | None]

_FINISH: Step = (Station.FINISH, None)

ROUTES: dict[Kind, tuple[Step, ...]] = {
    Kind.LOAD_ED25519: (
        (Station.SHA512, None),
        (Station.ENGINE, Program.ED25519_SCALAR_A),
        (Station.ENGINE, Program.ED25519_COMB),
        (Station.INVERT, Modulus.ED25519_FIELD),
        (Station.ENGINE, Program.ED25519_POINT),
        _FINISH,
    ),
    Kind.LOAD_ECDSA: (
        (Station.ENGINE, Program.ECDSA_SCALAR_D),
        (Station.ENGINE, Program.ECDSA_COMB),
        (Station.INVERT, Modulus.ECDSA_FIELD),
        (Station.ENGINE, Program.ECDSA_POINT),
        _FINISH,
    ),
    Kind.SIGN_ED25519: (
        (Station.SHA512, None),
        (Station.ENGINE, Program.ED25519_SCALAR_R),
        (Station.ENGINE, Program.ED25519_COMB),
        (Station.INVERT, Modulus.ED25519_FIELD),
        (Station.ENGINE, Program.ED25519_POINT),
        (Station.SHA512, None),
        (Station.ENGINE, Program.ED25519_FINISH),
        _FINISH,
    ),
    Kind.SIGN_ECDSA: (
        (Station.NONCE, None),
        (Station.ENGINE, Program.ECDSA_SCALAR_K),
        (Station.INVERT, Modulus.ORDER),
        (Station.ENGINE, Program.ECDSA_COMB),
        (Station.INVERT, Modulus.ECDSA_FIELD),
        (Station.ENGINE, Program.ECDSA_POINT),
        (Station.ENGINE, Program.ECDSA_FINISH),
        _FINISH,
    ),
}
"""Stations of each kind of job, in order, at the level ``algebraic`` of the release check.

Public: nothing of a key or message decides a step.
"""

ENDING = (
    Program.ED25519_POINT,
    Program.ED25519_FINISH,
    Program.ECDSA_POINT,
    Program.ECDSA_FINISH,
)
"""Short programs of jobs near their ends, which go before others that wait for the engine: so jobs
leave, and new ones come to hash lanes and inverters while there is work for the engine."""

_AGAIN: dict[Kind, tuple[Step, ...]] = {
    kind: ((Station.ENGINE, again), (Station.ENGINE, comb), (Station.ENGINE, agree))
    for kind, again, comb, agree in (
        (Kind.LOAD_ED25519, Program.ED25519_AGAIN_A, Program.ED25519_COMB, Program.ED25519_AGREE),
        (Kind.LOAD_ECDSA, Program.ECDSA_AGAIN_D, Program.ECDSA_COMB, Program.ECDSA_AGREE),
        (Kind.SIGN_ED25519, Program.ED25519_AGAIN_R, Program.ED25519_COMB, Program.ED25519_AGREE),
        (Kind.SIGN_ECDSA, Program.ECDSA_AGAIN_K, Program.ECDSA_COMB, Program.ECDSA_AGREE),
    )
}
"""The point once more with other digits, and both compared."""


def routes(check: wire.ReleaseCheck) -> dict[Kind, tuple[Step, ...]]:
    """Stations of each kind of job at a level of the release check."""
    if check != wire.ReleaseCheck.DOUBLE:
        return ROUTES
    points = {(Station.ENGINE, Program.ED25519_POINT), (Station.ENGINE, Program.ECDSA_POINT)}
    found = {}
    for kind, route in ROUTES.items():
        (after,) = (i + 1 for i, step in enumerate(route) if step in points)
        found[kind] = route[:after] + _AGAIN[kind] + route[after:]
    return found
