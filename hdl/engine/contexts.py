"""Job contexts: registers, inbox, outbox, comb digits and flags of every job."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from ..blockram import BlockRam
from ..guard import GUARD_BITS, Guarded, difference, guard
from .alu import Operation
from .isa import INBOX_WORDS, OUTBOX_WORDS, REGISTERS, WORD_BITS, Check, Dest, Port0

Flags = data.StructLayout({"fault": 1, "odd": 1, "neg": 1, "over": 1})
"""A job's flags; the recovery id is ``odd ^ neg | over << 1``."""

Words = data.StructLayout(
    {
        **{f"register{i}": WORD_BITS for i in range(4)},
        "inbox": WORD_BITS,
        "outbox": WORD_BITS,
        "digits": WORD_BITS,
        "flags": Flags,
    }
)
"""What is read for an instruction, two clocks after its addresses."""


Stored = Guarded(WORD_BITS)
"""A word as it is stored."""


class Contexts(wiring.Component):
    """Memories of the job contexts.

    Members
    -------
    read_valid : In(1), read_op : In(Operation), read_job : In, words : Out(Words)
        Addresses of an instruction; its words two clocks later.
    digits_job : In, early_digits : Out
        ``read_job``, two clocks before; the digits with their check bits, two clocks later.
    write_soon : In(1)
        ``write_valid``, a clock before.
    write_valid, write_op, write_job, write_word, write_zero, write_altered : In
        A retiring instruction, its result, whether that is zero, and whether its job was damaged.
    altered_job : In, altered : Out(1)
        Whether a job has read a damaged word, one clock later: for ``write_altered``, to be asked
        when the instruction has been read for five clocks.
    inbox : In({enable, job, index, word})
        Written by lanes and inverter, a clock later. A clock with a retiring instruction is as good
        as any other.
    digest : In({enable, job, word}), digest_taken : Out(1)
        A digest to sign, for outbox word 0; kept up until taken.
    outbox : In({job, index}), outbox_taken : Out(1), outbox_word : Out, outbox_damaged : Out(1)
        Read by stations, two clocks after a clock with ``outbox_taken``, in which no instruction
        reads an outbox. ``outbox_damaged``, another clock later: not the word that was stored.
    flags_job : In, flags : Out(Flags)
        Flags of a job after this clock's retiring instruction; combinational.
    wipe : In(stream of {job})
        Zeroise a job's context in clocks in which nothing else is written; taken when done.

    Security: all but the outbox and the flags is secret. Each word is stored with :func:`guard`; a
    job that reads a word altered since is faulted until it is wiped.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        job = range(jobs)
        super().__init__(
            {
                "read_valid": In(1),
                "read_op": In(Operation),
                "read_job": In(job),
                "digits_job": In(job),
                "early_digits": Out(Stored),
                "words": Out(Words),
                "write_soon": In(1),
                "write_valid": In(1),
                "write_op": In(Operation),
                "write_job": In(job),
                "write_word": In(WORD_BITS),
                "write_zero": In(1),
                "write_altered": In(1),
                "altered_job": In(job),
                "altered": Out(1),
                "inbox": In(inbox_layout(jobs)),
                "digest": In(digest_layout(jobs)),
                "digest_taken": Out(1),
                "outbox": In(outbox_layout(jobs)),
                "outbox_taken": Out(1),
                "outbox_word": Out(WORD_BITS),
                "outbox_damaged": Out(1),
                "flags": Out(Flags),
                "wipe": In(stream.Signature(data.StructLayout({"job": job}))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        retire = self.write_op
        wiping, step = Signal(), Signal(range(REGISTERS))
        inbox = Signal(self.inbox.shape())
        m.d.sync += inbox.eq(0)
        with m.If(self.inbox.enable):
            m.d.sync += inbox.eq(self.inbox)
        m.d.comb += self.wipe.ready.eq(wiping & (step == REGISTERS - 1))
        m.d.sync += wiping.eq(
            self.wipe.valid & ~self.wipe.ready & ~self.write_soon & ~self.inbox.enable
        )
        with m.If(wiping):
            m.d.sync += step.eq(step + 1)
        job = Signal(range(self.jobs))
        word = Signal(WORD_BITS)
        stored = Signal(Stored)
        m.d.comb += [stored.word.eq(word), stored.guard.eq(guard(word))]
        m.d.comb += job.eq(Mux(wiping, self.wipe.payload.job, self.write_job))
        with m.If(self.write_valid):
            m.d.comb += word.eq(self.write_word)
        altered: list[Value] = []

        def memory(name: str, words: int) -> BlockRam:
            m.submodules[name] = store = BlockRam(
                shape=Stored, depth=self.jobs * words, registered=True
            )
            m.d.comb += store.write.data.eq(stored)
            return store

        addresses = (self.read_op.p0, self.read_op.p1, self.read_op.p2, self.read_op.p3)
        for i, address in enumerate(addresses):
            store = memory(f"registers{i}", REGISTERS)
            altered.append(difference(store.read))
            m.d.comb += [
                store.read_addr.eq(_at(address, REGISTERS, self.read_job)),
                self.words[f"register{i}"].eq(store.read.word),
                store.write.addr.eq(_at(Mux(wiping, step, retire.rd), REGISTERS, job)),
                store.write.en.eq(wiping | (self.write_valid & retire.write)),
            ]

        store, digits = (
            memory("digit_words", 1),
            [Signal(Stored, name=f"digits{i}") for i in (0, 1)],
        )
        altered.append(difference(digits[1]))
        m.d.sync += [digits[0].eq(self.early_digits), digits[1].eq(digits[0])]
        m.d.comb += [
            self.early_digits.eq(store.read),
            store.read_addr.eq(self.digits_job),
            self.words.digits.eq(digits[1].word),
            store.write.addr.eq(job),
            store.write.en.eq(wiping | (self.write_valid & (retire.dest == Dest.DIGITS))),
        ]

        self._outbox(m, memory("outbox_words", OUTBOX_WORDS), wiping, step, job, altered)

        store = memory("inbox_words", INBOX_WORDS)
        altered.append(difference(store.read))
        m.d.comb += [
            store.read_addr.eq(_at(self.read_op.p0, INBOX_WORDS, self.read_job)),
            self.words.inbox.eq(store.read.word),
            store.write.addr.eq(_at(step, INBOX_WORDS, self.wipe.payload.job)),
            store.write.en.eq(wiping | inbox.enable),
            store.write.data.word.eq(inbox.word),
            store.write.data.guard.eq(guard(inbox.word)),
        ]
        with m.If(inbox.enable):
            m.d.comb += store.write.addr.eq(_at(inbox.index, INBOX_WORDS, inbox.job))
        self._flags(m, wiping, job, Cat(altered))
        return m

    def _outbox(
        self,
        m: Module,
        store: BlockRam,
        wiping: Signal,
        step: Signal,
        job: Signal,
        altered: list[Value],
    ) -> None:
        """One memory for the programs and, in clocks in which they leave it alone, the stations."""
        retire, reads, read = self.write_op, Signal(), Signal(2)
        differs = Signal(GUARD_BITS)
        writes = wiping | (self.write_valid & (retire.dest == Dest.OUTBOX))
        m.d.comb += [
            reads.eq(self.read_valid & (self.read_op.port0 == Port0.OUTBOX)),
            self.outbox_taken.eq(~reads),
            store.read_addr.eq(_at(self.outbox.index, OUTBOX_WORDS, self.outbox.job)),
            self.words.outbox.eq(store.read.word),
            self.outbox_word.eq(store.read.word),
            self.outbox_damaged.eq(differs.any()),
            self.digest_taken.eq(~writes),
            store.write.en.eq(writes | self.digest.enable),
            store.write.addr.eq(_at(Mux(wiping, step, retire.index), OUTBOX_WORDS, job)),
        ]
        m.d.sync += [read.eq(Cat(reads, read)), differs.eq(difference(store.read))]
        altered.append(difference(store.read) & read[1].replicate(GUARD_BITS))
        with m.If(reads):
            m.d.comb += store.read_addr.eq(_at(self.read_op.p0, OUTBOX_WORDS, self.read_job))
        with m.If(~writes):
            m.d.comb += [
                store.write.addr.eq(_at(C(0, 1), OUTBOX_WORDS, self.digest.job)),
                store.write.data.word.eq(self.digest.word),
                store.write.data.guard.eq(guard(self.digest.word)),
            ]

    def _flags(self, m: Module, wiping: Signal, job: Signal, differences: Value) -> None:
        """Flags of the instruction being read, and of the job whose instruction retires.

        A damaged word faults its job, whether the instruction wanted it or not.
        """
        altered, found = Signal(self.jobs), Signal.like(differences)
        valid, readers = Signal(3), [Signal(range(self.jobs), name=f"reader{i}") for i in range(4)]
        damaged, flags = Signal(), Signal(Flags)
        m.d.sync += [
            valid.eq(Cat(self.read_valid, valid)),
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
            write.addr.eq(job),
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


def _at(index: Value, words: int, owner: Value) -> Cat:
    """Address of a job's word."""
    bits = ceil_log2(words)
    return Cat(index[:bits], C(0, bits - len(index[:bits])), owner)


def digest_layout(jobs: int) -> data.StructLayout:
    """A digest to sign."""
    return data.StructLayout({"enable": 1, "job": range(jobs), "word": 256})


def inbox_layout(jobs: int) -> data.StructLayout:
    """A write to a job's inbox."""
    return data.StructLayout(
        {"enable": 1, "job": range(jobs), "index": range(INBOX_WORDS), "word": WORD_BITS}
    )


def outbox_layout(jobs: int) -> data.StructLayout:
    """Address of an outbox word."""
    return data.StructLayout({"job": range(jobs), "index": range(OUTBOX_WORDS)})
