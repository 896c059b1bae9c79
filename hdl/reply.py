"""Replies out: header and body, byte by byte."""

from __future__ import annotations

from amaranth.hdl import C, Cat, Module, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from . import keystore, layouts
from .layouts import Status
from .stream import Packet

REPLY_BITS = 8 * wire.MAX_REPLY_BYTES


class Body(enum.Enum, shape=3):
    """What follows a reply's header."""

    NONE = 0
    IDENTITY = 1
    COUNTERS = 2
    KEY = 3
    SIGNATURE = 4


def reply_layout(keys: int) -> data.StructLayout:
    """A reply: ``signature`` with its first byte in bits 7..0, ``slot`` for a key record."""
    return data.StructLayout(
        {
            "op": 8,
            "tag": wire.TAG_BITS,
            "status": Status,
            "recid": 8,
            "cycles": 32,
            "body": Body,
            "slot": range(keys),
            "signature": 8 * wire.SIGNATURE_BYTES,
        }
    )


class Replier(wiring.Component):
    """Sends replies, one after the other.

    Members
    -------
    reply : In(stream of reply_layout)
        The next reply; taken when the one before has been sent.
    identity : In(Identity), counters : In(Counters)
        Bodies as they are now.
    key_slot : Out, key_info : In(keystore.Info)
        Lookup in the key store, in the same clock.
    public : Out({want, slot, index}), public_taken : In(1), public_word : In(256)
        Reads a public word: one clock after a clock with ``want`` and ``public_taken``.
    replies : Out(stream of Packet(8))
        Payloads, without CRC.
    idle : Out(1)
    """

    def __init__(self, *, keys: int, jobs: int) -> None:
        self.keys = keys
        public = {"want": 1, "slot": range(keys), "index": range(keystore.PUBLIC_WORDS)}
        super().__init__(
            {
                "reply": In(stream.Signature(reply_layout(keys))),
                "identity": In(layouts.Identity),
                "counters": In(layouts.Counters),
                "key_slot": Out(range(keys)),
                "key_info": In(keystore.Info(jobs)),
                "public": Out(data.StructLayout(public)),
                "public_taken": In(1),
                "public_word": In(256),
                "replies": Out(stream.Signature(Packet(8))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shift = Signal(REPLY_BITS)
        left = Signal(range(wire.MAX_REPLY_BYTES + 1))
        slot, index, waits = Signal(range(self.keys)), Signal(), Signal()
        request = self.reply.payload
        m.d.comb += [
            self.key_slot.eq(slot),
            self.public.slot.eq(slot),
            self.public.index.eq(index),
            self.replies.payload.data.eq(shift[:8]),
            self.replies.payload.last.eq(left == 1),
        ]
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("idle"))
            with m.State("idle"):
                m.d.comb += self.reply.ready.eq(1)
                with m.If(self.reply.valid):
                    self._compose(m, request, shift, left)
                    m.d.sync += slot.eq(request.slot)
                    m.next = "send"
                    with m.If(request.body == Body.KEY):
                        m.next = "key"
            with m.State("key"):
                self._key_record(m, shift, index, waits)
            with m.State("send"):
                m.d.comb += self.replies.valid.eq(1)
                with m.If(self.replies.ready):
                    m.d.sync += [shift.eq(shift >> 8), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "idle"
        return m

    def _compose(self, m: Module, request: data.View, shift: Signal, left: Signal) -> None:
        """Header, and all of the body but public keys."""
        sizes = {
            Body.NONE: (0, C(0, 1)),
            Body.IDENTITY: (wire.IDENTITY.size, self.identity.as_value()),
            Body.COUNTERS: (wire.COUNTERS.size, self.counters.as_value()),
            Body.KEY: (wire.KEY.size, C(0, 1)),
            Body.SIGNATURE: (wire.SIGNATURE_BYTES, request.signature),
        }
        header = Signal(layouts.Reply)
        body = Signal(REPLY_BITS - 8 * wire.REPLY.size)
        m.d.comb += [
            header.version.eq(wire.VERSION),
            header.op.eq(request.op),
            header.tag.eq(request.tag),
            header.status.eq(request.status),
            header.recid.eq(wire.NO_RECID),
            header.cycles.eq(request.cycles),
        ]
        with m.Switch(request.body):
            for kind, (size, value) in sizes.items():
                with m.Case(kind):
                    m.d.comb += [header.length.eq(size), body.eq(value)]
        with m.If(request.body == Body.SIGNATURE):
            m.d.comb += header.recid.eq(request.recid)
        m.d.sync += [
            shift.eq(Cat(header.as_value(), body)),
            left.eq(wire.REPLY.size + header.length),
        ]

    def _key_record(self, m: Module, shift: Signal, index: Signal, waits: Signal) -> None:
        """Read both public words into the key record."""
        record = data.View(layouts.Key, shift[8 * wire.REPLY.size :][: layouts.Key.size])
        words: Value = record.public_key
        m.d.comb += self.public.want.eq(~waits)
        m.d.sync += [
            record.generation.eq(self.key_info.generation),
            record.curve.eq(self.key_info.curve),
        ]
        with m.If(self.public_taken & ~waits):
            m.d.sync += waits.eq(1)
        with m.If(waits):
            m.d.sync += [
                words.word_select(index, 256).eq(self.public_word),
                waits.eq(0),
                index.eq(~index),
            ]
            with m.If(index):
                m.next = "send"
