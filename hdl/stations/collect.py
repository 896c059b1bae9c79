"""Collect: what the hash lanes found goes to engine and key store."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import keystore
from ..engine.contexts import inbox_layout
from ..hash.check import CHECK_BITS
from ..hash.lanes import WORD_BITS, result_layout
from ..jobs import Kind, record_layout
from .words import key_write_layout

_GROUP_BITS = 4


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
    inbox : Out({enable, job, index, word})
    key_write : Out(stream of {slot, index, data})
        An Ed25519 key's prefix; the seed is overwritten with zeros. Secret.
    hashed : Out(stream of {job, fault})
        The job may go on. ``fault``: the lane read another message than came in.

    Security: the word that is gathered is secret; it is zeroised with every result.
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
                "record": In(record_layout(keys, pages)),
                "inbox": Out(inbox_layout(jobs)),
                "key_write": Out(stream.Signature(key_write_layout(keys))),
                "hashed": Out(stream.Signature(hashed)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        of_sha512, is_load = Signal(), Signal()
        job, slot = Signal(range(self.jobs)), Signal.like(self.record.slot)
        word, count = Signal(256), Signal(range(256 // WORD_BITS))
        gathers, last, check = Signal(), Signal(), Signal(CHECK_BITS)
        differs = Signal(CHECK_BITS // _GROUP_BITS)
        m.d.comb += [
            self.record_job.eq(job),
            self.inbox.job.eq(job),
            self.inbox.index.eq(last),
            self.inbox.word.eq(self._word(word, of_sha512, is_load)),
            self.key_write.payload.slot.eq(slot),
            self.key_write.payload.data.eq(word),
            self.hashed.payload.job.eq(job),
            self.hashed.payload.fault.eq(differs.any()),
        ]
        lane = Signal.like(self.sha512.payload)
        valid = Signal()
        m.d.comb += [
            lane.eq(Mux(of_sha512, self.sha512.payload, self.nonce.payload)),
            valid.eq(Mux(of_sha512, self.sha512.valid, self.nonce.valid)),
            self.sha512.ready.eq(gathers & of_sha512),
            self.nonce.ready.eq(gathers & ~of_sha512),
        ]
        with m.If(gathers & valid):
            m.d.sync += [
                word.eq(Cat(word, lane.word)[WORD_BITS:]),
                check.eq(lane.check),
                count.eq(count + 1),
            ]

        m.d.sync += self.inbox.enable.eq(0)
        with m.FSM():
            with m.State("idle"):
                m.d.sync += [of_sha512.eq(self.sha512.valid), last.eq(0)]
                with m.If(self.sha512.valid | self.nonce.valid):
                    m.next = "look"
            with m.State("look"):
                m.d.sync += [job.eq(lane.job), gathers.eq(1)]
                m.next = "gather"
            with m.State("gather"), m.If(valid & count.all()):
                m.d.sync += gathers.eq(0)
                m.next = "put"
            with m.State("put"):
                with m.If(~last):
                    m.d.sync += [
                        is_load.eq(of_sha512 & (self.record.kind == Kind.LOAD_ED25519)),
                        slot.eq(self.record.slot),
                        differs.eq(_differences(check, self.record.check)),
                    ]
                m.d.sync += self.inbox.enable.eq(~is_load | ~last)
                m.next = "write"
            with m.State("write"):
                m.d.sync += last.eq(1)
                # the second half of an Ed25519 key's digest is its prefix
                with m.If(is_load & last):
                    m.next = "prefix"
                with m.Else():
                    m.d.sync += gathers.eq(~last)
                    m.next = "gather"
                    with m.If(last):
                        m.next = "done"
            for state, index, after in (
                ("prefix", keystore.Word.PREFIX, "zero"),
                ("seed", keystore.Word.RAW, "done"),
            ):
                with m.State(state):
                    m.d.comb += [
                        self.key_write.valid.eq(1),
                        self.key_write.payload.index.eq(index),
                    ]
                    with m.If(self.key_write.ready):
                        m.next = after
            with m.State("zero"):
                m.d.sync += word.eq(0)
                m.next = "seed"
            with m.State("done"):
                m.d.comb += self.hashed.valid.eq(1)
                m.d.sync += [word.eq(0), check.eq(0)]
                with m.If(self.hashed.ready):
                    m.next = "idle"
        return m

    def _word(self, word: Signal, of_sha512: Signal, is_load: Signal) -> Value:
        """What goes to the engine.

        Of an Ed25519 key: RFC 8032, section 5.1.5, clear the lowest three bits and the highest, set
        the one below.
        """
        clamped = Cat(C(0, 3), word[3:254], C(1, 2))
        number = Mux(is_load, clamped, word)
        if self.order_bits == 256:
            return number
        return Mux(of_sha512, number, word >> 256 - self.order_bits)


def _differences(one: Value, other: Value) -> Cat:
    """Whether a few neighbouring bits differ, for all."""
    bits = range(0, CHECK_BITS, _GROUP_BITS)
    return Cat(one[i : i + _GROUP_BITS] != other[i : i + _GROUP_BITS] for i in bits)
