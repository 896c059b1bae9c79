"""Does a device keep to the wire protocol: what it must refuse, and that no key comes out.

These checks speak to the transport directly, one request at a time, because the driver never sends
what is wrong. They open sessions of their own, so the device holds no key afterwards.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from intaglio import frame, wire, wire_ring
from intaglio.errors import IntaglioError, RequestTimeout
from intaglio.selftest import Mismatch, Result
from intaglio.transport.base import ParsedUrl, Transport, open_transport
from intaglio.wire import CurveId, Op, Status

PART_BYTES = 6
"""A reply that holds this many bytes in a row of a secret has leaked it (chance below 2**-30)."""
SLOT = 1
OTHER_SLOT = 2
FAR = 1 << 60
"""Far from all memory that was given to the device, whatever it is counted from."""
_EMPTYING = (Op.OPEN, Op.LOAD_KEY, Op.WIPE_KEY, Op.WIPE_ALL)


class Answer(NamedTuple):
    """A reply: its record, its body, and all its bytes."""

    record: dict[str, Any]
    body: bytes
    payload: bytes

    @property
    def status(self) -> str:
        """Name of the status, or its code if it has none."""
        code = self.record["status"]
        return Status(code).name if code in list(Status) else f"0x{code:02x}"


class Peer:
    """One request at a time over ``transport``; fields not given are those of a good request."""

    def __init__(self, transport: Transport, seed: int = 1) -> None:
        self.transport = transport
        self.random = random.Random(seed)
        self.session = self.tag = 0
        self.codec = transport.codec()
        self._answers: list[bytes] = []

    def open(self) -> dict[str, Any]:
        """Open a new session; the identity record."""
        self.session = self.random.randrange(1, 1 << 16)
        return self.unpacked(self.ask(Op.OPEN), wire.IDENTITY)

    def ask(self, op: int, body: bytes = b"", **fields: int) -> Answer:
        """The answer to one request under the next tag."""
        return self.exchange(self.codec.encode(self.request(op, body, **fields)))

    def request(self, op: int, body: bytes = b"", **fields: int) -> bytes:
        """Payload of a request under the next tag."""
        self.tag = (self.tag + 1) % (1 << wire.TAG_BITS)
        defaults = {
            "version": wire.VERSION,
            "op": op,
            "tag": self.tag,
            "session": self.session,
            "length": len(body),
        }
        return wire.REQUEST.pack(**(defaults | fields)) + body

    def exchange(self, data: bytes) -> Answer:
        """The next answer after ``data`` was sent. Raises :class:`RequestTimeout` without one."""
        until = time.monotonic() + self.transport.default_timeout_s
        while data:
            data = data[self.transport.write(data) :]
            if data and not self._read(until, or_writable=True):
                break
        while not self._answers and self._read(until):
            pass
        if not self._answers:
            name, wait_s = self.transport.name, self.transport.default_timeout_s
            raise RequestTimeout(f"{name} gave no answer within {wait_s:g} s: reset it")
        payload = self._answers.pop(0)
        if len(payload) < wire.REPLY.size:
            raise Mismatch(f"a reply has {len(payload)} bytes, less than its record")
        record = wire.REPLY.unpack(payload)
        return Answer(record, payload[wire.REPLY.size :], payload)

    def unpacked(self, answer: Answer, record: wire.Record) -> dict[str, Any]:
        """The body of an OK answer, which must be ``record``."""
        self.expect(answer, Status.OK, f"the request for the {record.name} record")
        if len(answer.body) != record.size:
            raise Mismatch(f"the {record.name} record has {len(answer.body)} bytes")
        return record.unpack(answer.body)

    def load(self, secret: bytes, curve: CurveId, slot: int = SLOT) -> int:
        """Load a key; its generation."""
        answer = self.ask(Op.LOAD_KEY, secret, slot=slot, curve=curve)
        generation: int = self.unpacked(answer, wire.KEY)["generation"]
        return generation

    def counters(self) -> dict[str, Any]:
        """The counters record."""
        return self.unpacked(self.ask(Op.COUNTERS), wire.COUNTERS)

    def expect(self, answer: Answer, status: Status, what: str) -> None:
        if answer.status != status.name:
            raise Mismatch(f"{what} was answered {answer.status}, not {status.name}")
        if status is not Status.OK and answer.body:
            raise Mismatch(
                f"{what} was refused, yet the reply has {len(answer.body)} bytes of body"
            )

    def _read(self, until: float, *, or_writable: bool = False) -> bool:
        left = until - time.monotonic()
        if left <= 0:
            return False
        self._answers += self.codec.decode(self.transport.read(left, or_writable=or_writable))
        return True


def _curves(identity: dict[str, Any]) -> list[CurveId]:
    return [c for c in CurveId if c is not CurveId.NONE and identity["curves"] >> c & 1]


def _refusals(peer: Peer) -> str:
    identity = peer.open()
    curve, *others = _curves(identity)
    generation = peer.load(peer.random.randbytes(32), curve)
    good = {"slot": SLOT, "curve": curve, "generation": generation}
    cases: list[tuple[str, Status, int, bytes, dict[str, int]]] = [
        ("another version", Status.BAD_VERSION, Op.COUNTERS, b"", {"version": wire.VERSION + 1}),
        ("an unknown op", Status.BAD_OP, 0x7F, b"", {}),
        ("a key of 31 bytes", Status.BAD_LENGTH, Op.LOAD_KEY, bytes(31), {"curve": curve}),
        ("an unknown curve", Status.BAD_CURVE, Op.LOAD_KEY, bytes(32), {"curve": 0xEE}),
        ("a slot too high", Status.BAD_SLOT, Op.PUBLIC_KEY, b"", {"slot": identity["key_slots"]}),
        ("an empty slot", Status.EMPTY_SLOT, Op.SIGN_MESSAGE, b"", good | {"slot": OTHER_SLOT}),
        (
            "an old key",
            Status.STALE_KEY,
            Op.SIGN_MESSAGE,
            b"",
            good | {"generation": generation ^ 1},
        ),
        ("another session", Status.STALE_SESSION, Op.SIGN_MESSAGE, b"", good | {"session": 0}),
    ]
    if not peer.codec.lossless:
        wrong = good | {"length": 3}
        cases.append(("a wrong length", Status.BAD_LENGTH, Op.SIGN_MESSAGE, b"12", wrong))
    for other in others:
        wrong = good | {"curve": other}
        cases.append(("the other curve", Status.WRONG_CURVE, Op.SIGN_MESSAGE, b"", wrong))
    if CurveId.ED25519 in (curve, *others):
        ed25519 = good | {"curve": CurveId.ED25519}
        cases.append(("an Ed25519 digest", Status.BAD_CURVE, Op.SIGN_DIGEST, bytes(32), ed25519))
    if CurveId.SECP256K1 in (curve, *others):
        zero = {"slot": OTHER_SLOT, "curve": CurveId.SECP256K1}
        cases.append(("a key of 0", Status.INVALID_KEY, Op.LOAD_KEY, bytes(32), zero))
    for what, status, op, body, fields in cases:
        peer.expect(peer.ask(op, body, **fields), status, what)
    peer.expect(peer.ask(Op.SIGN_MESSAGE, b"12", **good), Status.OK, "a good request after them")
    refused = peer.counters()["refused"]
    if refused != len(cases):
        raise Mismatch(f"the counter of refused requests is {refused}, not {len(cases)}")
    return ", ".join(what for what, *_ in cases)


def _replay(peer: Peer) -> str:
    curve = _curves(peer.open())[0]
    generation = peer.load(peer.random.randbytes(32), curve)
    fields = {"slot": SLOT, "curve": curve, "generation": generation}
    data = peer.codec.encode(peer.request(Op.SIGN_MESSAGE, b"once", **fields))
    peer.expect(peer.exchange(data), Status.OK, "a request")
    peer.expect(peer.exchange(data), Status.DUPLICATE, "the same request again")
    counters = peer.counters()
    if (counters["duplicates"], counters["jobs_done"]) != (1, 2):
        raise Mismatch(f"the counters do not show one duplicate and two jobs: {counters}")
    return "the same request twice is one signature and one DUPLICATE"


def _damage(peer: Peer) -> str:
    peer.open()
    before = peer.counters()["frames_bad"]
    good = bytearray(frame.encode(peer.request(Op.COUNTERS)))
    good[-2] ^= 0x10 if good[-2] != 0x10 else 0x20
    peer.expect(peer.exchange(bytes(good)), Status.BAD_FRAME, "a frame with a wrong CRC")
    after = peer.counters()["frames_bad"]
    if after != before + 1:
        raise Mismatch(f"the counter of bad frames went from {before} to {after}, not up by one")
    return "a frame with a wrong CRC is BAD_FRAME and counted; the next one is answered"


def _descriptors(peer: Peer) -> str:
    from intaglio.blocks import one_block

    peer.open()
    far = {"where": wire_ring.Body.MEMORY, "address": FAR}
    cases = [
        ("an unknown place", Status.BAD_DESCRIPTOR, {"where": 0xEE}),
        ("too long a body", Status.BAD_DESCRIPTOR, {"length": wire_ring.INLINE_BYTES + 1}),
        ("an odd address", Status.BAD_ADDRESS, far | {"address": FAR + 4, "length": 4}),
        ("no memory there", Status.DMA_ERROR, far | {"length": 4}),
    ]
    for what, status, fields in cases:
        request = wire.REQUEST.unpack(peer.request(Op.SIGN_MESSAGE))
        descriptor = wire_ring.DESCRIPTOR.pack(**(request | fields))
        peer.expect(peer.exchange(one_block(descriptor)), status, what)
    peer.counters()
    return ", ".join(what for what, *_ in cases)


def _sessions(peer: Peer) -> str:
    curve = _curves(peer.open())[0]
    generation = peer.load(peer.random.randbytes(32), curve)
    fields = {"slot": SLOT, "curve": curve, "generation": generation}
    old = peer.session
    while peer.session == old:
        identity = peer.open()
    stale = peer.ask(Op.SIGN_MESSAGE, b"", session=old, **fields)
    peer.expect(stale, Status.STALE_SESSION, "a request of the session before")
    for slot in range(identity["key_slots"]):
        answer = peer.ask(Op.PUBLIC_KEY, slot=slot)
        peer.expect(answer, Status.EMPTY_SLOT, f"slot {slot} of a new session")
    return f"a new session empties all {identity['key_slots']} slots and ends the one before"


def _no_read_path(peer: Peer) -> str:
    curve = _curves(peer.open())[0]
    secret = peer.random.randbytes(32)
    parts = [secret[i : i + PART_BYTES] for i in range(len(secret) - PART_BYTES + 1)]
    parts += [part[::-1] for part in parts]
    generation = peer.load(secret, curve)
    tried = 0
    for op in range(256):
        for body in (b"", bytes(wire.KEY_BYTES)):
            answer = peer.ask(op, body, slot=SLOT, curve=curve, generation=generation)
            tried += 1
            if any(part in answer.payload for part in parts):
                raise Mismatch(f"the answer to op 0x{op:02x} holds part of the secret key")
            if op in _EMPTYING:
                generation = peer.load(secret, curve)
    return f"{tried} requests with every op 0x00..0xff: no reply holds any part of the key"


def _checks(peer: Peer) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "protocol: refusals", partial(_refusals, peer)
    yield "protocol: replay", partial(_replay, peer)
    if peer.codec.lossless:
        yield "protocol: descriptors", partial(_descriptors, peer)
    else:
        yield "protocol: damage", partial(_damage, peer)
    yield "protocol: sessions", partial(_sessions, peer)
    yield "no way to read a key", partial(_no_read_path, peer)


def run(url: str, *, seed: int = 1) -> Iterator[Result]:
    """Results of all checks on the device at ``url``, which nobody else may hold open.

    One that failed if the device cannot be opened.
    """
    try:
        transport = open_transport(ParsedUrl.parse(url))
    except IntaglioError as error:
        yield Result("protocol", False, str(error))
        return
    try:
        yield from run_on(transport, seed=seed)
    finally:
        transport.close()


def run_on(transport: Transport, *, seed: int = 1) -> Iterator[Result]:
    """:func:`run` on an open ``transport``, which stays open."""
    for name, check in _checks(Peer(transport, seed)):
        try:
            yield Result(name, True, check())
        except (Mismatch, IntaglioError) as error:
            yield Result(name, False, str(error))
