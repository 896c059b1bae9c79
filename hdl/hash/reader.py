"""Reads a message from its pages: asks for it, passes it on, checks what was read."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio import wire

from ..stream import Chunk
from .check import CHECK_BITS, counted, extended


def location_layout(page_width: int) -> data.StructLayout:
    """Shape of where a message is: its first ``page`` and its ``length`` in bytes, 0..4096."""
    return data.StructLayout({"page": page_width, "length": range(wire.MAX_MESSAGE_BYTES + 1)})


class MessageReader(wiring.Component):
    """Turns the place of a message into its chunks, and sums up what it read.

    Parameters
    ----------
    page_width
        Bits of a page number.

    Members
    -------
    request : In(stream of {page, length})
        The next message. Taken when the message before it has passed whole.
    fetch : Out(stream of {page, length})
        Goes to the message pool; none for a message of 0 bytes.
    message : In(stream of Chunk)
        The pool's answer.
    chunks : Out(stream of Chunk)
        The same chunks; for a message of 0 bytes one last chunk of count 0.
    check : Out(64)
        What :func:`~intaglio.hdl.hash.check.extended` makes of the chunks that passed; 0 if none
        did. Valid from the clock after the last chunk until the next request is taken.

    Timing
    ------
    Chunks pass in the clock they are offered.

    Security
    --------
    Messages pass and are not kept; the check, which is 64 bits of what they say, is. Time depends
    on lengths and handshakes.
    """

    def __init__(self, page_width: int) -> None:
        location = stream.Signature(location_layout(page_width))
        super().__init__(
            {
                "request": In(location),
                "fetch": Out(location),
                "message": In(stream.Signature(Chunk)),
                "chunks": Out(stream.Signature(Chunk)),
                "check": Out(CHECK_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        location = Signal.like(self.request.payload)
        fetched, empty = Signal(), Signal()
        chunk = self.message.p

        m.d.comb += [
            self.fetch.payload.eq(location),
            self.chunks.p.data.eq(chunk.data),
            self.chunks.p.count.eq(Mux(empty, 0, chunk.count)),
            self.chunks.p.last.eq(chunk.last | empty),
        ]

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.request.ready.eq(1)
                with m.If(self.request.valid):
                    m.d.sync += [
                        location.eq(self.request.payload),
                        self.check.eq(0),
                        empty.eq(self.request.p.length == 0),
                    ]
                    m.next = "pass"
                    with m.If(self.request.p.length == 0):
                        m.next = "empty"
            with m.State("empty"):
                m.d.comb += self.chunks.valid.eq(1)
                with m.If(self.chunks.ready):
                    m.d.sync += empty.eq(0)
                    m.next = "idle"
            with m.State("pass"):
                m.d.comb += [
                    self.fetch.valid.eq(~fetched),
                    self.chunks.valid.eq(self.message.valid),
                    self.message.ready.eq(self.chunks.ready),
                ]
                with m.If(self.fetch.ready):
                    m.d.sync += fetched.eq(1)
                with m.If(self.message.valid & self.message.ready):
                    with m.If(chunk.count != 0):
                        m.d.sync += self.check.eq(extended(self.check, counted(chunk)))
                    with m.If(chunk.last):
                        m.d.sync += fetched.eq(0)
                        m.next = "idle"
        return m
