"""The barrel: slots that each run a straight-line program, one instruction in flight per slot."""

from __future__ import annotations

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ..blockram import BlockRam
from ..field.karatsuba import FLAT, Karatsuba
from ..limbram import steps
from .alu import Alu, Operation, operands_layout
from .contexts import Contexts, Flags, digest_layout, inbox_layout, outbox_layout
from .high import keep_high
from .isa import KEY_WORDS, LIMB_BITS, LIMBS, Dest, Port0, Port2, Port3
from .issue import Issue, start_layout
from .programs import Image
from .stages import Stages
from .table import CombTable, limb_rows, read_signature


def program_signature(image: Image) -> wiring.Signature:
    """A reader of the program ROM: the instruction, :attr:`.BlockRom.latency` clocks after ``en``,
    until another comes."""
    return wiring.Signature({"en": Out(1), "addr": Out(range(len(image.rom))), "op": In(Operation)})


class Barrel(wiring.Component):
    """Runs the programs of an :class:`Image` on job contexts.

    A slot never has two instructions in flight, so there are no hazards; nothing an instruction
    computes decides what is issued, so time depends only on which programs were started when.

    Parameters
    ----------
    image : Image
        Programs, constants and comb tables.
    interval : int
        Clocks per product, see :class:`.alu.Alu`.
    slots, jobs, keys : int
        Issue slots, job contexts, key slots.
    how : Karatsuba
        How products are built.

    Members
    -------
    start : In(stream of {job, key, program})
        Run a program on a job's context. A job runs one program at a time.
    done : Out({valid, job, flags})
        The program has ended, for one clock; limbs of its last word may still be written in the
        next ones. Flags gather over the programs of a job until wiped.
    inbox : In(inbox_layout(jobs))
        Writes a limb of an inbox word; not while the job runs.
    digest : In(digest_layout(jobs)), digest_taken : Out(1)
        A limb of a digest to sign, for outbox word 0; kept up until taken.
    outbox : In(outbox_layout(jobs)), outbox_taken : Out(1)
    outbox_limb : Out(LIMB_BITS), outbox_damaged : Out(1)
        Reads a limb of an outbox word, two clocks after a clock with ``outbox_taken``, and tells
        another clock later whether it was altered since it was stored.
    key_read : Out({key, index, step}), key_word : In(lanes * LIMB_BITS)
        Read port of the key store, two clocks later. Secret.
    key_write : Out({enable, key, index, step, data})
        Limbs of key words computed when a key is loaded. Secret.
    program : Out(program_signature(image))
        Read port of the program ROM.
    table : Out(read_signature(image, lanes))
        Read port of the comb tables, :class:`.table.CombRoms`.
    wants_table : Out(1), may_read : In(1)
        An instruction that reads the table would be issued; it is if it may, and then no other
        reader of the same port may issue one in the ``LIMBS / lanes - 1`` clocks after this one.
    wipe : In(stream of {job})
        Zeroise a job's context; taken when done.
    issued : Out(1)
        An instruction was issued in this clock.

    Timing: a slot alone issues every ``latency`` clocks; together at most one every ``interval``;
    one that reads the table waits until it may.
    Security: registers, inbox, digits, H and key words are secret; idle pipeline stages carry
    zeros.
    """

    def __init__(
        self,
        image: Image,
        *,
        interval: int,
        slots: int,
        jobs: int,
        keys: int,
        how: Karatsuba = FLAT,
    ) -> None:
        self.image, self.interval = image, interval
        self.slots, self.jobs, self.keys = slots, jobs, keys
        self._alu = Alu(interval, image.combs, how)
        bits = self.lanes * LIMB_BITS
        steps = range(LIMBS // self.lanes)
        key_address = {"key": range(keys), "index": range(KEY_WORDS), "step": steps}
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(jobs, keys))),
                "done": Out(data.StructLayout({"valid": 1, "job": range(jobs), "flags": Flags})),
                "inbox": In(inbox_layout(jobs)),
                "digest": In(digest_layout(jobs)),
                "digest_taken": Out(1),
                "outbox": In(outbox_layout(jobs)),
                "outbox_taken": Out(1),
                "outbox_limb": Out(LIMB_BITS),
                "outbox_damaged": Out(1),
                "key_read": Out(data.StructLayout(key_address)),
                "key_word": In(bits),
                "key_write": Out(data.StructLayout({"enable": 1, **key_address, "data": bits})),
                "program": Out(program_signature(image)),
                "table": Out(read_signature(image, self.lanes)),
                "wants_table": Out(1),
                "may_read": In(1),
                "wipe": In(stream.Signature(data.StructLayout({"job": range(jobs)}))),
                "issued": Out(1),
            }
        )

    @property
    def lanes(self) -> int:
        """Limbs of a word that are read, and written, in a clock."""
        return self._alu.lanes

    @property
    def latency(self) -> int:
        """Clocks from one instruction of a lone slot to its next."""
        return self._start + self._alu.latency + 2

    @property
    def _start(self) -> int:
        """Clocks from issue to the ALU's start: ROM and its register; the digit word, as long as it
        passes; the digit and the comb table or, at the same time, other words, a choice among them
        and a register on their way."""
        return 9 + LIMBS // self.lanes

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.alu = alu = self._alu
        m.submodules.issue = issue = Issue(
            self.image.entry_points,
            self.image.begin_with_table,
            rom_depth=len(self.image.rom),
            interval=self.interval,
            slots=self.slots,
            jobs=self.jobs,
            keys=self.keys,
        )
        m.submodules.contexts = contexts = Contexts(self.jobs, self.lanes)
        connect(m, flipped(self.start), issue.start)
        connect(m, flipped(self.wipe), contexts.wipe)
        m.d.comb += [
            contexts.inbox.eq(self.inbox),
            contexts.digest.eq(self.digest),
            self.digest_taken.eq(contexts.digest_taken),
            contexts.outbox.eq(self.outbox),
            self.outbox_taken.eq(contexts.outbox_taken),
            self.outbox_limb.eq(contexts.outbox_limb),
            self.outbox_damaged.eq(contexts.outbox_damaged),
            self.issued.eq(issue.valid),
            self.wants_table.eq(issue.wants_table),
            issue.may_read.eq(self.may_read),
        ]
        retire = self._start + self._alu.latency
        self._stages = Stages(m, issue, self.slots, retire + LIMBS // self.lanes)
        fetched = self._fetch(m, issue, contexts)
        op = self._read(m, fetched, contexts)
        start = self._start
        m.d.comb += [
            alu.start.eq(self._stages.valid[start]),
            alu.op.eq(self._stages.held("op", op, start, self.interval)),
        ]
        self._late(m, fetched, issue, contexts)
        return m

    def _fetch(self, m: Module, issue: Issue, contexts: Contexts) -> data.View:
        """Instruction, job and key at stage 2, until others come; the digit word is asked for."""
        owner = data.StructLayout({"job": range(self.jobs), "key": range(self.keys)})
        issued, fetched = Signal(owner, name="issued_by"), Signal(owner, name="fetched_by")
        m.d.comb += [
            self.program.en.eq(issue.valid),
            self.program.addr.eq(issue.counter),
            contexts.digits_valid.eq(self._stages.valid[1]),
            contexts.digits_job.eq(issued.job),
        ]
        with m.If(self._stages.valid[0]):
            m.d.sync += [issued.job.eq(issue.job), issued.key.eq(issue.key)]
        with m.If(self._stages.valid[1]):
            m.d.sync += fetched.eq(issued)
        record = Signal(data.StructLayout({"op": Operation, **owner.members}), name="fetched")
        m.d.comb += record.eq(Cat(self.program.op, fetched))
        return record

    def _read(self, m: Module, fetched: data.View, contexts: Contexts) -> data.View:
        """Addresses at the fourth stage before the ALU's start, words two later, chosen words and
        table entry at the start. Returns the instruction at the last stage before it.

        What is chosen is zero but for the clocks in which a word's limbs pass.
        """
        first, valid = self._start - 4, self._stages.valid
        reading, step = steps(m, valid[first], self.lanes)
        waiting, born, last = fetched, 2, self.interval - 1
        while born + last < first - 1:
            earlier, waiting = waiting, Signal(fetched.shape(), name=f"waiting{born}")
            with m.If(valid[born + last]):
                m.d.sync += waiting.eq(earlier)
            born += self.interval
        address = Signal(fetched.shape(), name="reading")
        with m.If(valid[first - 1]):
            m.d.sync += address.eq(waiting)
        ops = [Signal(Operation, name=name) for name in ("following", "chosen", "last")]
        passing = Signal(2)
        m.d.sync += [
            *(later.eq(op) for op, later in pairwise([address.op, *ops])),
            passing.eq(Cat(reading, passing)),
        ]
        op = address.op
        index = Mux(op.port0 == Port0.CONSTANT, op.p0, op.p3)
        constants = [self._constant(m, Cat(step, at), i) for i, at in ((0, index), (2, op.p2))]
        m.d.comb += [
            contexts.read_valid.eq(valid[first]),
            contexts.read_op.eq(op),
            contexts.read_job.eq(address.job),
            self.key_read.key.eq(address.key),
            self.key_read.index.eq(op.p2),
            self.key_read.step.eq(step),
        ]
        self._choose(m, ops[1], passing[1], contexts.words, constants)
        self._look_up(m, fetched, contexts)
        return ops[2]

    def _constant(self, m: Module, address: Value, port: int) -> Value:
        """A constant's limbs, two clocks after their address."""
        words = limb_rows(self.image.constants, self.lanes)
        m.submodules[f"constants{port}"] = memory = BlockRam(
            shape=self.lanes * LIMB_BITS, depth=len(words), init=words, registered=True
        )
        m.d.comb += memory.read_addr.eq(address)
        return memory.read

    def _choose(
        self, m: Module, chosen: data.View, passing: Value, words: data.View, constants: list[Value]
    ) -> None:
        """Registers of the chosen words, and others halfway to the ALU."""
        operands = Signal(operands_layout(self.lanes))
        p0 = {
            Port0.REGISTER: words.register0,
            Port0.INBOX: words.inbox,
            Port0.CONSTANT: constants[0],
            Port0.OUTBOX: words.outbox,
        }
        p2 = {
            Port2.REGISTER: words.register2,
            Port2.KEY: self.key_word,
            Port2.CONSTANT: constants[1],
            Port2.DIGITS: words.digits,
        }
        with m.If(passing):
            for select, target, sources in ((chosen.port0, "p0", p0), (chosen.port2, "p2", p2)):
                with m.Switch(select):
                    for source, word in sources.items():
                        with m.Case(source):
                            m.d.sync += operands[target].eq(word)
            from_rom = chosen.port3 == Port3.CONSTANT
            m.d.sync += [
                operands.p1.eq(words.register1),
                operands.p3.eq(Mux(from_rom, constants[0], words.register3)),
                operands.neg.eq(words.flags.neg),
            ]
        with m.Else():
            m.d.sync += operands.eq(0)
        names = ("p0", "p1", "p2", "p3", "neg")
        arrived = {name: Signal.like(operands[name], name=f"arrived_{name}") for name in names}
        for name, word in arrived.items():
            m.d.sync += word.eq(operands[name])
            m.d.comb += self._alu.operands[name].eq(word)

    def _look_up(self, m: Module, fetched: data.View, contexts: Contexts) -> None:
        """The field of a comb table's entry, for the ALU's start."""
        m.submodules.table = table = CombTable(self.image, self.lanes)
        connect(m, table.read, flipped(self.table))
        arrives = 3
        assert arrives + table.latency == self._start
        wanted = Signal(Operation, name="wanted")
        m.d.sync += wanted.eq(fetched.op)
        operands = self._alu.operands
        m.d.comb += [
            table.start.eq(self._stages.valid[arrives]),
            table.digits.eq(contexts.early_digits),
            table.b.eq(wanted.b),
            table.window.eq(wanted.window),
            operands.field.eq(table.field),
            operands.negative.eq(table.negative),
        ]

    def _late(self, m: Module, fetched: data.View, issue: Issue, contexts: Contexts) -> None:
        """The second half of an instruction: its sum takes H, its result is written."""
        alu, count = self._alu, LIMBS // self.lanes
        valid, slot = self._stages.valid, self._stages.slot
        late, keep, retire = (self._start + at for at in (alu.late, alu.high_at, alu.latency))

        names = ("add_high", "out", "canonical", "curve", "write", "rd", "dest", "index", "check")
        names += ("end", "ahead")
        layout = data.StructLayout(
            {name: Operation[name].shape for name in names}
            | {name: fetched.shape()[name].shape for name in ("job", "key")}
        )
        note = Signal(layout, name="note")
        m.d.comb += [note[name].eq(fetched.op[name]) for name in names]
        m.d.comb += [note.job.eq(fetched.job), note.key.eq(fetched.key)]

        def look_up(name: str, stage: int, clocks: int) -> tuple[data.View, data.View]:
            """The instruction that is at ``stage``, as far as noted, and its note; zero if none."""
            m.submodules[name] = store = Memory(shape=layout, depth=self.slots, init=[])
            write, read = store.write_port(), store.read_port()
            m.d.comb += [
                write.addr.eq(slot[2]),
                write.en.eq(valid[2]),
                write.data.eq(note),
                read.addr.eq(slot[stage - 2]),
            ]
            noted, op = self._stages.held(name, read.data, stage, clocks), Signal(Operation)
            m.d.comb += [op[field].eq(noted[field]) for field in names]
            return op, noted

        late_op, _ = look_up("late", late, self.interval)
        kept_op, noted = look_up("kept", keep, count)
        retiring_op, retiring = look_up("retiring", retire, count)
        high_altered = keep_high(m, alu, self._stages, late_op, kept_op, (late, keep, retire))
        altered = [contexts.altered]
        for i in range(retire - keep - 1):
            altered.append(Signal(name=f"altered{i}"))
            m.d.sync += altered[-1].eq(altered[-2])
        writing, step = steps(m, valid[retire], self.lanes)
        m.d.comb += [
            alu.late_op.eq(late_op),
            issue.retire_valid.eq(valid[retire]),
            issue.retire_slot.eq(slot[retire]),
            issue.retire_end.eq(retiring.end),
            issue.retire_ahead.eq(retiring.ahead),
            contexts.write_soon.eq(valid[retire - 1]),
            contexts.write_valid.eq(valid[retire]),
            contexts.write_op.eq(retiring_op),
            contexts.write_job.eq(retiring.job),
            contexts.write_word.eq(alu.result),
            contexts.write_zero.eq(alu.zero),
            contexts.altered_job.eq(noted.job),
            contexts.write_altered.eq(altered[-1] | high_altered),
            self.key_write.enable.eq(writing & (retiring.dest == Dest.KEY)),
            self.key_write.key.eq(retiring.key),
            self.key_write.index.eq(retiring.index),
            self.key_write.step.eq(step),
            self.key_write.data.eq(alu.result),
            self.done.valid.eq(valid[retire] & retiring.end),
            self.done.job.eq(retiring.job),
            self.done.flags.eq(contexts.flags),
        ]
