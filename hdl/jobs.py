"""Jobs: what a request became, which station works on it, and where it goes next."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from intaglio import wire

from .engine.contexts import Flags
from .engine.issue import start_layout
from .engine.programs import Program
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
    ``check`` the CRC-32 of that (see :class:`~intaglio.hdl.hash.reader.MessageReader`) as it came
    in. ``start``: clock at which its last byte was taken.
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
            "check": 32,
            "start": 32,
        }
    )


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
    sha512 : Out(stream of {job, second}), nonce : Out(stream of {job})
    invert : Out(stream of {job, modulus})
    engine : Out(stream of {job, key, program}), finish : Out(stream of {job, status, recid})
        Queues of the stations; each holds every job.
    record_job_<n> : In, record_<n> : Out
        Look a record up, n = 0..2, in the same clock.

    Timing: a job moves on in one clock if no other does. ``status`` is INVALID_KEY if
    ``ECDSA_SCALAR_D`` faulted, FAULT if anything else did.
    """

    LOOKUPS = 3

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
            "nonce": Out(stream.Signature(data.StructLayout({"job": job}))),
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
        m.submodules.records = records = Memory(shape=self.record, depth=self.jobs, init=[])
        write = records.write_port()
        m.d.comb += [
            write.addr.eq(self.new.payload.job),
            write.data.eq(self.new.payload.record),
            write.en.eq(self.new.valid & self.new.ready),
        ]
        for n in range(self.LOOKUPS):
            port = records.read_port(domain="comb")
            m.d.comb += [
                port.addr.eq(getattr(self, f"record_job_{n}")),
                getattr(self, f"record_{n}").eq(port.data),
            ]
        event = self._event(m, records)
        self._move(m, event)
        return m

    def _event(self, m: Module, records: Memory) -> data.View:
        """This clock's event: the job that goes on, its record, and the state it is in by now."""
        state = data.StructLayout({"invalid": 1, "fault": 1, "recid": 2})
        progress = data.StructLayout({"step": self.steps, "state": state})
        m.submodules.progress = memory = Memory(shape=progress, depth=self.jobs, init=[])
        reached, moves = memory.read_port(domain="comb"), memory.write_port()
        alarmed = Signal(self.jobs)
        layout = {"valid": 1, "job": range(self.jobs), "step": self.steps, "state": state}
        event = Signal(data.StructLayout({**layout, "record": self.record}))

        m.submodules.ended = ended = SyncFIFOBuffered(
            width=len(self.executed.as_value()), depth=self.jobs
        )
        done = data.View(self.executed.shape(), ended.r_data)
        m.d.comb += [ended.w_data.eq(self.executed), ended.w_en.eq(self.executed.valid)]

        job, next_step = Signal(range(self.jobs)), Signal(self.steps)
        next_state = Signal(state)
        read = records.read_port(domain="comb")
        m.d.comb += [read.addr.eq(job), event.record.eq(read.data), reached.addr.eq(job)]
        step, so_far = reached.data.step, reached.data.state
        m.d.comb += [next_step.eq(step + 1), next_state.eq(so_far)]
        with m.If(ended.r_rdy):
            flags = done.flags
            loads = (read.data.kind == Kind.LOAD_ECDSA) & (step == 0)
            m.d.comb += [
                ended.r_en.eq(1),
                event.valid.eq(1),
                job.eq(done.job),
                next_state.recid.eq((flags.odd ^ flags.neg) | flags.over << 1),
                next_state.invalid.eq(so_far.invalid | (flags.fault & loads)),
                next_state.fault.eq(so_far.fault | flags.fault),
            ]
        with m.Elif(self.hashed.valid):
            m.d.comb += [
                self.hashed.ready.eq(1),
                event.valid.eq(1),
                job.eq(self.hashed.payload.job),
                next_state.fault.eq(
                    so_far.fault | self.hashed.payload.fault | alarmed.bit_select(job, 1)
                ),
            ]
        with m.Elif(self.inverted.valid):
            m.d.comb += [
                self.inverted.ready.eq(1),
                event.valid.eq(1),
                job.eq(self.inverted.payload.job),
            ]
        with m.Elif(self.new.valid):
            m.d.comb += [
                self.new.ready.eq(1),
                event.valid.eq(1),
                job.eq(self.new.payload.job),
                event.record.eq(self.new.payload.record),
                next_step.eq(0),
                next_state.eq(0),
            ]
        m.d.comb += [
            moves.en.eq(event.valid),
            moves.addr.eq(job),
            moves.data.step.eq(next_step),
            moves.data.state.eq(next_state),
        ]
        # an alarm comes before its job's next event, which is the lane's
        with m.If(self.alarm.enable):
            m.d.sync += alarmed.bit_select(self.alarm.job, 1).eq(1)
        with m.If(event.valid):
            m.d.sync += alarmed.bit_select(job, 1).eq(0)
        m.d.comb += [event.job.eq(job), event.step.eq(next_step), event.state.eq(next_state)]
        return event

    def _move(self, m: Module, event: data.View) -> None:
        """Put the event's job into the queue of the station its route names."""
        station, program, modulus = Signal(Station), Signal(Program), Signal(Modulus)
        with m.Switch(event.record.kind):
            for kind, route in self.routes.items():
                with m.Case(kind), m.Switch(event.step):
                    for step, (where, what) in enumerate(route):
                        with m.Case(step):
                            m.d.comb += station.eq(where)
                            if isinstance(what, Modulus):
                                m.d.comb += modulus.eq(what)
                            elif what is not None:
                                m.d.comb += program.eq(what)
        payloads = {
            Station.SHA512: (self.sha512, {"job": event.job, "second": event.step != 0}),
            Station.NONCE: (self.nonce, {"job": event.job}),
            Station.ENGINE: (
                self.engine,
                {"job": event.job, "key": event.record.slot, "program": program},
            ),
            Station.INVERT: (self.invert, {"job": event.job, "modulus": modulus}),
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
                queue.w_en.eq(event.valid & (station == where)),
                output.payload.eq(queue.r_data),
                output.valid.eq(queue.r_rdy),
                queue.r_en.eq(output.ready),
            ]


def _status(state: data.View) -> Mux:
    fault = Mux(state.fault, Status.FAULT, Status.OK)
    return Mux(state.invalid, Status.INVALID_KEY, fault)
