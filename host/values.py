"""Immutable values a caller holds: keys, signatures, requests, what a device says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, NoReturn

from intaglio import wire
from intaglio.curve import DEVICE_CURVES, Curve
from intaglio.errors import InputError, ProtocolError


class Key:
    """A key that one signer holds. The secret is not in here: it stays inside the signer.

    A key is good until its signer wipes it or is closed, and for that signer only.
    """

    __slots__ = ("__weakref__", "_curve", "_point")

    def __init__(self, curve: Curve, point: bytes) -> None:
        """``point``: Ed25519 the 32 bytes A; else the 64 bytes X || Y, big-endian."""
        self._curve = curve
        self._point = point

    @property
    def curve(self) -> Curve:
        """The key's curve."""
        return self._curve

    @property
    def public_key(self) -> bytes:
        """Ed25519: 32 bytes (RFC 8032); else 33 bytes, compressed (SEC 1 section 2.3.3)."""
        if self._curve is Curve.ED25519:
            return self._point
        return bytes([2 + (self._point[63] & 1)]) + self._point[:32]

    @property
    def public_key_uncompressed(self) -> bytes:
        """65 bytes (SEC 1 section 2.3.3). Raises :class:`InputError` for Ed25519."""
        if self._curve is Curve.ED25519:
            raise InputError("an ed25519 public key has one form only: use public_key")
        return b"\x04" + self._point

    def __repr__(self) -> str:
        return f"<Key {self._curve.value} {self.public_key.hex()}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Key belongs to its signer and cannot be pickled or copied")


class Signature(NamedTuple):
    """A signature and what the device told about making it.

    ``raw`` is R || S (RFC 8032) or r || s (32 bytes each, big-endian). ``recid`` is the recovery
    id 0..3 of a secp256k1 signature, else ``None``. ``cycles`` are the device's clock cycles from
    the last request byte to the reply, 0 from software.
    """

    raw: bytes
    curve: Curve
    recid: int | None = None
    cycles: int = 0

    @property
    def r(self) -> int:
        """First half as an integer; for Ed25519 the encoding R, little-endian (RFC 8032)."""
        return int.from_bytes(self.raw[:32], self._order)

    @property
    def s(self) -> int:
        """Second half as an integer; for Ed25519 little-endian (RFC 8032)."""
        return int.from_bytes(self.raw[32:], self._order)

    @property
    def recid_bit(self) -> int:
        """Recovery id as the one bit ("v", "yParity") that most venues take.

        Raises :class:`InputError` where there is no recovery id, and for 2 or 3 (r overflowed the
        order: chance 2**-127), which one bit cannot tell.
        """
        if self.recid is None:
            raise InputError(f"signatures on {self.curve.value} have no recovery id")
        if self.recid not in (0, 1):
            raise InputError(f"recovery id {self.recid} does not fit one bit: send it whole")
        return int(self.recid)

    def der(self) -> bytes:
        """ASN.1 DER of an ECDSA signature (RFC 3279 section 2.2.3), 8..72 bytes.

        Raises :class:`InputError` for Ed25519, whose signatures are raw by RFC 8410.
        """
        if self.curve is Curve.ED25519:
            raise InputError("an ed25519 signature has no DER form: use raw")
        body = _der_integer(self.r) + _der_integer(self.s)
        return bytes([0x30, len(body)]) + body

    @property
    def _order(self) -> Literal["little", "big"]:
        return "little" if self.curve is Curve.ED25519 else "big"


