"""Jobs: what a request became, which station works on it, and where it goes next."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
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
from .routes import ENDING, Kind, Modulus, Station, routes


def invert_layout(jobs: int) -> data.StructLayout:
    """A job for the inverter."""
    return data.StructLayout({"job": range(jobs), "modulus": Modulus})


READERS = {
    "event": ("kind", "slot", "hashed"),
    "feed": ("kind", "slot", "page", "length"),
    "collect": ("kind", "slot", "check"),
    "finish": ("kind", "op", "tag", "slot", "page", "length", "start"),
}
"""Who reads job records, and which of their fields; :class:`Jobs` itself reads the first."""


def record_layout(keys: int, pages: int, reader: str | None = None) -> data.StructLayout:
    """What is kept of a request while its job runs, or what a reader of :data:`READERS` has of it.

    ``hashed``: the request carried a digest. ``page`` and ``length``: its message in the pool, and
    ``check`` the sum over that (see :class:`~intaglio.hdl.hash.reader.MessageReader`) as it came
    in: of a message of 8 bytes, all of it. ``start``: clock at which its last byte was taken. A
    record stays in its memory until the next job of its context.
    """
    fields = {
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
    return data.StructLayout(
        {name: shape for name, shape in fields.items() if not reader or name in READERS[reader]}
    )


_PLACE = data.StructLayout({"station": Station, "program": Program, "modulus": Modulus})
"""What one step of a route says."""


class Jobs(wiring.Component):
    """Job records, and the router that moves jobs from station to station.

    Parameters
    ----------
    jobs, keys, pages : int
        Job contexts, key slots, pages of the message pool.
    barrels : int
        Of the engine; each has as many of the contexts, the first the first.
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
    executed_<n> : In({valid, job, flags})
        The engine's barrel n has ended a program.
    sha512 : Out(stream of {job, second}), nonce : Out(stream of {job, hashed})
    invert : Out(stream of {job, modulus})
    engine_<n>, end_<n> : Out(stream of {job, key, program})
    finish : Out(stream of {job, status, recid})
        Queues of the stations, each barrel being one; each holds every job that may come. Programs
        that are :data:`.routes.ENDING` are in ``end``, and go first.
    record_job_<reader> : In, record_<reader> : Out(record_layout(keys, pages, reader))
        Look a record up, for the others of :data:`READERS`: :data:`LOOKUP_CLOCKS` later.

    Timing: a job moves on in :data:`MOVE_CLOCKS` clocks if no other does, a new one in one more.
    ``status`` is INVALID_KEY if ``ECDSA_SCALAR_D`` faulted, FAULT if anything else did.
    """

    LOOKUP_CLOCKS = 2
    MOVE_CLOCKS = 5

    def __init__(
        self, *, jobs: int, keys: int, pages: int, barrels: int, release_check: wire.ReleaseCheck
    ) -> None:
        self.jobs, self.keys, self.barrels = jobs, keys, barrels
        self.routes = routes(release_check)
        self.steps = range(max(len(route) for route in self.routes.values()))
        self._event_record = record_layout(keys, pages, "event")
        self._readers = [reader for reader in READERS if reader != "event"]
        job = range(jobs)
        executed = {"valid": 1, "job": job, "flags": Flags}
        finish = {"job": job, "status": Status, "recid": 2}
        members = {
            "new": In(
                stream.Signature(
                    data.StructLayout({"job": job, "record": record_layout(keys, pages)})
                )
            ),
            "hashed": In(stream.Signature(data.StructLayout({"job": job, "fault": 1}))),
            "alarm": In(data.StructLayout({"enable": 1, "job": job})),
            "inverted": In(stream.Signature(data.StructLayout({"job": job}))),
            "sha512": Out(stream.Signature(data.StructLayout({"job": job, "second": 1}))),
            "nonce": Out(stream.Signature(data.StructLayout({"job": job, "hashed": 1}))),
            "invert": Out(stream.Signature(invert_layout(jobs))),
            "finish": Out(stream.Signature(data.StructLayout(finish))),
        }
        for n in range(barrels):
            members[f"executed_{n}"] = In(data.StructLayout(executed))
            for name in (f"engine_{n}", f"end_{n}"):
                members[name] = Out(stream.Signature(start_layout(jobs, keys)))
        for reader in self._readers:
            members[f"record_job_{reader}"] = In(job)
            members[f"record_{reader}"] = Out(record_layout(keys, pages, reader))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        job = Signal(range(self.jobs))
        record = Signal(self._event_record)
        write = Signal(data.StructLayout({"en": 1, **self.new.payload.shape().members}))
        m.d.sync += [
            write.en.eq(self.new.valid & self.new.ready),
            write.job.eq(self.new.payload.job),
            write.record.eq(self.new.payload.record),
        ]
        readers = {"event": (job, record)}
        for name in self._readers:
            readers[name] = getattr(self, f"record_job_{name}"), getattr(self, f"record_{name}")
        for name, (reads, found) in readers.items():
            m.submodules[f"records_{name}"] = words = BlockRam(
                shape=found.shape(), depth=self.jobs, registered=True
            )
            m.d.comb += [
                found.eq(words.read),
                words.read_addr.eq(reads),
                words.write.addr.eq(write.job),
                words.write.en.eq(write.en),
                *(
                    words.write.data[field].eq(write.record[field])
                    for field in found.shape().members
                ),
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
                    "key": self._event_record["slot"].shape,
                    "hashed": 1,
                    **progress.members,
                    **_PLACE.members,
                }
            )
        )

        done, ended, take_ended = self._ended(m)
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
                with m.If(ended):
                    m.d.comb += take_ended.eq(1)
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
                    m.next = "write"
            with m.State("write"):
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

    def _ended(self, m: Module) -> tuple[data.View, Signal, Signal]:
        """A program that has ended, whether there is one, and a signal that says it is taken.

        The first barrel goes first: programs end less often than events are taken.
        """
        done = Signal(self.executed_0.shape())
        valid, takes = Signal(), Signal()
        queues = [
            SyncFIFOBuffered(width=len(done.as_value()), depth=self.jobs // self.barrels)
            for _ in range(self.barrels)
        ]
        for n, queue in enumerate(queues):
            executed = getattr(self, f"executed_{n}")
            m.submodules[f"ended_{n}"] = queue
            m.d.comb += [queue.w_data.eq(executed), queue.w_en.eq(executed.valid)]
        for n, queue in enumerate(queues):
            with m.If(queue.r_rdy) if n == 0 else m.Elif(queue.r_rdy):
                m.d.comb += [
                    done.as_value().eq(queue.r_data),
                    valid.eq(1),
                    queue.r_en.eq(takes),
                ]
        return done, valid, takes

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
        share = self.jobs // self.barrels
        status = {"status": _status(event.state), "recid": event.state.recid}
        for name, station, fields in (
            ("sha512", Station.SHA512, {"second": event.step != 0}),
            ("nonce", Station.NONCE, {"hashed": event.hashed}),
            ("invert", Station.INVERT, {"modulus": event.modulus}),
            ("finish", Station.FINISH, status),
        ):
            goes = event.valid & (event.station == station)
            self._queue(m, name, getattr(self, name), event.job, goes, fields, self.jobs)
        ends = Cat(event.program == program for program in ENDING).any()
        fields = {"key": event.key, "program": event.program}
        for n in range(self.barrels):
            goes = event.valid & (event.station == Station.ENGINE)
            goes &= event.job >> (share - 1).bit_length() == n
            for name, chosen in ((f"end_{n}", ends), (f"engine_{n}", ~ends)):
                self._queue(m, name, getattr(self, name), event.job, goes & chosen, fields, share)

    def _queue(
        self,
        m: Module,
        name: str,
        output: Any,
        job: Value,
        goes: Value,
        fields: dict[str, Value],
        depth: int,
    ) -> None:
        """A job that ``goes`` there waits in a queue, whose first is offered as ``output``."""
        item = Signal(output.payload.shape(), name=f"item_{name}")
        m.submodules[f"queue_{name}"] = queue = SyncFIFOBuffered(
            width=len(item.as_value()), depth=depth
        )
        m.d.comb += [item[field].eq(value) for field, value in fields.items()]
        m.d.comb += [
            item.job.eq(job),
            queue.w_data.eq(item),
            queue.w_en.eq(goes),
            output.payload.eq(queue.r_data),
            output.valid.eq(queue.r_rdy),
            queue.r_en.eq(output.ready),
        ]


def _status(state: data.View) -> Mux:
    fault = Mux(state.fault, Status.FAULT, Status.OK)
    return Mux(state.invalid, Status.INVALID_KEY, fault)
