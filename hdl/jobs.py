"""Jobs: what a request became, which station works on it, and where it goes next."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from intaglio import wire

from .blockram import BlockRam
from .engine.contexts import Flags
from .engine.issue import start_layout
from .engine.programs import Program
from .hash.check import CHECK_BITS
from .layouts import Status


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


def invert_layout(jobs: int) -> data.StructLayout:
    """A job for the inverter."""
    return data.StructLayout({"job": range(jobs), "modulus": Modulus})


def record_layout(keys: int, pages: int) -> data.StructLayout:
    """What is kept of a request while its job runs.

    ``hashed``: the request carried a digest. ``page`` and ``length``: its message in the pool, and
    ``check`` the sum over that (see :class:`~intaglio.hdl.hash.reader.MessageReader`) as it came
    in: of a message of 8 bytes, all of it. ``start``: clock at which its last byte was taken. A
    record stays in its memory until the next job of its context.
    """
    return data.StructLayout(
        {
            "kind": Kind,
            "op": 8,
            "tag": wire.TAG_BITS,
            "slot": range(keys),
            "hashed": 1,
            "page": range(pages),
            "length": range(wire.MAX_MESSAGE_BYTES + 1),
            "check": CHECK_BITS,
            "start": 32,
        }
    )


_PLACE = data.StructLayout({"station": Station, "program": Program, "modulus": Modulus})
"""What one step of a route says."""


class Jobs(wiring.Component):
    """Job records, and the router that moves jobs from station to station.

    Parameters
    ----------
    jobs, keys, pages : int
        Job contexts, key slots, pages of the message pool.
    release_check : wire.ReleaseCheck
        Decides the :func:`routes`.

    Members
    -------
    new : In(stream of {job, record})
        A job begins.
    hashed : In(stream of {job, fault})
        A hash lane has done its part; ``fault``: the message was not what came in.
    alarm : In({enable, job})
        What the lane of the job was given is not what was stored: the job is faulted.
    inverted : In(stream of {job})
        An inverse is in the job's inbox.
    executed : In({valid, job, flags})
        The engine has ended a program.
    sha512 : Out(stream of {job, second}), nonce : Out(stream of {job, hashed})
    invert : Out(stream of {job, modulus})
    engine : Out(stream of {job, key, program}), finish : Out(stream of {job, status, recid})
        Queues of the stations; each holds every job.
    record_job_<n> : In, record_<n> : Out
        Look a record up, n = 0..2: :data:`LOOKUP_CLOCKS` later.

    Timing: a job moves on in :data:`MOVE_CLOCKS` clocks if no other does. ``status`` is INVALID_KEY
    if ``ECDSA_SCALAR_D`` faulted, FAULT if anything else did.
    """

    LOOKUPS = 3
    LOOKUP_CLOCKS = 2
    MOVE_CLOCKS = 5

    def __init__(
        self, *, jobs: int, keys: int, pages: int, release_check: wire.ReleaseCheck
    ) -> None:
        self.jobs, self.keys = jobs, keys
        self.routes = routes(release_check)
        self.steps = range(max(len(route) for route in self.routes.values()))
        self.record = record_layout(keys, pages)
        job = range(jobs)
        executed = {"valid": 1, "job": job, "flags": Flags}
        finish = {"job": job, "status": Status, "recid": 2}
        members = {
            "new": In(stream.Signature(data.StructLayout({"job": job, "record": self.record}))),
            "hashed": In(stream.Signature(data.StructLayout({"job": job, "fault": 1}))),
            "alarm": In(data.StructLayout({"enable": 1, "job": job})),
            "inverted": In(stream.Signature(data.StructLayout({"job": job}))),
            "executed": In(data.StructLayout(executed)),
            "sha512": Out(stream.Signature(data.StructLayout({"job": job, "second": 1}))),
            "nonce": Out(stream.Signature(data.StructLayout({"job": job, "hashed": 1}))),
            "invert": Out(stream.Signature(invert_layout(jobs))),
            "engine": Out(stream.Signature(start_layout(jobs, keys))),
            "finish": Out(stream.Signature(data.StructLayout(finish))),
        }
        for n in range(self.LOOKUPS):
            members[f"record_job_{n}"] = In(job)
            members[f"record_{n}"] = Out(self.record)
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job = Signal(range(self.jobs))
        record = Signal(self.record)
        readers = {"event": (job, record)}
        for n in range(self.LOOKUPS):
            readers[str(n)] = getattr(self, f"record_job_{n}"), getattr(self, f"record_{n}")
        for name, (reads, found) in readers.items():
            m.submodules[f"records_{name}"] = words = BlockRam(
                shape=self.record, depth=self.jobs, registered=True
            )
            m.d.comb += [
                found.eq(words.read),
                words.read_addr.eq(reads),
                words.write.addr.eq(self.new.payload.job),
                words.write.data.eq(self.new.payload.record),
                words.write.en.eq(self.new.valid & self.new.ready),
            ]
        self._move(m, self._event(m, job, record))
        return m

    def _event(self, m: Module, job: Signal, record: data.View) -> data.View:
        """The job that goes on, and where to: ``valid`` for one clock.

        One event is taken at a time, its record read, its next step decided.
        """
        state = data.StructLayout({"invalid": 1, "fault": 1, "recid": 2})
        progress = data.StructLayout({"step": self.steps, "state": state})
        m.submodules.progress = memory = Memory(shape=progress, depth=self.jobs, init=[])
        reached, moves = memory.read_port(domain="comb"), memory.write_port()
        alarmed = Signal(self.jobs)
        is_new, is_program, fault = Signal(), Signal(), Signal()
        flags = Signal(Flags)
        event = Signal(
            data.StructLayout(
                {
                    "valid": 1,
                    "job": range(self.jobs),
                    "key": self.record["slot"].shape,
                    "hashed": 1,
                    **progress.members,
                    **_PLACE.members,
                }
            )
        )

        m.submodules.ended = ended = SyncFIFOBuffered(
            width=len(self.executed.as_value()), depth=self.jobs
        )
        done = data.View(self.executed.shape(), ended.r_data)
        m.d.comb += [ended.w_data.eq(self.executed), ended.w_en.eq(self.executed.valid)]
        # an alarm comes before its job's next event, which is the lane's
        alarm = Signal(self.alarm.shape())
        m.d.sync += alarm.eq(self.alarm)
        with m.If(alarm.enable):
            m.d.sync += alarmed.bit_select(alarm.job, 1).eq(1)

        loads = (record.kind == Kind.LOAD_ECDSA) & (reached.data.step == 0)
        failed = is_program & flags.fault
        after = Signal(progress)
        m.d.comb += [reached.addr.eq(job), moves.addr.eq(job), moves.data.eq(after)]
        with m.If(~is_new):
            m.d.comb += [
                after.step.eq(reached.data.step + 1),
                after.state.eq(reached.data.state),
                after.state.invalid.eq(reached.data.state.invalid | (failed & loads)),
                after.state.fault.eq(reached.data.state.fault | fault | failed),
            ]
            with m.If(is_program):
                m.d.comb += after.state.recid.eq((flags.odd ^ flags.neg) | flags.over << 1)

        m.d.sync += event.valid.eq(0)
        with m.FSM():
            with m.State("take"):
                m.d.sync += [is_new.eq(0), is_program.eq(0), fault.eq(0), flags.eq(done.flags)]
                with m.If(ended.r_rdy):
                    m.d.comb += ended.r_en.eq(1)
                    m.d.sync += [job.eq(done.job), is_program.eq(1)]
                    m.next = "read"
                with m.Elif(self.hashed.valid):
                    m.d.comb += self.hashed.ready.eq(1)
                    m.d.sync += [
                        job.eq(self.hashed.payload.job),
                        fault.eq(
                            self.hashed.payload.fault
                            | alarmed.bit_select(self.hashed.payload.job, 1)
                        ),
                    ]
                    m.next = "read"
                with m.Elif(self.inverted.valid):
                    m.d.comb += self.inverted.ready.eq(1)
                    m.d.sync += job.eq(self.inverted.payload.job)
                    m.next = "read"
                with m.Elif(self.new.valid):
                    m.d.comb += self.new.ready.eq(1)
                    m.d.sync += [job.eq(self.new.payload.job), is_new.eq(1)]
                    m.next = "read"
            with m.State("read"):
                m.d.sync += alarmed.bit_select(job, 1).eq(0)
                m.next = "look"
            with m.State("look"):
                m.next = "decide"
            with m.State("decide"):
                m.d.comb += moves.en.eq(1)
                m.d.sync += [
                    event.job.eq(job),
                    event.key.eq(record.slot),
                    event.hashed.eq(record.hashed),
                    event.step.eq(after.step),
                    event.state.eq(after.state),
                ]
                m.next = "move"
            with m.State("move"):
                m.d.sync += [event.valid.eq(1), self._place(m, event, record.kind)]
                m.next = "take"
        return event

    def _place(self, m: Module, event: data.View, kind: data.View) -> list:  # type: ignore[type-arg]
        """Station and program of the event's step."""
        place = Signal(_PLACE)
        with m.Switch(kind):
            for each, route in self.routes.items():
                with m.Case(each), m.Switch(event.step):
                    for step, (where, what) in enumerate(route):
                        with m.Case(step):
                            m.d.comb += place.station.eq(where)
                            if isinstance(what, Modulus):
                                m.d.comb += place.modulus.eq(what)
                            elif what is not None:
                                m.d.comb += place.program.eq(what)
        return [event[name].eq(place[name]) for name in _PLACE.members]

    def _move(self, m: Module, event: data.View) -> None:
        """Put the event's job into the queue of the station its route names."""
        payloads = {
            Station.SHA512: (self.sha512, {"job": event.job, "second": event.step != 0}),
            Station.NONCE: (self.nonce, {"job": event.job, "hashed": event.hashed}),
            Station.ENGINE: (
                self.engine,
                {"job": event.job, "key": event.key, "program": event.program},
            ),
            Station.INVERT: (self.invert, {"job": event.job, "modulus": event.modulus}),
            Station.FINISH: (
                self.finish,
                {"job": event.job, "status": _status(event.state), "recid": event.state.recid},
            ),
        }
        for where, (output, fields) in payloads.items():
            item = Signal(output.payload.shape(), name=f"item_{where.name.lower()}")
            m.submodules[f"queue_{where.name.lower()}"] = queue = SyncFIFOBuffered(
                width=len(item.as_value()), depth=self.jobs
            )
            m.d.comb += [item[name].eq(value) for name, value in fields.items()]
            m.d.comb += [
                queue.w_data.eq(item),
                queue.w_en.eq(event.valid & (event.station == where)),
                output.payload.eq(queue.r_data),
                output.valid.eq(queue.r_rdy),
                queue.r_en.eq(output.ready),
            ]


def _status(state: data.View) -> Mux:
    fault = Mux(state.fault, Status.FAULT, Status.OK)
    return Mux(state.invalid, Status.INVALID_KEY, fault)