def _der_integer(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return bytes([0x02, len(data)]) + data


@dataclass(frozen=True, slots=True)
class SignRequest:
    """One thing to sign: a key, and either ``message`` (0..4096 bytes) or ``digest`` (32 bytes).

    ``deadline`` (seconds of :func:`time.monotonic`) and ``ordered`` as in :meth:`Signer.sign`.
    """

    key: Key
    message: bytes | None = None
    digest: bytes | None = None
    deadline: float | None = None
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """What a signer says of itself; field meanings as in :data:`intaglio.wire.IDENTITY`."""

    name: str
    curves: tuple[Curve, ...]
    profile: str
    version: int = wire.VERSION
    release_check: wire.ReleaseCheck = wire.ReleaseCheck.NONE
    key_slots: int = 0
    job_slots: int = 0
    pool_bytes: int = 0
    max_message_bytes: int = wire.MAX_MESSAGE_BYTES
    clock_hz: int = 0
    rtl_digest: str = ""
    git_revision: str = ""

    @classmethod
    def from_record(cls, name: str, body: bytes) -> Identity:
        """Identity in the record ``body``. Raises :class:`ProtocolError` if it is none."""
        if len(body) != wire.IDENTITY.size or not body.startswith(wire.MAGIC):
            raise ProtocolError(f"{name} is not an Intaglio device: its identity record is broken")
        record = wire.IDENTITY.unpack(body)
        limits = ("key_slots", "job_slots", "pool_bytes", "max_message_bytes")
        if record["version"] != wire.VERSION:
            raise version_mismatch(name, record["version"])
        if not all(record[limit] for limit in limits):
            raise ProtocolError(f"{name} tells a limit of 0 in its identity record: reflash it")
        return cls(
            name=name,
            curves=tuple(curve for curve in DEVICE_CURVES if record["curves"] >> curve.wire_id & 1),
            profile=record["profile"].rstrip(b"\0").decode("ascii", "replace"),
            version=record["version"],
            release_check=wire.ReleaseCheck(min(record["release_check"], 2)),
            clock_hz=record["clock_hz"],
            rtl_digest=record["rtl_digest"].hex(),
            git_revision=record["git_revision"].hex(),
            **{limit: record[limit] for limit in limits},
        )


@dataclass(frozen=True, slots=True)
class Counters:
    """What happened since the session was opened: the device's counts, then the host's of the link.

    The first six are those of :data:`intaglio.wire.COUNTERS`; of software only ``jobs_done`` moves.
    """

    frames_good: int = 0
    frames_bad: int = 0
    duplicates: int = 0
    refused: int = 0
    jobs_done: int = 0
    faults: int = 0
    host_frames_bad: int = 0
    """Damaged frames that arrived here."""
    host_resent: int = 0
    """Requests sent again under a new tag."""
    host_unmatched: int = 0
    """Replies to no open request: late, repeated or of an earlier session."""


def version_mismatch(name: str, version: int) -> ProtocolError:
    """The error for a device that speaks ``version``."""
    return ProtocolError(
        f"{name} speaks protocol version {version}, this host version {wire.VERSION}: "
        "flash a matching bitstream or install the matching intaglio"
    )


def check_secret(curve: Curve, secret: bytes | bytearray | memoryview) -> bytes:
    """``secret`` as bytes. Raises :class:`InputError` if it is not 32 bytes; never shows it."""
    if not isinstance(secret, bytes | bytearray | memoryview):
        raise InputError(f"a secret key must be bytes, not {type(secret).__name__}")
    if len(secret) != wire.KEY_BYTES:
        raise InputError(
            f"a {curve.value} secret key must be {wire.KEY_BYTES} bytes, not {len(secret)}"
        )
    return bytes(secret)


def check_payload(
    curve: Curve, message: bytes | None, digest: bytes | None
) -> tuple[wire.Op, bytes]:
    """Op and body that sign ``message`` or ``digest``. Raises :class:`InputError` if wrong."""
    if (message is None) == (digest is None):
        raise InputError("give either message= or digest=, one of them")
    body = message if digest is None else digest
    if not isinstance(body, bytes | bytearray | memoryview):
        raise InputError(f"what is signed must be bytes, not {type(body).__name__}")
    if digest is None:
        if len(body) > wire.MAX_MESSAGE_BYTES:
            raise InputError(
                f"a message of {len(body)} bytes is too long: at most {wire.MAX_MESSAGE_BYTES}"
            )
        return wire.Op.SIGN_MESSAGE, bytes(body)
    if curve is Curve.ED25519:
        raise InputError("ed25519 signs messages, not digests: give message=")
    if len(body) != wire.DIGEST_BYTES:
        raise InputError(f"a digest must be {wire.DIGEST_BYTES} bytes, not {len(body)}")
    return wire.Op.SIGN_DIGEST, bytes(body)
