"""The barrel: slots that each run a straight-line program, one instruction in flight per slot."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ..blockram import BlockRam
from ..guard import GUARD_BITS, difference, guarded
from .alu import Alu, Operands, Operation
from .contexts import Contexts, Flags, Stored, digest_layout, inbox_layout, outbox_layout
from .isa import KEY_WORDS, WORD_BITS, Dest, Port0, Port2, Port3
from .isa import B as SecondFactor
from .isa import Out as Output
from .issue import Issue, start_layout
from .pipelined import PipelinedAlu
from .programs import Image
from .table import CombTable

FETCH = 5
"""Clocks from issue to the ALU's start: ROM and its register, memories and theirs, a choice."""


class Barrel(wiring.Component):
    """Runs the programs of an :class:`Image` on job contexts.

    A slot never has two instructions in flight, so there are no hazards; nothing an instruction
    computes decides what is issued, so time depends only on which programs were started when.

    Parameters
    ----------
    image : Image
        Programs, constants and comb tables.
    interval : int
        Clocks per product.
    slots, jobs, keys : int
        Issue slots, job contexts, key slots.

    Members
    -------
    start : In(stream of {job, key, program})
        Run a program on a job's context. A job runs one program at a time.
    done : Out({valid, job, flags})
        The program has ended, for one clock. Flags gather over the programs of a job until wiped.
    inbox : In({enable, job, index, word})
        Writes an inbox word; not while the job runs.
    digest : In({enable, job, word}), digest_taken : Out(1)
        A digest to sign, for outbox word 0; kept up until taken.
    outbox : In({job, index}), outbox_taken : Out(1)
    outbox_word : Out(WORD_BITS), outbox_damaged : Out(1)
        Reads an outbox word, one clock after a clock with ``outbox_taken``, and tells whether it
        was altered since it was stored.
    key_read : Out({key, index}), key_word : In(WORD_BITS)
        Read port of the key store, one clock later. Secret.
    key_write : Out({enable, key, index, word})
        Key words computed when a key is loaded. Secret.
    wipe : In(stream of {job})
        Zeroise a job's context; taken when done.
    issued : Out(1)
        An instruction was issued in this clock.

    Timing: a slot alone issues every ``latency`` clocks; together at most one every ``interval``.
    Security: registers, inbox, digits, H and key words are secret; idle pipeline stages carry
    zeros.
    """

    def __init__(self, image: Image, *, interval: int, slots: int, jobs: int, keys: int) -> None:
        self.image, self.interval = image, interval
        self.slots, self.jobs, self.keys = slots, jobs, keys
        key_address = {"key": range(keys), "index": range(KEY_WORDS)}
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(jobs, keys))),
                "done": Out(data.StructLayout({"valid": 1, "job": range(jobs), "flags": Flags})),
                "inbox": In(inbox_layout(jobs)),
                "digest": In(digest_layout(jobs)),
                "digest_taken": Out(1),
                "outbox": In(outbox_layout(jobs)),
                "outbox_taken": Out(1),
                "outbox_word": Out(WORD_BITS),
                "outbox_damaged": Out(1),
                "key_read": Out(data.StructLayout(key_address)),
                "key_word": In(WORD_BITS),
                "key_write": Out(
                    data.StructLayout({"enable": 1, **key_address, "word": WORD_BITS})
                ),
                "wipe": In(stream.Signature(data.StructLayout({"job": range(jobs)}))),
                "issued": Out(1),
            }
        )
        self._alu = PipelinedAlu(image.combs) if interval == 1 else Alu(interval, image.combs)

    @property
    def latency(self) -> int:
        """Clocks from one instruction of a lone slot to its next."""
        return FETCH + self._alu.latency + 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.alu = alu = self._alu
        m.submodules.issue = issue = Issue(
            self.image.entry_points,
            rom_depth=len(self.image.rom),
            interval=self.interval,
            slots=self.slots,
            jobs=self.jobs,
            keys=self.keys,
        )
        m.submodules.contexts = contexts = Contexts(self.jobs)
        connect(m, flipped(self.start), issue.start)
        connect(m, flipped(self.wipe), contexts.wipe)
        m.d.comb += [
            contexts.inbox.eq(self.inbox),
            contexts.digest.eq(self.digest),
            self.digest_taken.eq(contexts.digest_taken),
            contexts.outbox.eq(self.outbox),
            self.outbox_taken.eq(contexts.outbox_taken),
            self.outbox_word.eq(contexts.outbox_word),
            self.outbox_damaged.eq(contexts.outbox_damaged),
            self.issued.eq(issue.valid),
        ]
        valid, slot = self._delay_line(m, issue, FETCH + alu.latency)
        op, job, key = self._fetch(m, issue)
        m.d.comb += [contexts.read_valid.eq(valid[2]), contexts.digits_job.eq(job[0])]
        self._read(m, op, job, key, contexts, valid)
        held = Signal(Operation)
        with m.If(valid[FETCH - 1]):
            m.d.sync += held.eq(op[FETCH - 1])
        with m.Elif(valid[FETCH - 1 + self.interval]):
            m.d.sync += held.eq(0)
        m.d.comb += [alu.start.eq(valid[FETCH]), alu.op.eq(held)]
        self._late(m, valid, slot, op[2], job, key, issue, contexts)
        return m

    def _delay_line(
        self, m: Module, issue: Issue, length: int
    ) -> tuple[list[Signal], list[Signal]]:
        """Which slot's instruction is at which stage; stage 0 is issue."""
        valid, slot = [issue.valid], [issue.slot]
        for i in range(1, length + 1):
            valid.append(Signal(name=f"valid{i}"))
            slot.append(Signal(range(self.slots), name=f"slot{i}"))
            m.d.sync += [valid[i].eq(valid[i - 1]), slot[i].eq(slot[i - 1])]
        return valid, slot

    def _fetch(self, m: Module, issue: Issue) -> tuple[list[data.View], list[Signal], list[Signal]]:
        """Instruction, job and key by stage; the instruction leaves the ROM at stage 1."""
        m.submodules.rom = rom = Memory(
            shape=Operation.size,
            depth=len(self.image.rom),
            init=self.image.rom,
            attrs={"ram_style": "block"},
        )
        port = rom.read_port()
        m.d.comb += port.addr.eq(issue.counter)
        op = [None, data.View(Operation, port.data)]
        for i in range(2, FETCH):
            op.append(Signal(Operation, name=f"op{i}"))
            m.d.sync += op[i].eq(op[i - 1])
        job, key = [issue.job], [issue.key]
        for i in (1, 2):
            job.append(Signal(range(self.jobs), name=f"job{i}"))
            key.append(Signal(range(self.keys), name=f"key{i}"))
            m.d.sync += [job[i].eq(job[i - 1]), key[i].eq(key[i - 1])]
        return op, job, key

    def _read(
        self,
        m: Module,
        op: list[data.View],
        job: list[Signal],
        key: list[Signal],
        contexts: Contexts,
        valid: list[Signal],
    ) -> None:
        """Addresses at stage 2, words at stage 4, chosen words and table entry from stage 5 on.

        There they stay for ``interval`` clocks, and are zero when no other instruction follows.
        """
        m.submodules.constants = constants = Memory(
            shape=WORD_BITS, depth=len(self.image.constants), init=self.image.constants
        )
        m.submodules.table = table = CombTable(self.image)
        constant0, constant2 = constants.read_port(), constants.read_port()
        address, following, chosen = op[2], op[3], op[4]
        read, ending = (valid[FETCH - 1 + after] for after in (0, self.interval))
        constant_at, key_word = Signal.like(constant0.addr), Signal(WORD_BITS)
        m.d.sync += [
            constant_at.eq(Mux(address.port0 == Port0.CONSTANT, address.p0, address.p3)),
            key_word.eq(0),
        ]
        with m.If(valid[3] & (following.port2 == Port2.KEY)):
            m.d.sync += key_word.eq(self.key_word)
        m.d.comb += [
            contexts.read_op.eq(address),
            contexts.read_job.eq(job[2]),
            constant0.addr.eq(constant_at),
            constant2.addr.eq(following.p2),
            self.key_read.key.eq(key[2]),
            self.key_read.index.eq(address.p2),
        ]

        words = contexts.words
        operands = Signal(Operands)
        p0 = {
            Port0.REGISTER: words.register0,
            Port0.INBOX: words.inbox,
            Port0.CONSTANT: constant0.data,
            Port0.OUTBOX: words.outbox,
        }
        p2 = {
            Port2.REGISTER: words.register2,
            Port2.KEY: key_word,
            Port2.CONSTANT: constant2.data,
            Port2.DIGITS: words.digits,
        }
        with m.If(read):
            for select, target, sources in ((chosen.port0, "p0", p0), (chosen.port2, "p2", p2)):
                with m.Switch(select):
                    for source, word in sources.items():
                        with m.Case(source):
                            m.d.sync += operands[target].eq(word)
            from_rom = chosen.port3 == Port3.CONSTANT
            m.d.sync += [
                operands.p1.eq(words.register1),
                operands.p3.eq(Mux(from_rom, constant0.data, words.register3)),
                operands.neg.eq(words.flags.neg),
            ]
        with m.Elif(ending):
            m.d.sync += operands.eq(0)
        m.d.comb += [
            table.read.eq(valid[3] | valid[3 + self.interval]),
            table.enable.eq(valid[3] & (following.b >= SecondFactor.TABLE_0)),
            table.curve.eq(following.curve),
            table.window.eq(following.window),
            table.digits.eq(contexts.early_digits.word),
            table.digit_window.eq(address.window),
            self._alu.operands.eq(operands),
            self._alu.operands.f0.eq(table.f0),
            self._alu.operands.f1.eq(table.f1),
            self._alu.operands.f2.eq(table.f2),
            self._alu.operands.negative.eq(table.negative),
        ]

    def _late(
        self,
        m: Module,
        valid: list[Signal],
        slot: list[Signal],
        op: data.View,
        job: list[Signal],
        key: list[Signal],
        issue: Issue,
        contexts: Contexts,
    ) -> None:
        """The second half of an instruction: its sum takes H, its result is written."""
        alu = self._alu
        record = data.StructLayout(
            {"op": Operation, "job": range(self.jobs), "key": range(self.keys)}
        )
        late, keep, retire = (FETCH + at for at in (alu.late, alu.high_at, alu.latency))

        late_slot = Signal(range(self.slots))
        with m.If(valid[late - 3]):
            m.d.sync += late_slot.eq(slot[late - 3])

        def look_up(name: str, stage: int) -> data.View:
            """What was noted of the instruction that is at ``stage``; zero if none is."""
            m.submodules[name] = store = BlockRam(shape=record, depth=self.slots)
            found = Signal(record, name=f"{name}_found")
            m.d.comb += [
                store.write.addr.eq(slot[2]),
                store.write.en.eq(valid[2]),
                store.write.data.op.eq(op),
                store.write.data.job.eq(job[2]),
                store.write.data.key.eq(key[2]),
                store.read_addr.eq(late_slot if stage == late else slot[stage - 2]),
            ]
            with m.If(held_at[stage]):
                m.d.sync += found.eq(store.read)
            with m.Else():
                m.d.sync += found.eq(0)
            return found

        # what the ALU samples late stays for the digits of a word
        held_at = {stage: valid[stage - 1] for stage in (keep, retire)}
        held_at[late] = Cat(valid[late - 1 : late - 1 + self.interval]).any()
        noted, retiring = look_up("kept", keep), look_up("retiring", retire)
        kept = noted.op
        altered = [contexts.altered]
        for i in range(retire - keep - 1):
            altered.append(Signal(name=f"altered{i}"))
            m.d.sync += altered[-1].eq(altered[-2])
        m.submodules.high_words = high = BlockRam(shape=Stored, depth=self.slots, registered=True)
        differs, uses_high = Signal(GUARD_BITS), Signal()
        high_altered = Signal(retire - late - 1)
        m.d.sync += [
            differs.eq(difference(high.read)),
            uses_high.eq(alu.late_op.add_high),
            high_altered.eq(Cat(uses_high & differs.any(), high_altered)),
        ]
        m.d.comb += [
            alu.late_op.eq(look_up("late", late).op),
            alu.late_high.eq(high.read.word),
            high.read_addr.eq(late_slot),
            high.write.addr.eq(slot[keep]),
            high.write.en.eq((kept.out == Output.LOW_KEEP) | kept.end),
            high.write.data.eq(Mux(kept.end, 0, guarded(alu.high))),
        ]
        # a reset may leave words of programs it ended
        to_sweep = Signal(range(self.slots + 1), init=self.slots)
        with m.If(to_sweep != 0):
            m.d.sync += to_sweep.eq(to_sweep - 1)
            m.d.comb += [
                high.write.addr.eq(to_sweep - 1),
                high.write.en.eq(1),
                high.write.data.eq(0),
            ]

        m.d.comb += [
            issue.retire_valid.eq(valid[retire]),
            issue.retire_slot.eq(slot[retire]),
            issue.retire_end.eq(retiring.op.end),
            contexts.write_soon.eq(valid[retire - 1]),
            contexts.write_valid.eq(valid[retire]),
            contexts.write_op.eq(retiring.op),
            contexts.write_job.eq(retiring.job),
            contexts.write_word.eq(alu.result),
            contexts.write_zero.eq(alu.zero),
            contexts.altered_job.eq(noted.job),
            contexts.write_altered.eq(altered[-1] | high_altered[-1]),
            self.key_write.enable.eq(retiring.op.dest == Dest.KEY),
            self.key_write.key.eq(retiring.key),
            self.key_write.index.eq(retiring.op.index),
            self.key_write.word.eq(alu.result),
            self.done.valid.eq(retiring.op.end),
            self.done.job.eq(retiring.job),
            self.done.flags.eq(contexts.flags),
        ]
