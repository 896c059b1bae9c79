"""What an encoder hands to a signer, and what a finisher takes back from it."""

from __future__ import annotations

from dataclasses import dataclass

from intaglio import wire
from intaglio.curve import Curve
from intaglio.errors import InputError


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes to sign for one order.

    Exactly one of ``message`` (the curve's signer hashes it: Ed25519 as RFC 8032 says, ECDSA with
    SHA-256) and ``digest`` (32 bytes that ECDSA signs as they are) is set. ``label`` is one line
    for people, such as ``hyperliquid buy 0.1 ETH @ 1800``; what can't be printed stands as ``?``.
    """

    curve: Curve
    message: bytes | None
    digest: bytes | None
    label: str

    def __post_init__(self) -> None:
        if not self.label.isprintable():
            label = "".join(c if c.isprintable() else "?" for c in self.label)
            object.__setattr__(self, "label", label)


def check_signature(
    signature: bytes, recid: int | None = None, *, needs_recid: bool = False
) -> int:
    """The recovery id after checking both, or 0 where the venue wants none.

    Raises :class:`InputError` unless ``signature`` is 64 raw bytes (``r || s`` or ``R || S``) and,
    with ``needs_recid``, ``recid`` is 0 or 1 (2 and 3 have no place in Ethereum's ``v``).
    """
    if len(signature) != wire.SIGNATURE_BYTES:
        raise InputError(
            f"a signature of {len(signature)} bytes was given; give the {wire.SIGNATURE_BYTES} raw "
            "bytes r || s or R || S, not DER or hexadecimal"
        )
    if not needs_recid:
        return 0
    if recid not in (0, 1):
        raise InputError(f"recovery id {recid!r} was given; this venue needs 0 or 1")
    return recid
