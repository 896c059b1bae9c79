"""Collect: what the hash lanes found goes to engine and key store."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import keystore
from ..engine.contexts import inbox_layout
from ..engine.isa import LIMB_BITS, LIMBS
from ..engine.isa import WORD_BITS as ENGINE_BITS
from ..hash.check import CHECK_BITS
from ..hash.lanes import WORD_BITS, result_layout
from ..jobs import record_layout
from ..routes import Kind
from .words import key_write_layout, shifted

_GROUP_BITS = 4
_NUMBER_BITS = 256


class Collect(wiring.Component):
    """Takes the lanes' results to the engine's inboxes and the key store.

    Parameters
    ----------
    jobs, keys, pages : int
        Job contexts, key slots, pages of the message pool.
    order_bits : int
        Bits of ECDSA's order: so many leading bits of digest and V are z and k.

    Members
    -------
    sha512 : In(stream), nonce : In(stream)
        The lanes' results, a whole one at a time.
    record_job : Out, record : In
        Lookup of a job's record, two clocks later.
    inbox : Out({enable, job, index, limb, data: 65})
        Never refused; the four limbs of a word in as many clocks. Secret.
    key_write : Out(stream of {slot, index, limb, data: 65})
        An Ed25519 key's prefix; the seed is overwritten with zeros. Four limbs each. Secret.
    hashed : Out(stream of {job, fault})
        The job may go on. ``fault``: the lane read another message than came in.

    Security: the word that is gathered is secret; it leaves limb by limb, zeros behind it.
    """

    def __init__(self, *, jobs: int, keys: int, pages: int, order_bits: int) -> None:
        self.jobs, self.order_bits = jobs, order_bits
        job_width = (jobs - 1).bit_length()
        hashed = data.StructLayout({"job": range(jobs), "fault": 1})
        super().__init__(
            {
                "sha512": In(stream.Signature(result_layout(job_width))),
                "nonce": In(stream.Signature(result_layout(job_width))),
                "record_job": Out(range(jobs)),
                "record": In(record_layout(keys, pages, "collect")),
                "inbox": Out(inbox_layout(jobs)),
                "key_write": Out(stream.Signature(key_write_layout(keys))),
                "hashed": Out(stream.Signature(hashed)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        of_sha512, is_load = Signal(), Signal()
        job, slot = Signal(range(self.jobs)), Signal.like(self.record.slot)
        word, check, limb = Signal(ENGINE_BITS), Signal(CHECK_BITS), Signal(range(LIMBS))
        gathers, last, leaves = Signal(), Signal(), Signal()
        differs = Signal(CHECK_BITS // _GROUP_BITS)
        m.d.comb += [
            self.record_job.eq(job),
            self.key_write.payload.slot.eq(slot),
            self.key_write.payload.limb.eq(limb),
            self.key_write.payload.data.eq(word[:LIMB_BITS]),
            self.hashed.payload.job.eq(job),
            self.hashed.payload.fault.eq(differs.any()),
        ]
        lane_job, gathered = self._gather(m, of_sha512, gathers, word, check)
        with m.If(leaves):
            m.d.sync += [word.eq(shifted(word)), limb.eq(limb + 1)]

        m.d.sync += [self.inbox.enable.eq(0), self.inbox.data.eq(0)]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [of_sha512.eq(self.sha512.valid), last.eq(0)]
                with m.If(self.sha512.valid | self.nonce.valid):
                    m.next = "look"
            with m.State("look"):
                m.d.sync += [job.eq(lane_job), gathers.eq(1)]
                m.next = "gather"
            with m.State("gather"):
                m.d.sync += [
                    is_load.eq(of_sha512 & (self.record.kind == Kind.LOAD_ED25519)),
                    slot.eq(self.record.slot),
                ]
                with m.If(gathered):
                    m.d.sync += gathers.eq(0)
                    m.next = "shape"
            with m.State("shape"):
                m.d.sync += differs.eq(_differences(check, self.record.check))
                m.next = "put"
                # the second half of an Ed25519 key's digest is its prefix
                with m.If(is_load & last):
                    m.next = "prefix"
                with m.Else():
                    self._shape(m, word, of_sha512, is_load)
            with m.State("put"):
                m.d.comb += leaves.eq(1)
                m.d.sync += [
                    self.inbox.enable.eq(1),
                    self.inbox.job.eq(job),
                    self.inbox.index.eq(last),
                    self.inbox.limb.eq(limb),
                    self.inbox.data.eq(word[:LIMB_BITS]),
                ]
                with m.If(limb == LIMBS - 1):
                    m.d.sync += [last.eq(1), gathers.eq(~last)]
                    m.next = "gather"
                    with m.If(last):
                        m.next = "done"
            self._store(m, leaves, limb == LIMBS - 1)
            with m.State("done"):
                m.d.comb += self.hashed.valid.eq(1)
                m.d.sync += check.eq(0)
                with m.If(self.hashed.ready):
                    m.next = "idle"
        return m

    def _gather(
        self, m: Module, of_sha512: Signal, gathers: Signal, word: Signal, check: Signal
    ) -> tuple[Value, Value]:
        """Gather ``word`` and ``check``; the job of the lane's result, and when ``word`` ends."""
        count, valid = Signal(range(_NUMBER_BITS // WORD_BITS)), Signal()
        lane = Signal.like(self.sha512.payload)
        m.d.comb += [
            lane.eq(Mux(of_sha512, self.sha512.payload, self.nonce.payload)),
            valid.eq(Mux(of_sha512, self.sha512.valid, self.nonce.valid)),
            self.sha512.ready.eq(gathers & of_sha512),
            self.nonce.ready.eq(gathers & ~of_sha512),
        ]
        with m.If(gathers & valid):
            m.d.sync += [
                word.eq(Cat(word[WORD_BITS:_NUMBER_BITS], lane.word)),
                check.eq(lane.check),
                count.eq(count + 1),
            ]
        return lane.job, valid & count.all()

    def _store(self, m: Module, leaves: Signal, ends: Value) -> None:
        """States that write prefix and seed; behind the prefix the word is zeros, the seed's."""
        for state, index, after in (
            ("prefix", keystore.Word.PREFIX, "seed"),
            ("seed", keystore.Word.RAW, "done"),
        ):
            with m.State(state):
                m.d.comb += [
                    self.key_write.valid.eq(1),
                    self.key_write.payload.index.eq(index),
                    leaves.eq(self.key_write.ready),
                ]
                with m.If(leaves & ends):
                    m.next = after

    def _shape(self, m: Module, word: Signal, of_sha512: Signal, is_load: Signal) -> None:
        """Make of ``word`` what goes to the engine.

        Of an Ed25519 key: RFC 8032, section 5.1.5, clear the lowest three bits and the highest, set
        the one below.
        """
        with m.If(is_load):
            m.d.sync += [word[:3].eq(0), word[254:256].eq(0b01)]
        if self.order_bits < _NUMBER_BITS:
            with m.If(~of_sha512):
                m.d.sync += word.eq(word >> _NUMBER_BITS - self.order_bits)


def _differences(one: Value, other: Value) -> Cat:
    """Whether a few neighbouring bits differ, for all."""
    bits = range(0, CHECK_BITS, _GROUP_BITS)
    return Cat(one[i : i + _GROUP_BITS] != other[i : i + _GROUP_BITS] for i in bits)
