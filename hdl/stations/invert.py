"""Invert: an outbox word becomes its inverse in the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..engine.contexts import inbox_layout
from ..engine.isa import LIMB_BITS, LIMBS, WORD_BITS
from ..field.inverter import Inverter
from ..jobs import invert_layout
from ..routes import Modulus
from .words import outbox_read_layout, shifted


class Invert(wiring.Component):
    """Takes jobs' numbers to the inverters and back.

    The Z of a comb is in outbox word 3 and its inverse goes to inbox word 2; a nonce is in outbox
    word 2 and its inverse goes to inbox word 3 (:mod:`intaglio.hdl.engine.programs.ecdsa`).

    Parameters
    ----------
    jobs : int
        Job contexts.
    moduli : Sequence[int]
        In the order of :class:`~intaglio.hdl.routes.Modulus`.
    units : int
        Inverters, at least 1.

    Members
    -------
    jobs_in : In(stream of {job, modulus})
    outbox : Out({want, job, index, limb}), outbox_taken : In(1)
    outbox_found : In(1), outbox_limb : In(LIMB_BITS)
        Reads: ``want`` until ``outbox_taken``. The limbs are asked one after the other and come in
        this order, each in a clock of ``outbox_found``.
    inbox : Out({enable, job, index, limb, data}), inbox_taken : In(1)
        Writes, a limb in each clock with ``enable`` and ``inbox_taken``.
    inverted : Out(stream of {job})
        The job may go on.

    Security: the words are secret; they are zeroised as they are handed on.
    """

    def __init__(self, *, jobs: int, moduli: Sequence[int], units: int) -> None:
        self.jobs, self.moduli, self.units = jobs, moduli, units
        super().__init__(
            {
                "jobs_in": In(stream.Signature(invert_layout(jobs))),
                "outbox": Out(outbox_read_layout(jobs)),
                "outbox_taken": In(1),
                "outbox_found": In(1),
                "outbox_limb": In(LIMB_BITS),
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
        current, x = Signal(self.jobs_in.payload.shape()), Signal(WORD_BITS)
        asked, found, given = (
            Signal(range(LIMBS), name=name) for name in ("asked", "found", "given")
        )
        m.d.comb += [
            self.outbox.job.eq(current.job),
            self.outbox.index.eq(Mux(current.modulus == Modulus.ORDER, 2, 3)),
            self.outbox.limb.eq(asked),
        ]
        with m.If(self.outbox_found):
            m.d.sync += [x.eq(shifted(x, self.outbox_limb)), found.eq(found + 1)]
        for inverter in inverters:
            m.d.comb += [
                inverter.request.payload.job.eq(current.job),
                inverter.request.payload.modulus.eq(current.modulus),
                inverter.x.eq(x[:LIMB_BITS]),
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
                    m.d.sync += asked.eq(asked + 1)
                    with m.If(asked == LIMBS - 1):
                        m.next = "word"
            with m.State("word"), m.If(self.outbox_found & (found == LIMBS - 1)):
                m.next = "offer"
            with m.State("offer"):
                for i, inverter in enumerate(inverters):
                    request = inverter.request
                    with m.If(request.ready) if i == 0 else m.Elif(request.ready):
                        m.d.comb += request.valid.eq(1)
                        m.next = "give"
            with m.State("give"):
                m.d.sync += [x.eq(shifted(x)), given.eq(given + 1)]
                with m.If(given == LIMBS - 1):
                    m.next = "idle"

    def _take(self, m: Module, inverters: list[Inverter]) -> None:
        """Put the first inverse there is into its job's inbox."""
        job, modulus = Signal(range(self.jobs)), Signal(Modulus)
        inverse, limb = Signal(WORD_BITS), Signal(range(LIMBS))
        m.d.comb += [
            self.inbox.job.eq(job),
            self.inbox.index.eq(Mux(modulus == Modulus.ORDER, 3, 2)),
            self.inbox.limb.eq(limb),
            self.inbox.data.eq(inverse[:LIMB_BITS]),
            self.inverted.payload.job.eq(job),
        ]
        with m.FSM():
            with m.State("idle"):
                for i, inverter in enumerate(inverters):
                    done = inverter.done
                    with m.If(done.valid) if i == 0 else m.Elif(done.valid):
                        m.d.comb += inverter.take.eq(1)
                        m.d.sync += [job.eq(done.job), modulus.eq(done.modulus)]
                        m.next = "wait"
            with m.State("wait"):
                m.next = "take"
            with m.State("take"):
                # an inverter is zero but while its inverse leaves
                arriving = reduce(or_, [inverter.inverse for inverter in inverters])
                m.d.sync += [inverse.eq(shifted(inverse, arriving)), limb.eq(limb + 1)]
                with m.If(limb == LIMBS - 1):
                    m.next = "write"
            with m.State("write"):
                m.d.comb += self.inbox.enable.eq(1)
                with m.If(self.inbox_taken):
                    m.d.sync += [inverse.eq(shifted(inverse)), limb.eq(limb + 1)]
                    with m.If(limb == LIMBS - 1):
                        m.next = "tell"
            with m.State("tell"):
                m.d.comb += self.inverted.valid.eq(1)
                with m.If(self.inverted.ready):
                    m.next = "idle"
