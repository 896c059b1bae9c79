"""Replies out: header and body, byte by byte."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from . import keystore, layouts
from .engine.isa import LIMB_BITS, LIMBS, WORD_BITS
from .layouts import CurveId, Status
from .stations.words import shifted
from .stream import Packet


class Body(enum.Enum, shape=3):
    """What follows a reply's header."""

    NONE = 0
    IDENTITY = 1
    COUNTERS = 2
    KEY = 3
    SIGNATURE = 4


_STATES = {
    Body.IDENTITY: "identity",
    Body.COUNTERS: "counters",
    Body.KEY: "key",
    Body.SIGNATURE: "take",
}
"""Where each body begins."""

_BODY_BYTES = {
    Body.IDENTITY: wire.IDENTITY.size,
    Body.COUNTERS: wire.COUNTERS.size,
    Body.KEY: wire.KEY.size,
    Body.SIGNATURE: wire.SIGNATURE_BYTES,
}

_WORD_BYTES = wire.SIGNATURE_BYTES // 2


def reply_layout(keys: int) -> data.StructLayout:
    """A reply. ``big_endian``: how a signature's words become bytes; ``slot``: whose key record."""
    return data.StructLayout(
        {
            "op": 8,
            "tag": wire.TAG_BITS,
            "status": Status,
            "recid": 8,
            "cycles": 32,
            "body": Body,
            "slot": range(keys),
            "big_endian": 1,
        }
    )


