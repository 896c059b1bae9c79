"""What is asked of a device and how it ends: requests, replies, outcomes, refusals in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from intaglio import wire
from intaglio.errors import BY_STATUS, IntaglioError, ProtocolError

JOB_OPS = frozenset({wire.Op.LOAD_KEY, wire.Op.SIGN_MESSAGE, wire.Op.SIGN_DIGEST})
"""What a device works on; it answers all else at once."""

REPLY_BYTES = {
    wire.Op.OPEN: wire.IDENTITY.size,
    wire.Op.IDENTIFY: wire.IDENTITY.size,
    wire.Op.COUNTERS: wire.COUNTERS.size,
    wire.Op.LOAD_KEY: wire.KEY.size,
    wire.Op.PUBLIC_KEY: wire.KEY.size,
    wire.Op.WIPE_KEY: 0,
    wire.Op.WIPE_ALL: 0,
    wire.Op.SIGN_MESSAGE: wire.SIGNATURE_BYTES,
    wire.Op.SIGN_DIGEST: wire.SIGNATURE_BYTES,
}
"""Body length of an OK reply per op, in bytes."""

ADVICE = {
    wire.Status.BAD_VERSION: "it speaks another protocol version: flash a matching bitstream",
    wire.Status.BAD_OP: "it does not know the operation: flash a newer bitstream",
    wire.Status.BAD_LENGTH: "the length is not allowed: shorten the message",
    wire.Status.BAD_CURVE: "it was built without this curve, or the operation is not for it",
    wire.Status.BAD_SLOT: "it has fewer key slots: use a lower slot",
    wire.Status.EMPTY_SLOT: "there is no key in the slot: load one",
    wire.Status.WRONG_CURVE: "the slot holds a key of another curve: name the key's own curve",
    wire.Status.STALE_KEY: "the slot holds another key by now: load the key again",
    wire.Status.STALE_SESSION: "it was reset or opened by another host: open it again",
    wire.Status.INVALID_KEY: "the secret is 0 or not below the group order: use another",
    wire.Status.KEY_IN_USE: "the slot has had jobs in flight all along: wait for them",
    wire.Status.DUPLICATE: "the tag was used before",
    wire.Status.BAD_FRAME: "the frame arrived damaged: check cable and baud rate",
    wire.Status.FAULT: "its release check failed and no signature left it: sign again",
    wire.Status.BAD_DESCRIPTOR: "it cannot take the body from there: flash a newer bitstream",
    wire.Status.BAD_ADDRESS: "the address of the body is not aligned: report this error",
    wire.Status.DMA_ERROR: "it could not read host memory: check the IOMMU's messages (dmesg)",
}
"""What each refusal means and what to do."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the device; the tag and the session are the session's to add."""

    op: wire.Op
    body: bytes = field(default=b"", repr=False)
    slot: int = 0
    curve: wire.CurveId = wire.CurveId.NONE
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """An OK reply."""

    body: bytes = b""
    recid: int = wire.NO_RECID
    cycles: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the request submitted with ``handle`` ended: in a reply or in an error, never both."""

    handle: Any
    reply: Reply | None = None
    error: IntaglioError | None = None


class Group(Protocol):
    """Requests sent together, all but their bodies alike, whose OK replies are taken together."""

    sent_at: float

    def request(self, index: int) -> Request:
        """Request ``index``."""
        ...

    def job(self, index: int) -> Any:
        """The handle of request ``index``, should it have an outcome of its own."""
        ...


class Taken(NamedTuple):
    """OK replies to requests of a group: their indices, and what they hold."""

    group: Group
    indices: list[int]
    bodies: list[bytes]
    recids: list[int]
    cycles: list[int]


def refusal(name: str, op: wire.Op, reply: dict[str, Any], size: int) -> IntaglioError | None:
    """The error that ``reply``, with ``size`` bytes of body, means for ``op``; ``None``: it is OK.

    ``name`` is what messages call the device.
    """
    status = reply["status"]
    if status in BY_STATUS:
        return BY_STATUS[status](f"{name} refused {op.name}: {ADVICE[wire.Status(status)]}")
    if status != wire.Status.OK or reply["length"] != size or size != REPLY_BYTES[op]:
        return ProtocolError(
            f"{name} answered {op.name} with status {status} and {size} bytes, "
            "which this protocol version does not allow: flash a matching bitstream"
        )
    return None
