"""Collect: what the hash lanes found goes to engine and key store."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .. import keystore
from ..engine.contexts import inbox_layout
from ..hash.lanes import ecdsa_result_layout, sha512_result_layout
from ..jobs import Kind, record_layout
from .words import key_write_layout


class Collect(wiring.Component):
    """Takes the lanes' results to the engine's inboxes and the key store.

    Members
    -------
    sha512 : In(stream), nonce : In(stream)
        The lanes' results.
    record_job : Out, record : In
        Lookup of a job's record, in the same clock.
    inbox : Out({enable, job, index, word})
    key_write : Out(stream of {slot, index, data})
        An Ed25519 key's prefix; the seed is overwritten with zeros. Secret.
    hashed : Out(stream of {job, fault})
        The job may go on. ``fault``: the lane read another message than came in.
    """

    def __init__(self, *, jobs: int, keys: int, pages: int) -> None:
        self.jobs = jobs
        job_width = (jobs - 1).bit_length()
        hashed = data.StructLayout({"job": range(jobs), "fault": 1})
        super().__init__(
            {
                "sha512": In(stream.Signature(sha512_result_layout(job_width))),
                "nonce": In(stream.Signature(ecdsa_result_layout(job_width))),
                "record_job": Out(range(jobs)),
                "record": In(record_layout(keys, pages)),
                "inbox": Out(inbox_layout(jobs)),
                "key_write": Out(stream.Signature(key_write_layout(keys))),
                "hashed": Out(stream.Signature(hashed)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        of_sha512 = Signal()
        result = self.sha512.payload
        low, high = result.digest[:256], result.digest[256:]
        is_load = of_sha512 & (self.record.kind == Kind.LOAD_ED25519)
        # RFC 8032, section 5.1.5: clear the lowest three bits and the highest, set the one below
        clamped = Cat(C(0, 3), low[3:254], C(1, 1))
        first = Mux(is_load, clamped, Mux(of_sha512, low, self.nonce.payload.z))
        second = Mux(is_load, 0, Mux(of_sha512, high, self.nonce.payload.k))
        check = Mux(of_sha512, result.check, self.nonce.payload.check)
        m.d.comb += [
            self.record_job.eq(Mux(of_sha512, result.job, self.nonce.payload.job)),
            self.inbox.job.eq(self.record_job),
            self.key_write.payload.slot.eq(self.record.slot),
            self.hashed.payload.job.eq(self.record_job),
            self.hashed.payload.fault.eq(check != self.record.check),
        ]
        with m.FSM():
            with m.State("idle"):
                m.d.sync += of_sha512.eq(self.sha512.valid)
                with m.If(self.sha512.valid | self.nonce.valid):
                    m.next = "first"
            with m.State("first"):
                m.d.comb += [self.inbox.enable.eq(1), self.inbox.word.eq(first)]
                m.next = "second"
            with m.State("second"):
                m.d.comb += [
                    self.inbox.enable.eq(1),
                    self.inbox.index.eq(1),
                    self.inbox.word.eq(second),
                ]
                m.next = "done"
                with m.If(is_load):
                    m.next = "prefix"
            for state, word, value, after in (
                ("prefix", keystore.Word.PREFIX, high, "seed"),
                ("seed", keystore.Word.RAW, C(0, 256), "done"),
            ):
                with m.State(state):
                    m.d.comb += [
                        self.key_write.valid.eq(1),
                        self.key_write.payload.index.eq(word),
                        self.key_write.payload.data.eq(value),
                    ]
                    with m.If(self.key_write.ready):
                        m.next = after
            with m.State("done"):
                m.d.comb += self.hashed.valid.eq(1)
                with m.If(self.hashed.ready):
                    m.d.comb += [self.sha512.ready.eq(of_sha512), self.nonce.ready.eq(~of_sha512)]
                    m.next = "idle"
        return m
