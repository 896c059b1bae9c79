"""Invert: an outbox word becomes its inverse in the inbox."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..engine.contexts import inbox_layout
from ..engine.isa import WORD_BITS
from ..field.inverter import CHUNKS, Inverter, chunk
from ..jobs import Modulus, invert_layout
from .words import outbox_read_layout


class Invert(wiring.Component):
    """Takes jobs' numbers to the inverters and back.

    The Z of a comb is in outbox word 3 and its inverse goes to inbox word 2; a nonce is in outbox
    word 2 and its inverse goes to inbox word 3 (:mod:`intaglio.hdl.engine.programs.ecdsa`).

    Parameters
    ----------
    jobs : int
        Job contexts.
    moduli : Sequence[int]
        In the order of :class:`~intaglio.hdl.jobs.Modulus`.
    units : int
        Inverters, at least 1.

    Members
    -------
    jobs_in : In(stream of {job, modulus})
    outbox : Out({want, job, index}), outbox_taken : In(1)
    outbox_found : In(1), outbox_word : In(260)
        Reads: ``want`` until ``outbox_taken``, then the word in the clock of ``outbox_found``.
    inbox : Out({enable, job, index, word}), inbox_taken : In(1)
        Writes, done in a clock with ``enable`` and ``inbox_taken``.
    inverted : Out(stream of {job})
        The job may go on.

    Security: the words are secret; they are zeroised when handed on.
    """

    def __init__(self, *, jobs: int, moduli: Sequence[int], units: int) -> None:
        self.jobs, self.moduli, self.units = jobs, moduli, units
        super().__init__(
            {
                "jobs_in": In(stream.Signature(invert_layout(jobs))),
                "outbox": Out(outbox_read_layout(jobs)),
                "outbox_taken": In(1),
                "outbox_found": In(1),
                "outbox_word": In(WORD_BITS),
                "inbox": Out(inbox_layout(jobs)),
                "inbox_taken": In(1),
                "inverted": Out(stream.Signature(data.StructLayout({"job": range(jobs)}))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        inverters = [Inverter(self.moduli, self.jobs) for _ in range(self.units)]
        for i, inverter in enumerate(inverters):
            m.submodules[f"inverter{i}"] = inverter
        self._give(m, inverters)
        self._take(m, inverters)
        return m

    def _give(self, m: Module, inverters: list[Inverter]) -> None:
        """Read a job's number and give it to the first inverter that is free."""
        current, x = Signal(self.jobs_in.payload.shape()), Signal(256)
        wipe, kept = Signal(), Signal(range(CHUNKS))
        m.d.comb += [
            self.outbox.job.eq(current.job),
            self.outbox.index.eq(Mux(current.modulus == Modulus.ORDER, 2, 3)),
        ]
        m.d.sync += wipe.eq(kept == CHUNKS - 1)
        with m.If(wipe):
            m.d.sync += x.eq(0)
        with m.Elif(self.outbox_found):
            m.d.sync += x.eq(self.outbox_word)
        for inverter in inverters:
            m.d.comb += [
                inverter.request.payload.job.eq(current.job),
                inverter.request.payload.modulus.eq(current.modulus),
                inverter.x.eq(x),
            ]
        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.jobs_in.ready.eq(1)
                m.d.sync += current.eq(self.jobs_in.payload)
                with m.If(self.jobs_in.valid):
                    m.next = "ask"
            with m.State("ask"):
                m.d.comb += self.outbox.want.eq(1)
                with m.If(self.outbox_taken):
                    m.next = "word"
            with m.State("word"), m.If(self.outbox_found):
                m.next = "give"
            with m.State("give"):
                for i, inverter in enumerate(inverters):
                    request = inverter.request
                    with m.If(request.ready) if i == 0 else m.Elif(request.ready):
                        m.d.comb += request.valid.eq(1)
                        m.next = "keep"
            with m.State("keep"):
                m.d.sync += kept.eq(kept + 1)
                with m.If(kept == CHUNKS - 1):
                    m.d.sync += kept.eq(0)
                    m.next = "idle"

    def _take(self, m: Module, inverters: list[Inverter]) -> None:
        """Put the first inverse there is into its job's inbox."""
        job, modulus = Signal(range(self.jobs)), Signal(Modulus)
        inverse, source = Signal(256), Signal(range(len(inverters)))
        leaving, wipe = Signal(CHUNKS + 1), Signal()
        m.d.sync += [
            leaving.eq(leaving << 1),
            wipe.eq(self.inverted.valid & self.inverted.ready),
        ]
        m.d.comb += [
            self.inbox.job.eq(job),
            self.inbox.index.eq(Mux(modulus == Modulus.ORDER, 3, 2)),
            self.inbox.word.eq(inverse),
            self.inverted.payload.job.eq(job),
        ]
        for c in range(CHUNKS):
            with m.If(wipe):
                m.d.sync += chunk(inverse, c).eq(0)
            with m.Elif(leaving[c + 1]):
                chunks = Array(chunk(inverter.inverse, c) for inverter in inverters)
                m.d.sync += chunk(inverse, c).eq(chunks[source])
        with m.FSM():
            with m.State("idle"):
                for i, inverter in enumerate(inverters):
                    done = inverter.done
                    with m.If(done.valid) if i == 0 else m.Elif(done.valid):
                        m.d.comb += inverter.take.eq(1)
                        m.d.sync += [
                            job.eq(done.job),
                            modulus.eq(done.modulus),
                            source.eq(i),
                            leaving.eq(1),
                        ]
                        m.next = "leave"
            with m.State("leave"), m.If(leaving[-1]):
                m.next = "write"
            with m.State("write"):
                m.d.comb += self.inbox.enable.eq(1)
                with m.If(self.inbox_taken):
                    m.next = "tell"
            with m.State("tell"):
                m.d.comb += self.inverted.valid.eq(1)
                with m.If(self.inverted.ready):
                    m.next = "idle"
