"""What a device answered, read and, if asked for, checked before anyone sees it."""

from __future__ import annotations

from intaglio import check, wire
from intaglio.check import VerifyPolicy
from intaglio.curve import Curve
from intaglio.errors import ProtocolError, VerifyError
from intaglio.keyring import Entry, Job
from intaglio.outcome import Reply
from intaglio.values import Signature


def read_key(name: str, entry: Entry, body: bytes, verify: bool) -> tuple[int, bytes]:
    """Generation and public key (as :class:`intaglio.Key` takes it) in a KEY record.

    Raises :class:`VerifyError` if it is another public key than before or, with ``verify``, than
    the host computes; :class:`ProtocolError` if the record names another curve.
    """
    record = wire.KEY.unpack(body)
    if record["curve"] != entry.curve.wire_id:
        raise ProtocolError(
            f"{name} answered with a key of curve code {record['curve']} for a key of "
            f"{entry.curve.value}: flash a matching bitstream"
        )
    point = record["public_key"][: 32 if entry.curve is Curve.ED25519 else 64]
    expected = entry.point
    if not expected and verify:
        expected = check.public_point(entry.curve, bytes(entry.secret)) or b"none"
    if expected and point != expected:
        raise VerifyError(
            f"{name} computed a wrong {entry.curve.value} public key; the key was not taken: "
            "run its self-test"
        )
    return record["generation"], point


def read_result(name: str, job: Job, reply: Reply, verify: VerifyPolicy) -> Signature | bytes:
    """What ``reply`` means for ``job``: a signature, or a public key as ``Key.public_key`` is.

    Raises :class:`VerifyError` or :class:`ProtocolError`.
    """
    if job.op is wire.Op.PUBLIC_KEY:
        read_key(name, job.entry, reply.body, verify.some)
        return job.entry.public_key
    return _read_signature(name, job, reply, verify)


def _read_signature(name: str, job: Job, reply: Reply, verify: VerifyPolicy) -> Signature:
    curve = job.entry.curve
    recid = None if reply.recid == wire.NO_RECID else reply.recid
    if recid not in ((None,) if curve is Curve.ED25519 else range(4)):
        raise ProtocolError(
            f"{name} answered a {curve.value} signature with recovery id {recid}: "
            "flash a matching bitstream"
        )
    signature = Signature(reply.body, curve, recid, reply.cycles)
    key = job.entry.key
    if key is not None and verify.wanted() and not check.is_right(key, job.op, job.body, signature):
        raise VerifyError(
            f"{name} returned a signature by {key!r} that does not verify; it was discarded: "
            "run its self-test"
        )
    return signature
