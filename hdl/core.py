"""The signing core: request packets in, reply packets out. Composition only."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio import wire
from intaglio.params import ED25519, SECP256K1, Weierstrass

from . import layouts
from .digest import rtl_digest
from .engine.engine import Engine
from .engine.programs import Image
from .field.karatsuba import BY_LIMBS, FLAT
from .hash.lanes import EcdsaLane, Sha512Lane
from .intake import Intake
from .jobs import Jobs
from .keystore import KeyStore
from .layouts import CurveId, Status
from .limbram import place
from .pool import MessagePool
from .profiles import Profile
from .reply import Replier
from .stations.collect import Collect
from .stations.feed import Feed
from .stations.finish import Finish
from .stations.invert import Invert
from .stations.words import key_write_layout, share_outbox
from .stream import Packet, distribute, merge, merge_registered, prefer, registered


class SigningCore(wiring.Component):
    """Signs, behind any link that carries packets.

    Parameters
    ----------
    profile : Profile
        Its size.
    clock_hz : int
        Clock, for the identity record; 0 in simulation.
    curve : Weierstrass
        What ECDSA is done on; tests of other orders pass another, see :class:`.programs.Image`.

    Members
    -------
    requests : In(stream of Packet(8)), replies : Out(stream of Packet(8))
        Payloads of :mod:`intaglio.wire`, whole and undamaged, without CRC.
    bad_frame : In(1)
        Pulse: a frame came damaged. Answered with BAD_FRAME.
    git_revision : In(160)
        For the identity record, byte 0 in bits 7..0.
    identity : Out(Identity)
        The record, for links that show it by themselves.
    busy : Out(1)
        Something is to be done; low, the clock may stop.

    Timing: see ``cycles`` in :data:`intaglio.wire.REPLY`: for a lone job it depends on curve,
    operation and message length only, but for RFC 6979's retry (probability below 2^-127).
    Security: keys enter and never leave; see the README of this folder.
    """

    def __init__(
        self, profile: Profile, *, clock_hz: int = 0, curve: Weierstrass = SECP256K1
    ) -> None:
        self.profile, self.clock_hz, self.curve = profile, clock_hz, curve
        super().__init__(
            {
                "requests": In(stream.Signature(Packet(8))),
                "replies": Out(stream.Signature(Packet(8))),
                "bad_frame": In(1),
                "git_revision": In(8 * 20),
                "identity": Out(layouts.Identity),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        profile = self.profile
        sizes = {"jobs": profile.job_slots, "keys": profile.key_slots, "pages": profile.pool_pages}
        job_width = (profile.job_slots - 1).bit_length()
        page_width = (profile.pool_pages - 1).bit_length()
        image = Image(profile.window, self.curve, release_check=profile.release_check)
        m.submodules.intake = intake = Intake(**sizes)
        m.submodules.jobs = jobs = Jobs(
            **sizes, barrels=profile.barrels, release_check=profile.release_check
        )
        m.submodules.feed = feed = Feed(**sizes)
        m.submodules.collect = collect = Collect(**sizes, order_bits=self.curve.order.bit_length())
        m.submodules.finish = finish = Finish(**sizes)
        m.submodules.invert = invert = Invert(
            jobs=profile.job_slots,
            moduli=(ED25519.p, self.curve.p, self.curve.order),
            units=profile.inverters,
        )
        m.submodules.replier = replier = Replier(keys=profile.key_slots, jobs=profile.job_slots)
        sha512 = [Sha512Lane(job_width, page_width) for _ in range(profile.sha512_lanes)]
        nonce = [
            EcdsaLane(self.curve.order, job_width, page_width, messages=i < profile.sha256_lanes)
            for i in range(profile.ecdsa_lanes)
        ]
        readers = [*sha512, *nonce[: profile.sha256_lanes]]
        m.submodules.pool = pool = MessagePool(profile.pool_pages, readers=len(readers))
        m.submodules.engine = engine = Engine(
            image,
            barrels=profile.barrels,
            interval=profile.interval,
            slots=profile.issue_slots,
            jobs=profile.job_slots,
            keys=profile.key_slots,
            how=BY_LIMBS if profile.by_limbs else FLAT,
        )
        m.submodules.keys = keys = KeyStore(
            profile.key_slots,
            jobs=profile.job_slots,
            lookups=2,
            lanes=engine.lanes,
            engines=profile.barrels,
        )

        now = Signal(32)
        m.d.sync += now.eq(now + 1)
        m.d.comb += [intake.now.eq(now), finish.now.eq(now), finish.mute.eq(intake.draining)]

        # a job's way
        connect(m, flipped(self.requests), intake.requests)
        connect(m, intake.new, jobs.new)
        connect(m, registered(m, jobs.sha512), feed.sha512_jobs)
        connect(m, registered(m, jobs.nonce), feed.nonce_jobs)
        for name, group in (("sha512", sha512), ("nonce", nonce)):
            for i, lane in enumerate(group):
                m.submodules[f"{name}_{i}"] = lane
            source = getattr(feed, name)
            sinks = [
                (lane.request, getattr(lane, "messages", True) or source.payload.hashed)
                for lane in group
            ]
            distribute(m, source, sinks)
            results = [lane.result for lane in group]
            result = stream.Signature(results[0].payload.shape()).create()
            merge_registered(m, results, result, ends=lambda word: word.last)
            connect(m, registered(m, result), getattr(collect, name))
        # one lane at a time waits for its head or its operands
        distribute(m, feed.head, [(lane.head, 1) for lane in sha512])
        distribute(m, feed.operands, [(lane.operands, 1) for lane in nonce])
        connect(m, registered(m, collect.hashed), jobs.hashed)
        for n in range(profile.barrels):
            starts = [registered(m, getattr(jobs, f"{kind}_{n}")) for kind in ("end", "engine")]
            prefer(m, starts, getattr(engine, f"start_{n}"))
            m.d.comb += getattr(jobs, f"executed_{n}").eq(getattr(engine, f"done_{n}"))
        connect(m, jobs.invert, invert.jobs_in)
        connect(m, invert.inverted, jobs.inverted)
        connect(m, jobs.finish, finish.finish)
        connect(m, finish.wipe, engine.wipe)
        connect(m, finish.limbs, replier.limbs)
        connect(m, registered(m, replier.replies), flipped(self.replies))
        m.d.comb += [
            jobs.alarm.eq(feed.alarm),
            engine.inbox.eq(Mux(collect.inbox.enable, collect.inbox, invert.inbox)),
            invert.inbox_taken.eq(~collect.inbox.enable),
        ]
        for name, user in (("feed", feed), ("collect", collect), ("finish", finish)):
            m.d.comb += [
                getattr(jobs, f"record_job_{name}").eq(user.record_job),
                user.record.eq(getattr(jobs, f"record_{name}")),
            ]

        # its message
        connect(m, intake.chunks, pool.write)
        connect(m, pool.written, intake.written)
        for n, lane in enumerate(readers):
            connect(m, lane.fetch, getattr(pool, f"read_{n}"))
            connect(m, getattr(pool, f"data_{n}"), lane.message)
        merge_registered(m, [finish.release, intake.release], pool.release)
        m.d.comb += [
            intake.free_pages.eq(pool.free_pages),
            engine.digest.eq(intake.digest),
            intake.digest_taken.eq(engine.digest_taken),
        ]

        self._contexts(m, intake, engine)
        self._keys(m, keys, intake, feed, collect, finish, replier, engine)
        self._shared_reads(m, feed, invert, finish, replier, keys, engine)
        self._replies(m, intake, finish, replier)
        works = Signal(init=1)
        m.d.comb += self.busy.eq(works | self.requests.valid | self.bad_frame)
        m.d.sync += works.eq(
            self.requests.valid
            | self.bad_frame
            | ~intake.idle
            | intake.jobs_active
            | ~finish.idle
            | ~replier.idle
            | self.replies.valid
            | ~pool.idle
            | keys.busy
        )
        return m

    def _contexts(self, m: Module, intake: Intake, engine: Engine) -> None:
        """Which job contexts are free, and which of them is the next job's: one barrel's after
        another's, but of the first barrel's for a key that is loaded."""
        slots = self.profile.job_slots
        taken = Signal(slots, init=(1 << slots) - 1)  # a reset has them wiped first
        active, offered, take = Signal(init=1), Signal(), Signal()
        index, may_load = Signal(range(slots)), Signal()
        m.d.sync += [active.eq(taken.any() | take), take.eq(0)]
        m.d.comb += [
            may_load.eq(engine.is_first(index)),
            intake.jobs_active.eq(active),
            intake.job.free.eq(offered & (may_load | ~intake.loads)),
            intake.job.index.eq(index),
        ]
        with m.If(take):
            m.d.sync += taken.bit_select(index, 1).eq(1)
        with m.Elif(taken.bit_select(index, 1) | (intake.loads & ~may_load)):
            m.d.sync += [offered.eq(0), index.eq(engine.following(index))]
        with m.Else():
            m.d.sync += offered.eq(1)
        with m.If(intake.take_job):
            m.d.sync += [take.eq(1), offered.eq(0), active.eq(1)]
        for n in range(self.profile.barrels):
            freed, job = Signal(name=f"freed{n}"), Signal(range(slots), name=f"freed_job{n}")
            wiped, wiping = getattr(engine, f"wiped_{n}"), getattr(engine, f"wiping_{n}")
            m.d.sync += [freed.eq(wiped), job.eq(wiping)]
            with m.If(freed):
                m.d.sync += taken.bit_select(job, 1).eq(0)

    def _keys(
        self,
        m: Module,
        keys: KeyStore,
        intake: Intake,
        feed: Feed,
        collect: Collect,
        finish: Finish,
        replier: Replier,
        engine: Engine,
    ) -> None:
        """The key store and who writes it: the engine never waits, the others take turns."""
        connect(m, intake.key_command, keys.command)
        connect(m, registered(m, finish.key_finish), keys.finish)
        chosen = stream.Signature(key_write_layout(self.profile.key_slots)).create()
        merge_registered(m, [collect.key_write, finish.key_write, intake.key_write], chosen)
        write = Signal.like(engine.key_write)
        m.d.sync += [
            write.eq(0),
            keys.acquire.eq(intake.acquire),
            keys.acquire_slot.eq(intake.key_slot),
            keys.release.eq(finish.key_release),
            keys.release_slot.eq(finish.record.slot),
        ]
        with m.If(engine.key_write.enable):
            m.d.sync += write.eq(engine.key_write)
        lane, step = place(chosen.payload.limb, keys.lanes)
        m.d.comb += [
            chosen.ready.eq(~write.enable),
            keys.write.en.eq(lane & chosen.valid.replicate(keys.lanes)),
            keys.write.slot.eq(chosen.payload.slot),
            keys.write.index.eq(chosen.payload.index),
            keys.write.step.eq(step),
            keys.write.data.eq(chosen.payload.data.replicate(keys.lanes)),
        ]
        with m.If(write.enable):
            m.d.comb += [
                keys.write.en.eq(-1),
                keys.write.slot.eq(write.key),
                keys.write.index.eq(write.index),
                keys.write.step.eq(write.step),
                keys.write.data.eq(write.data),
            ]
        m.d.comb += [
            intake.key_busy.eq(keys.busy),
            keys.slot_0.eq(intake.key_slot),
            intake.key_info.eq(keys.info_0),
            keys.slot_1.eq(replier.key_slot),
            replier.key_info.eq(keys.info_1),
            keys.hash.en.eq(feed.secret.en),
            keys.hash.slot.eq(feed.secret.slot),
            keys.hash.index.eq(feed.secret.index),
            keys.hash.limb.eq(feed.secret.limb),
            feed.secret_limb.eq(keys.hash.data),
            feed.secret_damaged.eq(keys.hash.damaged),
        ]

        for n in range(self.profile.barrels):
            port, wanted = getattr(keys, f"engine_{n}"), getattr(engine, f"key_read_{n}")
            m.d.comb += [
                port.en.eq(1),
                port.slot.eq(wanted.key),
                port.index.eq(wanted.index),
                port.step.eq(wanted.step),
                getattr(engine, f"key_word_{n}").eq(port.data),
            ]

    def _shared_reads(
        self,
        m: Module,
        feed: Feed,
        invert: Invert,
        finish: Finish,
        replier: Replier,
        keys: KeyStore,
        engine: Engine,
    ) -> None:
        """Ports that stations share: the feed goes first, the replies last."""
        public = feed.public
        share_outbox(m, (feed, invert, finish), engine)
        m.d.comb += [
            keys.public.en.eq(public.want | replier.public.want),
            keys.public.slot.eq(Mux(public.want, public.slot, replier.public.slot)),
            keys.public.index.eq(Mux(public.want, public.index, replier.public.index)),
            keys.public.limb.eq(Mux(public.want, public.limb, replier.public.limb)),
            feed.public_limb.eq(keys.public.data),
            feed.public_damaged.eq(keys.public.damaged),
            replier.public_limb.eq(keys.public.data),
            replier.public_taken.eq(~public.want),
        ]

    def _replies(self, m: Module, intake: Intake, finish: Finish, replier: Replier) -> None:
        """Identity, counters, and whose reply is next."""
        profile = self.profile
        constants = {
            "magic": int.from_bytes(wire.MAGIC, "little"),
            "version": wire.VERSION,
            "curves": 1 << CurveId.ED25519.value | 1 << CurveId.SECP256K1.value,
            "release_check": profile.release_check,
            "key_slots": profile.key_slots,
            "job_slots": profile.job_slots,
            "pool_bytes": profile.pool_pages * wire.PAGE_BYTES,
            "max_message_bytes": wire.MAX_MESSAGE_BYTES,
            "page_bytes": wire.PAGE_BYTES,
            "clock_hz": self.clock_hz,
            "profile": int.from_bytes(profile.name.encode(), "little"),
            "rtl_digest": int.from_bytes(rtl_digest(profile.name), "little"),
            "git_revision": self.git_revision,
        }
        m.d.comb += [self.identity[name].eq(value) for name, value in constants.items()]
        m.d.comb += replier.identity.eq(self.identity)

        counters = Signal(layouts.Counters)
        bad = self.bad_frame | intake.short
        pulses = {
            "frames_good": [intake.good],
            "frames_bad": [self.bad_frame, intake.short],
            "duplicates": [intake.duplicate],
            "refused": [intake.refused, finish.refused],
            "jobs_done": [finish.done],
            "faults": [finish.fault],
        }
        for name, sources in pulses.items():
            pulse = Signal(len(sources), name=f"pulse_{name}")
            m.d.sync += pulse.eq(Cat(sources))
            m.d.sync += counters[name].eq(sum(pulse, counters[name]))
        opened = Signal()
        m.d.sync += opened.eq(intake.opened)
        with m.If(opened):
            for name in ("duplicates", "refused", "jobs_done", "faults"):
                m.d.sync += counters[name].eq(0)
        m.d.comb += replier.counters.eq(counters)

        damaged = Signal.like(replier.reply.payload)
        notice = stream.Signature(damaged.shape()).create()
        with m.If(bad):
            m.d.sync += notice.valid.eq(1)
        with m.Elif(notice.ready):
            m.d.sync += notice.valid.eq(0)
        m.d.comb += [
            notice.payload.tag.eq(intake.last_tag),
            notice.payload.status.eq(Status.BAD_FRAME),
        ]
        merge(m, [notice, finish.reply, intake.reply], replier.reply)
