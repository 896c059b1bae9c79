"""The golden core: what a signing device answers to each request, transaction by transaction.

It is the reference for :mod:`intaglio.hdl.core`: slots, generations, sessions, tags, statuses and
counters are kept here as :mod:`intaglio.wire` words them; the arithmetic is libsodium's and
libsecp256k1's. There is no clock; jobs wait until :meth:`GoldenCore.finish_one` ends one of them.

A request is checked in this order and refused with the first status that applies:

1. shorter than a request header: a damaged frame, BAD_FRAME;
2. BAD_VERSION, BAD_OP; IDENTIFY is answered here (after its BAD_LENGTH), whatever session and tag;
3. OPEN: BAD_LENGTH; STALE_SESSION for session 0; else it opens, and jobs in flight are dropped
   without an answer;
4. STALE_SESSION, then DUPLICATE; past these the tag is accepted, also if the request is refused;
5. BAD_LENGTH, BAD_CURVE (LOAD_KEY and SIGN_* only), BAD_SLOT (all that name a slot);
6. KEY_IN_USE; EMPTY_SLOT, WRONG_CURVE and STALE_KEY (of these PUBLIC_KEY knows EMPTY_SLOT only);
   a load that gets this far becomes a job whatever its key, and may end in INVALID_KEY.

A generation starts at 0 and grows by one with each zeroising of its slot: by OPEN, by a wipe, by
LOAD_KEY when it is accepted, and again when the load ends in INVALID_KEY or FAULT, which leaves the
slot empty.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import coincurve
import nacl.signing

from intaglio import params, wire
from intaglio.wire import CurveId, Op, Status

SIGN_OPS = (Op.SIGN_MESSAGE, Op.SIGN_DIGEST)
SLOT_OPS = (Op.LOAD_KEY, Op.PUBLIC_KEY, Op.WIPE_KEY, *SIGN_OPS)
SESSION_COUNTERS = ("duplicates", "refused", "jobs_done", "faults")
"""The counters that OPEN resets."""


@dataclass(slots=True)
class Slot:
    """A key slot; empty if ``secret`` is."""

    secret: bytes = b""
    curve: CurveId = CurveId.NONE
    point: bytes = b""
    generation: int = 0
    loading: bool = False
    jobs: int = 0

    def zeroise(self) -> None:
        """Drop the key and change the generation."""
        self.secret, self.curve, self.point = b"", CurveId.NONE, b""
        self.generation = (self.generation + 1) & 0xFFFF


@dataclass(frozen=True, slots=True)
class Job:
    """A request in flight: its header fields, its body and the slot it uses."""

    request: dict[str, int]
    body: bytes
    slot: Slot
    load: tuple[CurveId, bytes] | None = None


class GoldenCore:
    """A device with ``key_slots`` keys, ``job_slots`` jobs at once and ``pool_bytes`` of messages.

    ``rng`` chooses which job ends next. ``fault_rate`` (0..1) is the share of jobs whose release
    check fails. ``version`` is the protocol version it speaks.
    """

    def __init__(
        self,
        *,
        key_slots: int = 16,
        job_slots: int = 64,
        pool_bytes: int = 32768,
        curves: Sequence[CurveId] = (CurveId.ED25519, CurveId.SECP256K1),
        fault_rate: float = 0.0,
        version: int = wire.VERSION,
        rng: random.Random | None = None,
    ) -> None:
        self.slots = [Slot() for _ in range(key_slots)]
        self.jobs: list[Job] = []
        self.counters = dict.fromkeys((field.name for field in wire.COUNTERS.fields), 0)
        self.session = 0
        self.last_tag = 0
        self._job_slots = job_slots
        self._pool_bytes = pool_bytes
        self._curves = frozenset(curves)
        self._fault_rate = fault_rate
        self._version = version
        self._rng = rng or random.Random(0)

    def transact(self, payload: bytes) -> bytes:
        """The reply to one request, its job run to the end. No other job may be in flight."""
        reply = self.accept(payload)
        return self.finish_one() if reply is None else reply

    def has_room(self, payload: bytes) -> bool:
        """Whether the core takes ``payload`` now, or stalls the link until a job has ended."""
        used = sum(wire.pages(len(job.body)) for job in self.jobs if job.load is None)
        needed = wire.pages(max(len(payload) - wire.REQUEST.size, 0))
        return len(self.jobs) < self._job_slots and (
            not self.jobs or (used + needed) * wire.PAGE_BYTES <= self._pool_bytes
        )

    def accept(self, payload: bytes) -> bytes | None:
        """The reply at once, or ``None`` if the request became a job."""
        if len(payload) < wire.REQUEST.size:
            return self.bad_frame()
        self._count("frames_good")
        request = wire.REQUEST.unpack(payload)
        body = payload[wire.REQUEST.size :]
        status = self._admit(request, body)
        if status is Status.DUPLICATE:
            self._count("duplicates")
        elif status is not Status.OK:
            self._count("refused")
        if status is not Status.OK:
            return self._reply(request, status)
        match request["op"]:
            case Op.OPEN | Op.IDENTIFY:
                return self._reply(request, body=self.identity())
            case Op.COUNTERS:
                return self._reply(request, body=wire.COUNTERS.pack(**self.counters))
            case Op.PUBLIC_KEY:
                return self._reply(request, body=self._key(self.slots[request["slot"]]))
            case Op.WIPE_KEY:
                self.slots[request["slot"]].zeroise()
                return self._reply(request)
            case Op.WIPE_ALL:
                self._zeroise_all()
                return self._reply(request)
        self._start(request, body)
        return None

    def bad_frame(self) -> bytes:
        """The answer to a damaged frame."""
        self._count("frames_bad")
        return self._reply({"op": 0, "tag": self.last_tag}, Status.BAD_FRAME)

    def finish_one(self) -> bytes:
        """End one of the jobs in flight, any of them, and return its reply."""
        job = self.jobs.pop(self._rng.randrange(len(self.jobs)))
        slot = job.slot
        slot.loading = False
        slot.jobs -= 1
        failure = self._failure(job)
        if failure is not None:
            if job.load is not None:
                slot.zeroise()
            self._count("faults" if failure is Status.FAULT else "refused")
            return self._reply(job.request, failure)
        self._count("jobs_done")
        op, curve = Op(job.request["op"]), CurveId(job.request["curve"])
        cycles = nominal_cycles(op, curve, len(job.body))
        if job.load is not None:
            slot.curve, slot.secret = job.load
            slot.point = public_point(slot.curve, slot.secret)
            return self._reply(job.request, body=self._key(slot), cycles=cycles)
        raw, recid = sign(op, curve, slot.secret, job.body)
        return self._reply(job.request, body=raw, recid=recid, cycles=cycles)

    def _failure(self, job: Job) -> Status | None:
        """How the job ends if not well."""
        if job.load is not None and job.load[0] is CurveId.SECP256K1 and not is_scalar(job.body):
            return Status.INVALID_KEY
        return Status.FAULT if self._rng.random() < self._fault_rate else None

    def _admit(self, request: dict[str, int], body: bytes) -> Status:
        """Steps 2 to 6 of the module's list; OK if the request is to be executed."""
        op = request["op"]
        if request["version"] != self._version:
            return Status.BAD_VERSION
        if op not in wire.BODY_BYTES:
            return Status.BAD_OP
        low, high = wire.BODY_BYTES[Op(op)]
        good_length = request["length"] == len(body) and low <= len(body) <= high
        if op == Op.IDENTIFY:
            return Status.OK if good_length else Status.BAD_LENGTH
        if op == Op.OPEN:
            return self._open(request) if good_length else Status.BAD_LENGTH
        if not self.session or request["session"] != self.session:
            return Status.STALE_SESSION
        if not wire.is_newer(request["tag"], self.last_tag):
            return Status.DUPLICATE
        self.last_tag = request["tag"]
        if not good_length:
            return Status.BAD_LENGTH
        if (op == Op.LOAD_KEY or op in SIGN_OPS) and request["curve"] not in self._curves:
            return Status.BAD_CURVE
        if op == Op.SIGN_DIGEST and request["curve"] != CurveId.SECP256K1:
            return Status.BAD_CURVE
        if op == Op.WIPE_ALL:
            return Status.KEY_IN_USE if any(slot.jobs for slot in self.slots) else Status.OK
        return self._admit_slot(request) if op in SLOT_OPS else Status.OK

    def _admit_slot(self, request: dict[str, int]) -> Status:
        op = request["op"]
        if request["slot"] >= len(self.slots):
            return Status.BAD_SLOT
        slot = self.slots[request["slot"]]
        if slot.loading or (op in (Op.LOAD_KEY, Op.WIPE_KEY) and slot.jobs):
            return Status.KEY_IN_USE
        if op == Op.LOAD_KEY:
            slot.zeroise()
            return Status.OK
        if op == Op.WIPE_KEY:
            return Status.OK
        if not slot.secret:
            return Status.EMPTY_SLOT
        if op in SIGN_OPS and slot.curve != request["curve"]:
            return Status.WRONG_CURVE
        if op in SIGN_OPS and slot.generation != request["generation"]:
            return Status.STALE_KEY
        return Status.OK

    def _open(self, request: dict[str, int]) -> Status:
        if not request["session"]:
            return Status.STALE_SESSION
        self.session = request["session"]
        self.last_tag = request["tag"]
        self.jobs.clear()
        self._zeroise_all()
        self.counters.update(dict.fromkeys(SESSION_COUNTERS, 0))
        return Status.OK

    def _start(self, request: dict[str, int], body: bytes) -> None:
        slot = self.slots[request["slot"]]
        slot.jobs += 1
        load = None
        if request["op"] == Op.LOAD_KEY:
            slot.loading = True
            load = (CurveId(request["curve"]), body)
        self.jobs.append(Job(request, body, slot, load))

    def _zeroise_all(self) -> None:
        for slot in self.slots:
            slot.zeroise()
            slot.loading, slot.jobs = False, 0

    def _count(self, name: str) -> None:
        self.counters[name] = (self.counters[name] + 1) & 0xFFFFFFFF

    def identity(self) -> bytes:
        """The identity record."""
        return wire.IDENTITY.pack(
            magic=wire.MAGIC,
            version=self._version,
            curves=sum(1 << curve for curve in self._curves),
            release_check=wire.ReleaseCheck.NONE,
            key_slots=len(self.slots),
            job_slots=self._job_slots,
            pool_bytes=self._pool_bytes,
            max_message_bytes=wire.MAX_MESSAGE_BYTES,
            page_bytes=wire.PAGE_BYTES,
            profile=b"golden",
        )

    def _key(self, slot: Slot) -> bytes:
        return wire.KEY.pack(generation=slot.generation, curve=slot.curve, public_key=slot.point)

    def _reply(
        self,
        request: dict[str, int],
        status: Status = Status.OK,
        *,
        body: bytes = b"",
        recid: int = wire.NO_RECID,
        cycles: int = 0,
    ) -> bytes:
        return (
            wire.REPLY.pack(
                version=self._version,
                op=request["op"],
                tag=request["tag"],
                status=status,
                recid=recid,
                length=len(body),
                cycles=cycles,
            )
            + body
        )


