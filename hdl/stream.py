"""Payload shapes that travel between blocks. Streams themselves are ``amaranth.lib.stream``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data

CHUNK_BYTES = 8
"""Bytes in a full :data:`Chunk`."""


def Packet(width: int) -> data.StructLayout:
    """Shape of a stream of packets: words of ``width`` bits, ``last`` set on a packet's last."""
    return data.StructLayout({"data": width, "last": 1})


Chunk = data.StructLayout({"data": 8 * CHUNK_BYTES, "count": range(CHUNK_BYTES + 1), "last": 1})
"""Shape of a message: up to eight bytes a transfer, in reading order.

``data``
    The message's next byte in bits 63..56, the one after it in bits 55..48, and so on. Bits below
    the last counted byte mean nothing.
``count``
    Bytes that count, 0..8. Every chunk but the last has 8; the last has 0..8, and 0 only where the
    message is empty or ended with the chunk before.
``last``
    Set on the last chunk of a message.
"""


def distribute(m: Module, source: Any, sinks: list[tuple[Any, Any]]) -> None:
    """Connect ``source`` to the first sink of ``sinks`` that is ready and whose condition holds.

    The sinks' ``ready`` must not depend on their ``valid``.
    """
    m.d.comb += [sink.payload.eq(source.payload) for sink, _ in sinks]
    for i, (sink, accepts) in enumerate(sinks):
        chosen = sink.ready & accepts
        with m.If(chosen) if i == 0 else m.Elif(chosen):
            m.d.comb += [sink.valid.eq(source.valid), source.ready.eq(1)]


def prefer(m: Module, sources: list[Any], sink: Any) -> None:
    """Connect the first of ``sources`` that is valid to ``sink``, in each clock anew: what is
    offered may change while it waits."""
    for i, source in enumerate(sources):
        with m.If(source.valid) if i == 0 else m.Elif(source.valid):
            m.d.comb += [
                sink.valid.eq(1),
                sink.payload.eq(source.payload),
                source.ready.eq(sink.ready),
            ]


def merge(m: Module, sources: list[Any], sink: Any) -> None:
    """Connect ``sources`` to ``sink``, one transfer after the other.

    Between two transfers a clock passes. An earlier source goes first when both wait.
    """
    word, valid, free, _ = _chosen(m, sources, sink, lambda word: 1)
    m.d.comb += [sink.valid.eq(valid), sink.payload.eq(word), free.eq(sink.ready)]


def merge_registered(
    m: Module, sources: list[Any], sink: Any, *, ends: Callable[[Any], Any] = lambda word: 1
) -> None:
    """As :func:`merge`, one packet after the other: a payload of which ``ends`` is true ends it.

    Each word is registered on its way and zeroised behind the packet.
    """
    word, valid, free, moves = _chosen(m, sources, sink, ends)
    m.d.comb += free.eq(~sink.valid | sink.ready)
    with m.If(free):
        m.d.sync += sink.valid.eq(valid)
        with m.If(moves):
            m.d.sync += sink.payload.eq(word)
        with m.Else():
            m.d.sync += sink.payload.eq(0)


def _chosen(
    m: Module, sources: list[Any], sink: Any, ends: Callable[[Any], Any]
) -> tuple[Any, Signal, Signal, Signal]:
    """The word of the source in turn, whether there is one, a signal that says it is taken, and
    whether it is any source's turn.

    The turn passes when a word was taken that ``ends`` it.
    """
    chosen, moves, free = Signal(range(len(sources))), Signal(), Signal()
    word, valid = Signal.like(sink.payload), Signal()
    with m.If(~moves):
        for i, source in reversed(list(enumerate(sources))):
            with m.If(source.valid):
                m.d.sync += [chosen.eq(i), moves.eq(1)]
    with m.Elif(valid & free & ends(word)):
        m.d.sync += moves.eq(0)
    with m.Switch(chosen):
        for i, source in enumerate(sources):
            with m.Case(i):
                m.d.comb += [
                    valid.eq(source.valid & moves),
                    word.eq(source.payload),
                    source.ready.eq(free & moves),
                ]
    return word, valid, free, moves


def registered(m: Module, source: Any) -> Any:
    """``source`` a clock later, with no path through from its ``ready`` to its ``valid``.

    A transfer a clock; two wait at most. Payloads are zeroised as they leave.
    """
    sink = source.signature.create()
    spare = Signal(source.payload.shape())
    full = Signal()
    m.d.comb += source.ready.eq(~full)
    with m.If(~sink.valid | sink.ready):
        m.d.sync += [sink.valid.eq(full | source.valid), full.eq(0), spare.eq(0)]
        with m.If(full):
            m.d.sync += sink.payload.eq(spare)
        with m.Elif(source.valid):
            m.d.sync += sink.payload.eq(source.payload)
        with m.Else():
            m.d.sync += sink.payload.eq(0)
    with m.Elif(source.valid & ~full):
        m.d.sync += [full.eq(1), spare.eq(source.payload)]
    return sink