class Replier(wiring.Component):
    """Sends replies, one after the other.

    Members
    -------
    reply : In(stream of reply_layout), limbs : In(stream of LIMB_BITS)
        The next reply; taken when the one before has been sent. ``limbs``: those of a signature's
        two words, taken after a reply with body SIGNATURE, each word's before its first byte.
    identity : In(Identity), counters : In(Counters)
        Bodies; counters as they are when the reply is taken.
    key_slot : Out, key_info : In(keystore.Info)
        Lookup in the key store, in the same clock.
    public : Out({want, slot, index, limb}), public_taken : In(1), public_limb : In(LIMB_BITS)
        Reads a limb of a public word: two clocks after a clock with ``want`` and ``public_taken``.
        Ed25519's word is sent from its least significant byte on, others from the most significant.
    replies : Out(stream of Packet(8))
        Payloads, without CRC.
    idle : Out(1)

    Timing: a byte every two clocks; a word's limbs are fetched before its first.
    """

    def __init__(self, *, keys: int, jobs: int) -> None:
        self.keys = keys
        public = data.StructLayout(
            {
                "want": 1,
                "slot": range(keys),
                "index": range(keystore.PUBLIC_WORDS),
                "limb": range(LIMBS),
            }
        )
        super().__init__(
            {
                "reply": In(stream.Signature(reply_layout(keys))),
                "limbs": In(stream.Signature(LIMB_BITS)),
                "identity": In(layouts.Identity),
                "counters": In(layouts.Counters),
                "key_slot": Out(range(keys)),
                "key_info": In(keystore.Info(jobs)),
                "public": Out(public),
                "public_taken": In(1),
                "public_limb": In(LIMB_BITS),
                "replies": Out(stream.Signature(Packet(8))),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taken = Signal(self.reply.payload.shape())
        word, limb, comes = Signal(WORD_BITS), Signal(range(LIMBS)), Signal(2)
        counters, self._chosen = Signal(layouts.Counters), Signal()
        index, big_endian = Signal(), Signal()
        header = self._header(m, taken)
        info = Signal.like(self.key_info)
        key = Cat(info.generation, info.curve, C(0, 8 - len(info.curve)), C(0, 8))
        m.d.comb += [
            self.key_slot.eq(taken.slot),
            self.public.slot.eq(taken.slot),
            self.public.index.eq(index),
            self.public.limb.eq(limb),
        ]
        m.d.sync += comes.eq(Cat(self.public.want & self.public_taken, comes))
        with m.If(comes[-1]):
            m.d.sync += word.eq(shifted(word, self.public_limb))
        with m.If(self.limbs.valid & self.limbs.ready):
            m.d.sync += word.eq(shifted(word, self.limbs.payload))
        with m.If(self.replies.ready):
            m.d.sync += [self.replies.valid.eq(0), self.replies.payload.eq(0)]
        with m.FSM() as fsm:
            m.d.comb += self.idle.eq(fsm.ongoing("idle") & ~self.replies.valid)
            with m.State("idle"):
                m.d.sync += [
                    self.reply.ready.eq(1),
                    taken.eq(self.reply.payload),
                    counters.eq(self.counters),
                    word.eq(0),
                    big_endian.eq(self.reply.payload.big_endian),
                ]
                with m.If(self.reply.valid & self.reply.ready):
                    m.d.sync += self.reply.ready.eq(0)
                    m.next = "look"
            with m.State("look"):
                m.d.sync += info.eq(self.key_info)
                m.next = "header"
            with self._bytes(m, "header", header), m.Switch(taken.body):
                for body, state in _STATES.items():
                    with m.Case(body):
                        m.next = state
                with m.Default():
                    self._end(m)
            with self._bytes(m, "identity", self.identity.as_value()):
                self._end(m)
            with self._bytes(m, "counters", counters.as_value()):
                self._end(m)
            with self._bytes(m, "key", key):
                m.d.sync += big_endian.eq(info.curve != CurveId.ED25519)
                m.next = "ask"
            with m.State("ask"):
                m.d.comb += self.public.want.eq(1)
                with m.If(self.public_taken):
                    m.d.sync += limb.eq(limb + 1)
                    with m.If(limb == LIMBS - 1):
                        m.next = "found"
            with m.State("found"), m.If(~comes[0]):
                m.next = "word"
            with m.State("take"):
                m.d.comb += self.limbs.ready.eq(1)
                with m.If(self.limbs.valid):
                    m.d.sync += limb.eq(limb + 1)
                    with m.If(limb == LIMBS - 1):
                        m.next = "word"
            with self._bytes(m, "word", word[: 8 * _WORD_BYTES], big_endian):
                m.d.sync += index.eq(~index)
                m.next = "take"
                with m.If(taken.body == Body.KEY):
                    m.next = "ask"
                with m.If(index):
                    self._end(m)
        return m

    def _header(self, m: Module, taken: data.View) -> Value:
        """The reply's header."""
        header, length = Signal(layouts.Reply), Signal(16)
        with m.Switch(taken.body):
            for body, size in _BODY_BYTES.items():
                with m.Case(body):
                    m.d.comb += length.eq(size)
        m.d.comb += [
            header.version.eq(wire.VERSION),
            header.op.eq(taken.op),
            header.tag.eq(taken.tag),
            header.status.eq(taken.status),
            header.recid.eq(Mux(taken.body == Body.SIGNATURE, taken.recid, wire.NO_RECID)),
            header.length.eq(length),
            header.cycles.eq(taken.cycles),
        ]
        return header.as_value()

    def _end(self, m: Module) -> None:
        """The byte was the reply's last."""
        m.d.sync += self.replies.payload.last.eq(1)
        m.next = "idle"

    @contextmanager
    def _bytes(
        self, m: Module, name: str, value: Value, big_endian: Value | None = None
    ) -> Iterator[None]:
        """The state in which the bytes of ``value`` are sent, the least significant first or, where
        so many are a power of two, the other way round; what is done after the last."""
        count, known_as = len(value) // 8, name.replace(" ", "_")
        at, octet = Signal(range(count), name=f"{known_as}_at"), Signal(8, name=known_as)
        place = at if big_endian is None else at ^ big_endian.replicate(len(at))
        m.d.sync += octet.eq(value.word_select(place, 8))
        with m.State(name):
            m.d.sync += self._chosen.eq(1)
            with m.If(self._chosen & (~self.replies.valid | self.replies.ready)):
                m.d.sync += [
                    self._chosen.eq(0),
                    self.replies.valid.eq(1),
                    self.replies.payload.data.eq(octet),
                    self.replies.payload.last.eq(0),
                    at.eq(at + 1),
                ]
                with m.If(at == count - 1):
                    m.d.sync += at.eq(0)
                    yield
