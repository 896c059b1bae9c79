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
over all issue slots, contexts, lanes or, ``wiping``, barrels, or the clocks in which a unit of
which there is one had something to do."""


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


BY_BARREL = (Kind.ENGINE, Kind.EXECUTED, Kind.FREE)
"""What may happen in every barrel at once."""


def events_layout(jobs: int, barrels: int) -> data.StructLayout:
    """Of each :class:`Kind`, as often as it can happen in a clock: whether it does, and to whom;
    ``program``: what ENGINE begins."""
    event = {"valid": 1, "job": range(jobs)}
    layouts = {
        kind: data.StructLayout(event | ({"program": Program} if kind == Kind.ENGINE else {}))
        for kind in Kind
    }
    return data.StructLayout(
        {
            kind.name.lower(): data.ArrayLayout(layout, barrels if kind in BY_BARREL else 1)
            for kind, layout in layouts.items()
        }
    )


class Probe(wiring.Component):
    """A :class:`~intaglio.hdl.core.SigningCore` and what a measurement needs to see of it.

    Members: those of the core, and

    counts : Out(Counts)
    events : Out(events_layout(jobs, barrels)), any_event : Out(1)
        What happens in this clock.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.core = SigningCore(profile)
        members = {
            "counts": Out(Counts),
            "events": Out(events_layout(profile.job_slots, profile.barrels)),
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
        jobs, engine = inside.submodules.jobs, inside.submodules.engine
        streams = {
            Kind.NEW: [jobs.new],
            Kind.SHA512: [jobs.sha512],
            Kind.NONCE: [jobs.nonce],
            Kind.ENGINE: [getattr(engine, f"start_{n}") for n in range(self.profile.barrels)],
            Kind.INVERT: [jobs.invert],
            Kind.FINISH: [jobs.finish],
            Kind.HASHED: [jobs.hashed],
            Kind.INVERTED: [jobs.inverted],
        }
        told = {
            kind: [(_fires(one), one.payload.job) for one in some] for kind, some in streams.items()
        }
        for n in range(self.profile.barrels):
            done = getattr(engine, f"done_{n}")
            told.setdefault(Kind.EXECUTED, []).append((done.valid, done.job))
            freed = getattr(engine, f"wiped_{n}"), getattr(engine, f"wiping_{n}")
            told.setdefault(Kind.FREE, []).append(freed)
            starts = self.events.engine[n]
            m.d.comb += starts.program.eq(streams[Kind.ENGINE][n].payload.program)
        for kind, events in told.items():
            for n, (valid, job) in enumerate(events):
                event = self.events[kind.name.lower()][n]
                m.d.comb += [event.valid.eq(valid), event.job.eq(job)]
        all_valid = (valid for events in told.values() for valid, _ in events)
        m.d.comb += self.any_event.eq(Cat(all_valid).any())

    def _count(self, m: Module, inside: Module) -> None:
        named, engine = inside.submodules, inside.submodules.engine
        profile = self.profile
        barrels = range(profile.barrels)
        slots = Signal(range(profile.barrels * profile.issue_slots + 1))
        # a reset begins with every context taken
        contexts = Signal(range(profile.job_slots + 1), init=profile.job_slots)
        started = sum(_fires(getattr(engine, f"start_{n}")) for n in barrels)
        ended = sum(getattr(engine, f"done_{n}").valid for n in barrels)
        freed = sum(getattr(engine, f"wiped_{n}") for n in barrels)
        m.d.sync += [
            slots.eq(slots + started - ended),
            contexts.eq(contexts + named.intake.take_job - freed),
        ]
        lanes = {"sha512": Sha512Lane, "ecdsa": EcdsaLane}
        used = {
            "issued": engine.issued,
            "issue_slots": slots,
            "contexts": contexts,
            **{name: self._busy_lanes(m, inside, kind) for name, kind in lanes.items()},
            "inverted": _fires(named.invert.inverted),
            "wiping": sum(barrel.wipe.valid for barrel in engine.barrels),
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