def is_scalar(secret: bytes) -> bool:
    """Whether ``secret`` is a secp256k1 private key: 0 < d < n (SEC 1 section 3.2.1)."""
    return 0 < int.from_bytes(secret, "big") < params.SECP256K1.order


def public_point(curve: CurveId, secret: bytes) -> bytes:
    """Public key as ``KEY.public_key`` holds it, without the padding."""
    if curve is CurveId.ED25519:
        return bytes(nacl.signing.SigningKey(secret).verify_key)
    return coincurve.PrivateKey(secret).public_key.format(compressed=False)[1:]


def sign(op: Op, curve: CurveId, secret: bytes, body: bytes) -> tuple[bytes, int]:
    """Signature and recovery id as a reply holds them."""
    if curve is CurveId.ED25519:
        return nacl.signing.SigningKey(secret).sign(body).signature, wire.NO_RECID
    digest = body if op is Op.SIGN_DIGEST else hashlib.sha256(body).digest()
    signed = coincurve.PrivateKey(secret).sign_recoverable(digest, hasher=None)
    return signed[:64], signed[64]


def nominal_cycles(op: Op, curve: CurveId, length: int) -> int:
    """Stand-in for a device's cycles: hash rounds of the job, by curve, operation and length only.

    Ed25519: 80 a block of SHA-512 over prefix || M and over R || A || M, or over the seed (RFC 8032
    section 5.1.5); ECDSA: 64 a block of SHA-256 over the message, and 16 blocks for the nonce.
    """
    if curve is CurveId.ED25519:
        if op is Op.LOAD_KEY:
            return 80
        return 80 * sum(-(-(head + length + 17) // 128) for head in (32, 64))
    if op is Op.LOAD_KEY:
        return 64
    blocks = -(-(length + 9) // 64) if op is Op.SIGN_MESSAGE else 0
    return 64 * (16 + blocks)
