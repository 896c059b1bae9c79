"""Reads a message from its pages: asks for it, passes it on, checks what was read."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out

from intaglio import wire

from ..stream import CHUNK_BYTES, Chunk


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
    check : Out(32)
        CRC-32 of the message's bytes, with zeros appended to a multiple of 8 bytes, as they passed;
        0 if none did. Valid from the clock after the last chunk until the next request is taken.

    Timing
    ------
    Chunks pass in the clock they are offered.

    Security
    --------
    Messages pass and are not kept. Time depends on lengths and handshakes.

    Source: CRC-32 of IEEE 802.3 (the one :func:`zlib.crc32` computes).
    """

    def __init__(self, page_width: int) -> None:
        location = stream.Signature(location_layout(page_width))
        super().__init__(
            {
                "request": In(location),
                "fetch": Out(location),
                "message": In(stream.Signature(Chunk)),
                "chunks": Out(stream.Signature(Chunk)),
                "check": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = CRC32_ETHERNET(data_width=8 * CHUNK_BYTES).create()
        location = Signal.like(self.request.payload)
        fetched = Signal()
        chunk = self.message.p

        octets = [chunk.data[i : i + 8] for i in reversed(range(0, 8 * CHUNK_BYTES, 8))]
        counted = [octet & (chunk.count > i).replicate(8) for i, octet in enumerate(octets)]
        m.d.comb += [
            self.fetch.payload.eq(location),
            crc.data.eq(Cat(counted)),
            self.check.eq(crc.crc),
        ]

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.request.ready.eq(1)
                with m.If(self.request.valid):
                    m.d.comb += crc.start.eq(1)
                    m.d.sync += location.eq(self.request.payload)
                    m.next = "empty"
                    with m.If(self.request.p.length != 0):
                        m.next = "pass"
            with m.State("empty"):
                m.d.comb += [self.chunks.valid.eq(1), self.chunks.p.last.eq(1)]
                with m.If(self.chunks.ready):
                    m.next = "idle"
            with m.State("pass"):
                m.d.comb += [
                    self.fetch.valid.eq(~fetched),
                    self.chunks.valid.eq(self.message.valid),
                    self.chunks.payload.eq(chunk),
                    self.message.ready.eq(self.chunks.ready),
                ]
                with m.If(self.fetch.ready):
                    m.d.sync += fetched.eq(1)
                with m.If(self.message.valid & self.message.ready):
                    m.d.comb += crc.valid.eq(chunk.count != 0)
                    with m.If(chunk.last):
                        m.d.sync += fetched.eq(0)
                        m.next = "idle"
        return m
