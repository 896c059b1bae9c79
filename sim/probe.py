# amaranth: UnusedElaboratable=no
"""The core with counters and events brought out, to see where its clocks go."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import Out, connect, flipped

from intaglio.hdl.core import SigningCore
from intaglio.hdl.engine.programs import Program
from intaglio.hdl.hash.lanes import EcdsaLane, Sha512Lane
from intaglio.hdl.profiles import Profile

COUNTER_BITS = 48

Counts = data.StructLayout(
    dict.fromkeys(
        (
            "issued",
            "issue_slots",
            "contexts",
            "sha512",
            "ecdsa",
            "inverted",
            "wiping",
            "intake",
            "finish",
            "reply",
        ),
        COUNTER_BITS,
    )
)
"""Since the reset: instructions ``issued`` and numbers ``inverted``, else clocks of use: the sum
over all issue slots, contexts or lanes, or the clocks in which a unit of which there is one had
something to do."""


class Kind(enum.Enum, shape=4):
    """What happened to a job."""

    NEW = 0
    SHA512 = 1
    NONCE = 2
    ENGINE = 3
    INVERT = 4
    FINISH = 5
    """This and the ones above: a station begins with it."""
    HASHED = 6
    EXECUTED = 7
    INVERTED = 8
    FREE = 9


def events_layout(jobs: int) -> data.StructLayout:
    """One bit for each :class:`Kind`, and whose; ``program``: what ENGINE begins."""
    names = [kind.name.lower() for kind in Kind]
    fields = {name: data.StructLayout({"valid": 1, "job": range(jobs)}) for name in names}
    return data.StructLayout({**fields, "program": Program})


class Probe(wiring.Component):
    """A :class:`~intaglio.hdl.core.SigningCore` and what a measurement needs to see of it.

    Members: those of the core, and

    counts : Out(Counts)
    events : Out(events_layout(jobs)), any_event : Out(1)
        What happens in this clock.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.core = SigningCore(profile)
        members = {
            "counts": Out(Counts),
            "events": Out(events_layout(profile.job_slots)),
            "any_event": Out(1),
        }
        super().__init__({**dict(self.core.signature.members), **members})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        core = self.core
        inside = core.elaborate(platform)
        m.submodules.core = inside
        for name, member in core.signature.members.items():
            mine, its = getattr(self, name), getattr(core, name)
            if member.is_signature:
                connect(m, flipped(mine), its)
            else:
                m.d.comb += mine.eq(its) if member.flow == Out else its.eq(mine)
        self._events(m, inside)
        self._count(m, inside)
        return m

    def _events(self, m: Module, inside: Module) -> None:
        jobs, barrel = inside.submodules.jobs, inside.submodules.barrel
        finish = inside.submodules.finish
        streams = {
            Kind.NEW: jobs.new,
            Kind.SHA512: jobs.sha512,
            Kind.NONCE: jobs.nonce,
            Kind.ENGINE: jobs.engine,
            Kind.INVERT: jobs.invert,
            Kind.FINISH: jobs.finish,
            Kind.HASHED: jobs.hashed,
            Kind.INVERTED: jobs.inverted,
        }
        told = {kind: (_fires(each), each.payload.job) for kind, each in streams.items()}
        told[Kind.EXECUTED] = (barrel.done.valid, barrel.done.job)
        told[Kind.FREE] = (finish.free.enable, finish.free.job)
        for kind, (valid, job) in told.items():
            event = self.events[kind.name.lower()]
            m.d.comb += [event.valid.eq(valid), event.job.eq(job)]
        m.d.comb += [
            self.events.program.eq(jobs.engine.payload.program),
            self.any_event.eq(Cat(valid for valid, _ in told.values()).any()),
        ]

    def _count(self, m: Module, inside: Module) -> None:
        named = inside.submodules
        profile = self.profile
        slots = Signal(range(profile.issue_slots + 1))
        # a reset begins with every context taken
        contexts = Signal(range(profile.job_slots + 1), init=profile.job_slots)
        m.d.sync += [
            slots.eq(slots + _fires(named.barrel.start) - named.barrel.done.valid),
            contexts.eq(contexts + named.intake.take_job - named.finish.free.enable),
        ]
        lanes = {"sha512": Sha512Lane, "ecdsa": EcdsaLane}
        used = {
            "issued": named.barrel.issued,
            "issue_slots": slots,
            "contexts": contexts,
            **{name: self._busy_lanes(m, inside, kind) for name, kind in lanes.items()},
            "inverted": _fires(named.invert.inverted),
            "wiping": named.barrel.wipe.valid,
            "intake": ~named.intake.idle,
            "finish": ~named.finish.idle,
            "reply": ~named.replier.idle,
        }
        for name, amount in used.items():
            m.d.sync += self.counts[name].eq(self.counts[name] + amount)

    @staticmethod
    def _busy_lanes(m: Module, inside: Module, kind: type) -> Signal:
        """How many lanes of one kind have a job."""
        found = [each for each, _ in inside._named_submodules.values() if isinstance(each, kind)]
        if not found:
            raise ValueError(f"the core has no {kind.__name__}")
        busy = [Signal(name=f"{kind.__name__.lower()}_busy{i}") for i in range(len(found))]
        for bit, lane in zip(busy, found, strict=True):
            m.d.sync += bit.eq(Mux(_fires(lane.request), 1, bit & ~_fires(lane.result)))
        count = Signal(range(len(found) + 1), name=f"{kind.__name__.lower()}_count")
        m.d.comb += count.eq(sum(busy))
        return count


def _fires(stream: object) -> object:
    return stream.valid & stream.ready
