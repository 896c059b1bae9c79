"""Issue: which slot's instruction comes next, and where each slot is in its program."""

from __future__ import annotations

from collections.abc import Container

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from .programs import Program


def start_layout(jobs: int, keys: int) -> data.StructLayout:
    """Payload of a program start: the job context, its key slot and the program."""
    return data.StructLayout({"job": range(jobs), "key": range(keys), "program": Program})


class Issue(wiring.Component):
    """Queues of slots ready to issue, with program counters and owners.

    A slot whose instruction has retired queues again a clock later; every ``interval`` clocks the
    oldest issues whose next instruction reads a comb table, if the table may be read, or else the
    oldest of the others. A new program takes a free slot in a clock in which nothing retires; after
    a reset the slots become free one by one.

    Parameters
    ----------
    entry_points : dict[Program, int]
        First address of each program.
    begin_with_table : Container[Program]
        Those whose first instruction reads a comb table.
    rom_depth, interval, slots, jobs, keys : int
        Instructions in the ROM; clocks per product; issue slots, job contexts, key slots.

    Members
    -------
    start : In(stream of start_layout)
    valid, slot, counter, job, key : Out
        The instruction issued in this clock: combinational from the queues.
    wants_table : Out(1), may_read : In(1)
        In this clock an instruction would be issued that reads a comb table; it is if it may. Does
        not depend on ``may_read``.
    retire_valid, retire_slot, retire_end, retire_ahead : In
        A slot's instruction retires; ``retire_end``: its program is over and the slot free;
        ``retire_ahead``: the next reads a comb table.
    """

    def __init__(
        self,
        entry_points: dict[Program, int],
        begin_with_table: Container[Program],
        *,
        rom_depth: int,
        interval: int,
        slots: int,
        jobs: int,
        keys: int,
    ) -> None:
        self.entry_points, self.rom_depth = entry_points, rom_depth
        self.begin_with_table = begin_with_table
        self.interval, self.slots, self.jobs, self.keys = interval, slots, jobs, keys
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(jobs, keys))),
                "valid": Out(1),
                "slot": Out(range(slots)),
                "counter": Out(range(rom_depth)),
                "job": Out(range(jobs)),
                "key": Out(range(keys)),
                "wants_table": Out(1),
                "may_read": In(1),
                "retire_valid": In(1),
                "retire_slot": In(range(slots)),
                "retire_end": In(1),
                "retire_ahead": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        owner = data.StructLayout({"job": range(self.jobs), "key": range(self.keys)})
        m.submodules.owners = owners = Memory(shape=owner, depth=self.slots, init=[])
        m.submodules.counters = counters = Memory(
            shape=range(self.rom_depth), depth=self.slots, init=[]
        )
        width, depth = bits_for(self.slots - 1), max(self.slots, 2)
        m.submodules.reading = reading = SyncFIFO(width=width, depth=depth)
        m.submodules.others = others = SyncFIFO(width=width, depth=depth)
        m.submodules.free = free = SyncFIFO(width=width, depth=depth)
        read_owner, read_counter = (
            owners.read_port(domain="comb"),
            counters.read_port(domain="comb"),
        )
        next_counter = counters.read_port(domain="comb")
        write_owner, write_counter = owners.write_port(), counters.write_port()

        # issue
        wait, reads = Signal(range(self.interval + 1)), Signal()
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.If(self.valid):
            m.d.sync += wait.eq(self.interval - 1)
        m.d.comb += [
            self.wants_table.eq(reading.r_rdy & (wait == 0)),
            reads.eq(self.wants_table & self.may_read),
            reading.r_en.eq(reads),
            others.r_en.eq(others.r_rdy & (wait == 0) & ~reads),
            self.valid.eq(reading.r_en | others.r_en),
            self.slot.eq(Mux(reads, reading.r_data, others.r_data)),
            read_owner.addr.eq(self.slot),
            read_counter.addr.eq(self.slot),
            self.counter.eq(read_counter.data),
            self.job.eq(read_owner.data.job),
            self.key.eq(read_owner.data.key),
        ]

        # slots that are free: at first all, then those whose programs have ended
        to_free = Signal(range(self.slots + 1), init=self.slots)
        with m.If(self.retire_valid & self.retire_end):
            m.d.comb += [free.w_en.eq(1), free.w_data.eq(self.retire_slot)]
        with m.Elif(to_free != 0):
            m.d.comb += [free.w_en.eq(1), free.w_data.eq(to_free - 1)]
            m.d.sync += to_free.eq(to_free - 1)

        # queue again, or start
        entry, entry_reads = Signal(range(self.rom_depth)), Signal()
        with m.Switch(self.start.payload.program):
            for program, address in self.entry_points.items():
                with m.Case(program):
                    m.d.comb += entry.eq(address)
                    m.d.comb += entry_reads.eq(int(program in self.begin_with_table))
        enters, entering, will_read = Signal(), Signal(range(self.slots)), Signal()
        m.d.comb += [
            next_counter.addr.eq(self.retire_slot),
            self.start.ready.eq(~self.retire_valid & free.r_rdy),
            free.r_en.eq(self.start.valid & self.start.ready),
            reading.w_en.eq(enters & will_read),
            reading.w_data.eq(entering),
            others.w_en.eq(enters & ~will_read),
            others.w_data.eq(entering),
            write_counter.en.eq(enters),
            write_counter.addr.eq(entering),
            write_owner.addr.eq(entering),
        ]
        m.d.sync += [
            enters.eq(free.r_en | (self.retire_valid & ~self.retire_end)),
            entering.eq(Mux(self.retire_valid, self.retire_slot, free.r_data)),
            will_read.eq(Mux(self.retire_valid, self.retire_ahead, entry_reads)),
            write_counter.data.eq(Mux(self.retire_valid, next_counter.data + 1, entry)),
            write_owner.en.eq(free.r_en),
            write_owner.data.job.eq(self.start.payload.job),
            write_owner.data.key.eq(self.start.payload.key),
        ]
        return m
