"""The engine: barrels side by side, each with a share of the job contexts."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect

from ..blockram import BlockRom
from ..field.karatsuba import FLAT, Karatsuba
from .barrel import Barrel
from .contexts import Flags, digest_layout, inbox_layout, outbox_layout
from .isa import INSTRUCTION_BITS, LIMB_BITS, LIMBS
from .issue import start_layout
from .programs import Image
from .table import PORTS, READERS, CombRoms


class Engine(wiring.Component):
    """Runs programs on the job contexts of its :class:`.Barrel` s.

    The first ``jobs / barrels`` contexts are the first barrel's, and so on. Barrels know nothing of
    each other.

    Parameters
    ----------
    image : Image
        Programs, constants and comb tables.
    barrels : int
        At least 1.
    interval, slots, keys : int
    how : Karatsuba
        Of each barrel.
    jobs : int
        Job contexts of all; a power of two for each barrel.

    Members
    -------
    start_<n> : In(stream of {job, key, program}), done_<n> : Out({valid, job, flags})
        Of barrel n; jobs are numbered as in the whole engine.
    inbox, digest, digest_taken, outbox, outbox_taken, outbox_limb, outbox_damaged
        As of :class:`.Barrel`; the job's barrel answers. ``outbox_limb`` is zero when no barrel was
        asked.
    key_read_<n> : Out({key, index, step}), key_word_<n> : In(lanes * LIMB_BITS)
        Read ports of the key store, two clocks later. Secret.
    key_write : Out({enable, key, index, step, data})
        Key words that the first barrel computes when a key is loaded; the others cannot load any,
        see :meth:`is_first`. Secret.
    wipe : In(stream of {job})
        Zeroise a job's context; taken when the job's barrel has no other left to zeroise.
    wiped_<n> : Out(1), wiping_<n> : Out(job)
        Barrel n has zeroised this context, for one clock.
    issued : Out
        Instructions issued in this clock.

    Timing and security: as of :class:`.Barrel`.
    """

    def __init__(
        self,
        image: Image,
        *,
        barrels: int,
        interval: int,
        slots: int,
        jobs: int,
        keys: int,
        how: Karatsuba = FLAT,
    ) -> None:
        self.share = share = jobs // max(barrels, 1)
        if barrels < 1 or share * barrels != jobs or share & (share - 1) or not share:
            raise ValueError(
                f"{jobs} contexts are not a power of two for each of {barrels} barrels"
            )
        self.image, self.jobs = image, jobs
        self.barrels = [
            Barrel(image, interval=interval, slots=slots, jobs=share, keys=keys, how=how)
            for _ in range(barrels)
        ]
        first = self.barrels[0].signature.members
        job = range(jobs)
        members: dict[str, Any] = {
            "inbox": In(inbox_layout(jobs)),
            "digest": In(digest_layout(jobs)),
            "digest_taken": Out(1),
            "outbox": In(outbox_layout(jobs)),
            "outbox_taken": Out(1),
            "outbox_limb": Out(LIMB_BITS),
            "outbox_damaged": Out(1),
            "key_write": first["key_write"],
            "wipe": In(stream.Signature(data.StructLayout({"job": job}))),
            "issued": Out(range(barrels + 1)),
        }
        done = data.StructLayout({"valid": 1, "job": job, "flags": Flags})
        for n in range(barrels):
            members[f"start_{n}"] = In(stream.Signature(start_layout(jobs, keys)))
            members[f"done_{n}"] = Out(done)
            members[f"key_read_{n}"] = first["key_read"]
            members[f"key_word_{n}"] = first["key_word"]
            members[f"wiped_{n}"] = Out(1)
            members[f"wiping_{n}"] = Out(job)
        super().__init__(members)

    @property
    def lanes(self) -> int:
        """Limbs of a word that are read, and written, in a clock."""
        return self.barrels[0].lanes

    def is_first(self, job: Value) -> Value:
        """Whether the first barrel has the job, so that it may load a key."""
        return self._owner(job) == 0

    def following(self, job: Value) -> Value:
        """The job context after this one, the next barrel's; so all contexts, over and over."""
        bits, last = (self.share - 1).bit_length(), len(self.barrels) - 1
        local = job[:bits]
        return Mux(self._owner(job) == last, (local + 1)[:bits], Cat(local, self._owner(job) + 1))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for n, barrel in enumerate(self.barrels):
            m.submodules[f"barrel{n}"] = barrel
            self._jobs(m, n, barrel)
            self._wipe(m, n, barrel)
        self._words(m)
        self._programs(m)
        self._tables(m)
        m.d.comb += [
            self.key_write.eq(self.barrels[0].key_write),
            self.issued.eq(sum(barrel.issued for barrel in self.barrels)),
        ]
        return m

    def _owner(self, job: Value) -> Value:
        """Whose a job is."""
        return job >> (self.share - 1).bit_length()

    def _global(self, job: Value, n: int) -> Value:
        """The number in the whole engine of a job of barrel ``n``."""
        return Cat(job, Value.cast(n)) if self.share > 1 else Value.cast(n)

    def _jobs(self, m: Module, n: int, barrel: Barrel) -> None:
        """A barrel's programs and keys."""
        start, done = getattr(self, f"start_{n}"), getattr(self, f"done_{n}")
        m.d.comb += [
            barrel.start.valid.eq(start.valid),
            *(
                barrel.start.payload[name].eq(start.payload[name])
                for name in ("job", "key", "program")
            ),
            start.ready.eq(barrel.start.ready),
            done.valid.eq(barrel.done.valid),
            done.job.eq(self._global(barrel.done.job, n)),
            done.flags.eq(barrel.done.flags),
            getattr(self, f"key_read_{n}").eq(barrel.key_read),
            barrel.key_word.eq(getattr(self, f"key_word_{n}")),
        ]

    def _wipe(self, m: Module, n: int, barrel: Barrel) -> None:
        """Each barrel keeps the jobs that it is to zeroise, so that none waits for another's."""
        wipe, job = barrel.wipe, self.wipe.payload.job
        local = barrel.wipe.payload.job
        m.submodules[f"wipes{n}"] = queue = SyncFIFOBuffered(width=len(local), depth=self.share)
        is_its = self._owner(job) == n
        with m.If(is_its):
            m.d.comb += self.wipe.ready.eq(queue.w_rdy)
        m.d.comb += [
            queue.w_data.eq(job[: len(local)]),
            queue.w_en.eq(self.wipe.valid & is_its),
            local.eq(queue.r_data),
            wipe.valid.eq(queue.r_rdy),
            queue.r_en.eq(wipe.ready),
            getattr(self, f"wiped_{n}").eq(wipe.valid & wipe.ready),
            getattr(self, f"wiping_{n}").eq(self._global(wipe.payload.job, n)),
        ]

    def _programs(self, m: Module) -> None:
        """Two barrels have a program ROM between them."""
        readers = 2
        for start in range(0, len(self.barrels), readers):
            users = self.barrels[start : start + readers]
            rom = BlockRom(width=INSTRUCTION_BITS, words=self.image.rom, readers=len(users))
            m.submodules[f"programs{start // readers}"] = rom
            for n, barrel in enumerate(users):
                m.d.comb += [
                    getattr(rom, f"en_{n}").eq(barrel.program.en),
                    getattr(rom, f"addr_{n}").eq(barrel.program.addr),
                    barrel.program.op.as_value().eq(getattr(rom, f"word_{n}")),
                ]

    def _tables(self, m: Module) -> None:
        """Four barrels have the comb tables between them, two of them a port."""
        for start in range(0, len(self.barrels), READERS):
            users = self.barrels[start : start + READERS]
            m.submodules[f"combs{start // READERS}"] = roms = CombRoms(
                self.image, self.lanes, len(users)
            )
            for n, barrel in enumerate(users):
                connect(m, barrel.table, getattr(roms, f"reader_{n}"))
            for port in range(PORTS):
                self._share(m, users[port::PORTS])

    def _share(self, m: Module, users: list[Barrel]) -> None:
        """Who of one or two barrels may read the table: an entry takes some clocks, and who had the
        last one lets the other go first. A barrel alone never waits."""
        if len(users) < 2:
            m.d.comb += [barrel.may_read.eq(1) for barrel in users]
            return
        busy, second_first = Signal(range(LIMBS // self.lanes)), Signal()
        first, second = users
        m.d.comb += [
            first.may_read.eq((busy == 0) & ~(second.wants_table & second_first)),
            second.may_read.eq((busy == 0) & ~(first.wants_table & ~second_first)),
        ]
        with m.If(busy != 0):
            m.d.sync += busy.eq(busy - 1)
        for barrel, then in ((first, 1), (second, 0)):
            with m.If(barrel.wants_table & barrel.may_read):
                m.d.sync += [busy.eq(LIMBS // self.lanes - 1), second_first.eq(then)]

    def _words(self, m: Module) -> None:
        """Inboxes, digests and outboxes: the job's barrel is asked, and answers."""
        limbs, damages = [], []
        for n, barrel in enumerate(self.barrels):
            for mine, its in ((self.inbox, barrel.inbox), (self.digest, barrel.digest)):
                m.d.comb += [
                    its[name].eq(mine[name]) for name in its.shape().members if name != "enable"
                ]
                m.d.comb += its.enable.eq(mine.enable & (self._owner(mine.job) == n))
            m.d.comb += [
                barrel.outbox[name].eq(self.outbox[name]) for name in self.outbox.shape().members
            ]
            asks = self._owner(self.outbox.job) == n
            asked, found = Signal(2, name=f"asked{n}"), Signal(name=f"found{n}")
            m.d.sync += [asked.eq(Cat(asks, asked)), found.eq(asked[-1])]
            with m.If(asks):
                m.d.comb += self.outbox_taken.eq(barrel.outbox_taken)
            limbs.append(Mux(asked[-1], barrel.outbox_limb, 0))
            damages.append(found & barrel.outbox_damaged)
        m.d.comb += [
            self.digest_taken.eq(Cat(barrel.digest_taken for barrel in self.barrels).any()),
            self.outbox_limb.eq(reduce(or_, limbs)),
            self.outbox_damaged.eq(reduce(or_, damages)),
        ]
