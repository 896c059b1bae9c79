"""Job contexts: registers, inbox, outbox, comb digits and flags of every job."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..limbram import LimbRam, place, steps
from .alu import Operation
from .isa import INBOX_WORDS, LIMB_BITS, LIMBS, OUTBOX_WORDS, REGISTERS, Check, Dest, Port0

Flags = data.StructLayout({"fault": 1, "odd": 1, "neg": 1, "over": 1})
"""A job's flags; the recovery id is ``odd ^ neg | over << 1``."""

DIGITS_EARLY = 4
"""How many clocks more than a word has there are between an instruction's two addresses."""


def words_layout(lanes: int) -> data.StructLayout:
    """``lanes`` limbs of each word that is read for an instruction, and the job's flags."""
    names = (*(f"register{i}" for i in range(4)), "inbox", "outbox", "digits")
    return data.StructLayout({**dict.fromkeys(names, lanes * LIMB_BITS), "flags": Flags})


class Contexts(wiring.Component):
    """Memories of the job contexts. Words are read and written ``lanes`` limbs a clock.

    Members
    -------
    read_valid : In(1), read_op : In(Operation), read_job : In, words : Out(words_layout(lanes))
        Addresses of an instruction, held while its words pass; their first limbs two clocks later.
    digits_valid : In(1), digits_job : In, early_digits : Out(lanes * LIMB_BITS)
        The same for the job's digit word, as many clocks before as a word passes in, and
        :data:`DIGITS_EARLY`.
    write_soon : In(1)
        ``write_valid``, a clock before.
    write_valid : In(1), write_op, write_job : In, write_word : In(lanes * LIMB_BITS)
        A retiring instruction, and its result from here on.
    write_zero, write_altered : In(1)
        Whether its result is zero, and whether its job was damaged; looked at with ``write_valid``.
    altered_job : In, altered : Out(1)
        Whether a job has read a damaged limb, one clock later: for ``write_altered``, to be asked
        when the instruction's last limbs have been read for five clocks.
    inbox : In(inbox_layout(jobs))
        Written by lanes and inverter, two clocks later. A clock with a retiring instruction is as
        good as any other.
    digest : In(digest_layout(jobs)), digest_taken : Out(1)
        A limb of a digest to sign, for outbox word 0; kept up until taken.
    outbox : In(outbox_layout(jobs)), outbox_taken : Out(1), outbox_limb : Out(LIMB_BITS),
    outbox_damaged : Out(1)
        Read by stations, two clocks after a clock with ``outbox_taken``, in which no instruction
        reads an outbox. ``outbox_damaged``, another clock later: not the limb that was stored.
    flags : Out(Flags)
        Flags of the job whose instruction retires in this clock, after it; combinational.
    wipe : In(stream of {job})
        Zeroise a job's context in clocks in which nothing else is written; taken when done.

    Security: all but the outbox and the flags is secret. Each limb is stored with its check bits; a
    job that reads a limb altered since is faulted until it is wiped.
    """

    def __init__(self, jobs: int, lanes: int) -> None:
        self.jobs, self.lanes = jobs, lanes
        job, bits = range(jobs), lanes * LIMB_BITS
        super().__init__(
            {
                "read_valid": In(1),
                "read_op": In(Operation),
                "read_job": In(job),
                "digits_valid": In(1),
                "digits_job": In(job),
                "early_digits": Out(bits),
                "words": Out(words_layout(lanes)),
                "write_soon": In(1),
                "write_valid": In(1),
                "write_op": In(Operation),
                "write_job": In(job),
                "write_word": In(bits),
                "write_zero": In(1),
                "write_altered": In(1),
                "altered_job": In(job),
                "altered": Out(1),
                "inbox": In(inbox_layout(jobs)),
                "digest": In(digest_layout(jobs)),
                "digest_taken": Out(1),
                "outbox": In(outbox_layout(jobs)),
                "outbox_taken": Out(1),
                "outbox_limb": Out(LIMB_BITS),
                "outbox_damaged": Out(1),
                "flags": Out(Flags),
                "wipe": In(stream.Signature(data.StructLayout({"job": job}))),
            }
        )

    @property
    def wipe_clocks(self) -> int:
        """Clocks that zeroising a context takes."""
        return REGISTERS * LIMBS // self.lanes

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._reading, read_step = steps(m, self.read_valid, self.lanes)
        self._writing, write_step = steps(m, self.write_valid, self.lanes)
        self._wiping, wipe_step = Signal(), Signal(range(self.wipe_clocks))
        self._wipe(m, wipe_step, self._writing & (write_step != LIMBS // self.lanes - 1))
        self._job, self._word = Signal(range(self.jobs)), Signal(self.lanes * LIMB_BITS)
        m.d.comb += self._job.eq(Mux(self._wiping, self.wipe.payload.job, self.write_job))
        with m.If(self._writing):
            m.d.comb += self._word.eq(self.write_word)

        def read_at(index: Value, words: int) -> Value:
            return _at(read_step, index, words, self.read_job)

        def write_at(index: Value, words: int) -> Value:
            step = wipe_step[: ceil_log2(words * LIMBS // self.lanes)]
            wiped = Cat(step, self._job)
            return Mux(self._wiping, wiped, _at(write_step, index, words, self._job))

        retire = self.write_op
        differs: list[Value] = []
        addresses = (self.read_op.p0, self.read_op.p1, self.read_op.p2, self.read_op.p3)
        for i, address in enumerate(addresses):
            store = self._memory(m, f"registers{i}", REGISTERS)
            differs.append(store.differs)
            m.d.comb += [
                store.read_addr.eq(read_at(address, REGISTERS)),
                self.words[f"register{i}"].eq(store.read),
                store.write.addr.eq(write_at(retire.rd, REGISTERS)),
                store.write.en.eq(self._all(self._wiping | (self._writing & retire.write))),
            ]
        self._digits(m, self._memory(m, "digit_words", 1), write_at(C(0, 0), 1), differs)
        store = self._memory(m, "outbox_words", OUTBOX_WORDS)
        at = write_at(retire.index, OUTBOX_WORDS)
        self._outbox(m, store, read_at(self.read_op.p0, OUTBOX_WORDS), at, differs)
        store = self._memory(m, "inbox_words", INBOX_WORDS)
        self._inbox(m, store, read_at(self.read_op.p0, INBOX_WORDS), write_at(C(0), INBOX_WORDS))
        differs.append(store.differs)
        self._flags(m, Cat(differs))
        return m

    def _memory(self, m: Module, name: str, words: int) -> LimbRam:
        m.submodules[name] = store = LimbRam(
            self.jobs * words, lanes=self.lanes, registered=True, late=True
        )
        m.d.comb += store.write.data.eq(self._word)
        return store

    def _all(self, enable: Value) -> Value:
        return enable.replicate(self.lanes)

    def _wipe(self, m: Module, step: Signal, goes_on: Value) -> None:
        """When a word of each memory is zeroised; ``goes_on``: a result's limbs still come."""
        ends = self._wiping & (step == self.wipe_clocks - 1)
        m.d.comb += self.wipe.ready.eq(ends)
        m.d.sync += self._wiping.eq(
            self.wipe.valid & ~ends & ~self.write_soon & ~goes_on & ~self.inbox.enable
        )
        with m.If(self._wiping):
            m.d.sync += step.eq(step + 1)

    def _digits(self, m: Module, store: LimbRam, write_at: Value, differs: list[Value]) -> None:
        """The digit word is read early, for the comb table, and waits to be an operand."""
        _, step = steps(m, self.digits_valid, self.lanes)
        late = Cat(store.read, store.differs)
        for i in range(LIMBS // self.lanes + DIGITS_EARLY):
            earlier, late = late, Signal(len(late), name=f"digits{i}")
            m.d.sync += late.eq(earlier)
        differs.append(late[len(store.read) :])
        writes = self._writing & (self.write_op.dest == Dest.DIGITS)
        m.d.comb += [
            self.early_digits.eq(store.read),
            store.read_addr.eq(Cat(step, self.digits_job)),
            self.words.digits.eq(late),
            store.write.addr.eq(write_at),
            store.write.en.eq(self._all(self._wiping | writes)),
        ]

    def _outbox(
        self, m: Module, store: LimbRam, read_at: Value, write_at: Value, differs: list[Value]
    ) -> None:
        """One memory for the programs and, in clocks in which they leave it alone, the stations."""
        reads, read = Signal(), Signal(2)
        digest = Signal(self.digest.shape(), name="written_digest")
        limb, altered = store.limb(m, self.outbox.limb)
        writes = self._wiping | (self._writing & (self.write_op.dest == Dest.OUTBOX))
        _, step = place(self.outbox.limb, self.lanes)
        asked = _at(step, self.outbox.index, OUTBOX_WORDS, self.outbox.job)
        m.d.comb += [
            reads.eq(self._reading & (self.read_op.port0 == Port0.OUTBOX)),
            self.outbox_taken.eq(~reads),
            store.read_addr.eq(Mux(reads, read_at, asked)),
            self.words.outbox.eq(store.read),
            self.outbox_limb.eq(limb),
            self.digest_taken.eq(digest.enable & ~writes),
            store.write.en.eq(self._all(writes)),
            store.write.addr.eq(write_at),
        ]
        m.d.sync += [read.eq(Cat(reads, read)), self.outbox_damaged.eq(altered.any())]
        differs.append(store.differs & read[1].replicate(len(store.differs)))
        m.d.sync += digest.eq(0)
        with m.If(self.digest.enable & ~self.digest_taken):
            m.d.sync += digest.eq(self.digest)
        lane, step = place(digest.limb, self.lanes)
        with m.If(~writes):
            m.d.comb += [
                store.write.addr.eq(_at(step, C(0, 1), OUTBOX_WORDS, digest.job)),
                store.write.data.eq(digest.data.replicate(self.lanes)),
                store.write.en.eq(lane & self._all(digest.enable)),
            ]

    def _inbox(self, m: Module, store: LimbRam, read_at: Value, wipe_at: Value) -> None:
        inbox = Signal(self.inbox.shape())
        m.d.sync += inbox.eq(0)
        with m.If(self.inbox.enable):
            m.d.sync += inbox.eq(self.inbox)
        lane, step = place(inbox.limb, self.lanes)
        m.d.comb += [
            store.read_addr.eq(read_at),
            self.words.inbox.eq(store.read),
            store.write.addr.eq(wipe_at),
            store.write.en.eq(self._all(self._wiping)),
            store.write.data.eq(inbox.data.replicate(self.lanes)),
        ]
        with m.If(inbox.enable):
            m.d.comb += [
                store.write.addr.eq(_at(step, inbox.index, INBOX_WORDS, inbox.job)),
                store.write.en.eq(lane),
            ]

    def _flags(self, m: Module, differences: Value) -> None:
        """Flags of the instruction being read, and of the job whose instruction retires.

        A damaged limb faults its job, whether the instruction wanted it or not.
        """
        wiping = self._wiping
        altered, found = Signal(self.jobs), Signal.like(differences)
        valid, readers = Signal(3), [Signal(range(self.jobs), name=f"reader{i}") for i in range(4)]
        damaged, flags = Signal(), Signal(Flags)
        m.d.sync += [
            valid.eq(Cat(self._reading, valid)),
            found.eq(differences),
            damaged.eq(valid[-1] & found.any()),
            readers[0].eq(self.read_job),
            *(later.eq(reader) for reader, later in pairwise(readers)),
        ]
        m.d.sync += self.altered.eq(altered.bit_select(self.altered_job, 1))
        with m.If(damaged):
            m.d.sync += altered.bit_select(readers[-1], 1).eq(1)
        with m.If(wiping):
            m.d.sync += altered.bit_select(self.wipe.payload.job, 1).eq(0)
        fault = Signal()
        m.submodules.flag_words = store = Memory(shape=Flags, depth=self.jobs, init=[])
        read, before, write = store.read_port(), store.read_port(domain="comb"), store.write_port()
        m.d.sync += flags.eq(read.data)
        m.d.comb += [
            read.addr.eq(self.read_job),
            self.words.flags.eq(flags),
            before.addr.eq(self.write_job),
            fault.eq(before.data.fault | self.write_altered),
            self.flags.eq(before.data),
            self.flags.fault.eq(fault),
            write.addr.eq(self._job),
            write.en.eq(wiping | self.write_valid),
        ]
        zero, bit = self.write_zero, self.write_word[0]
        with m.If(self.write_valid):
            m.d.comb += write.data.eq(self.flags)
            with m.Switch(self.write_op.check):
                with m.Case(Check.ZERO):
                    m.d.comb += self.flags.fault.eq(fault | ~zero)
                with m.Case(Check.NONZERO):
                    m.d.comb += self.flags.fault.eq(fault | zero)
                with m.Case(Check.PARITY):
                    m.d.comb += self.flags.odd.eq(bit)
                with m.Case(Check.NEGATE):
                    m.d.comb += self.flags.neg.eq(bit)
                with m.Case(Check.OVERFLOW):
                    m.d.comb += self.flags.over.eq(~zero)


def _at(step: Value, index: Value, words: int, owner: Value) -> Cat:
    """Address of limbs of a job's word."""
    bits = ceil_log2(words)
    return Cat(step, index[:bits], C(0, bits - len(index[:bits])), owner)


def digest_layout(jobs: int) -> data.StructLayout:
    """A limb of a digest to sign."""
    return data.StructLayout(
        {"enable": 1, "job": range(jobs), "limb": range(LIMBS), "data": LIMB_BITS}
    )


def inbox_layout(jobs: int) -> data.StructLayout:
    """A write of a limb to a job's inbox."""
    word = {"job": range(jobs), "index": range(INBOX_WORDS)}
    return data.StructLayout({"enable": 1, **word, "limb": range(LIMBS), "data": LIMB_BITS})


def outbox_layout(jobs: int) -> data.StructLayout:
    """Address of a limb of an outbox word."""
    return data.StructLayout(
        {"job": range(jobs), "index": range(OUTBOX_WORDS), "limb": range(LIMBS)}
    )
