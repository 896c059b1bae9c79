"""Frames on a byte link, ``COBS(payload || CRC-32(payload)) || 00``, and the packets in them."""

from typing import Any

from amaranth import Cat, Elaboratable, Module, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from intaglio import wire
from intaglio.hdl.link.cobs import CobsDecoder, CobsEncoder
from intaglio.hdl.link.crc32 import crc32
from intaglio.hdl.link.store import PacketStore
from intaglio.hdl.stream import Packet


class Deframer(Component):
    """Verified packets from the bytes of a link.

    A frame is stored as it comes and shows at the output once it is whole: its COBS is complete,
    its CRC right, its payload ``min_bytes..max_bytes`` long and the store had room for it. Any
    other frame is dropped and ``bad`` pulses; the next delimiter starts afresh. Empty frames are
    ignored.

    Parameters
    ----------
    min_bytes, max_bytes : int
        Least and greatest length of a payload without its CRC, 1 <= min_bytes <= max_bytes.
    depth : int
        Bytes of the store, at least 2 * max_bytes: one packet is read while the next comes in.

    Members
    -------
    i : In(stream of 8 bits, always ready)
        Bytes of the link. The store zeroises in clocks without a byte, so that at most every other
        clock on average may bring one (a UART's bytes are at least 20 clocks apart).
    damaged : In(1)
        Pulse: the link lost a byte; the frame it belongs to is bad.
    o : Out(stream of Packet(8))
        Payloads without their CRC, a byte a clock.
    good, bad : Out(1)
        Pulses: a frame was stored; a frame was dropped.
    busy : Out(1)
        A frame is coming in, waits to be read, or leaves bytes to be zeroised.

    Security: a payload may carry a key; :class:`PacketStore` zeroises all it held.
    """

    i: In(stream.Signature(8, always_ready=True))
    damaged: In(1)
    o: Out(stream.Signature(Packet(8)))
    good: Out(1)
    bad: Out(1)
    busy: Out(1)

    def __init__(
        self,
        *,
        min_bytes: int = wire.REQUEST.size,
        max_bytes: int = wire.MAX_REQUEST_BYTES,
        depth: int = 2 * wire.MAX_REQUEST_BYTES,
    ) -> None:
        if not 1 <= min_bytes <= max_bytes:
            raise ValueError(f"min_bytes={min_bytes} must be in 1..max_bytes={max_bytes}")
        if depth < 2 * max_bytes:
            raise ValueError(f"depth={depth} must be at least 2 * max_bytes = {2 * max_bytes}")
        self.min_bytes, self.max_bytes, self.depth = min_bytes, max_bytes, depth
        super().__init__()

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.checksum = checksum = crc32()
        m.submodules.store = store = PacketStore(self.depth)

        # The CRC must not enter the store, and the last payload byte must enter it marked as such:
        # so many bytes are held back.
        held = Signal(8 * (wire.CRC_BYTES + 1))
        held_bytes = Signal(range(wire.CRC_BYTES + 2))
        spoiled, is_byte, ends, full, room = Signal(), Signal(), Signal(), Signal(), Signal()
        item = decoder.o.payload

        connect(m, flipped(self.i), decoder.i)
        connect(m, store.o, flipped(self.o))
        m.d.comb += [
            is_byte.eq(decoder.o.valid & ~item.end),
            ends.eq(decoder.o.valid & item.end),
            checksum.data.eq(item.data),
            checksum.valid.eq(is_byte),
            checksum.start.eq(ends),
            full.eq(held_bytes == wire.CRC_BYTES + 1),
            room.eq(store.room & (store.pending < self.max_bytes)),
            store.data.eq(held[:8]),
            store.append.eq(is_byte & full & room & ~spoiled),
            store.commit.eq(self.good),
            store.drop.eq(ends & ~self.good),
            self.bad.eq(ends & ~self.good & (item.error | spoiled | (held_bytes != 0))),
            self.busy.eq(store.busy | (held_bytes != 0) | spoiled),
        ]
        whole = full & room & ~spoiled & ~item.error & checksum.match_detected
        m.d.comb += self.good.eq(ends & whole & (store.pending >= self.min_bytes - 1))

        with m.If(is_byte):
            m.d.sync += held.eq(Cat(held[8:], item.data))
            with m.If(~full):
                m.d.sync += held_bytes.eq(held_bytes + 1)
            with m.Elif(~room):
                m.d.sync += spoiled.eq(1)
        with m.If(ends):
            m.d.sync += [held.eq(0), held_bytes.eq(0), spoiled.eq(0)]
        with m.If(self.damaged):
            m.d.sync += spoiled.eq(1)
        return m


class Framer(Component):
    """Frames of the packets given.

    Members
    -------
    i : In(stream of Packet(8))
        Payloads, at least a byte each.
    o : Out(stream of 8 bits)
        Bytes for the link.
    busy : Out(1)
        Something was taken that is not sent yet.

    Timing: an encoded byte waits for the whole of its COBS block (see :class:`CobsEncoder`).
    """

    i: In(stream.Signature(Packet(8)))
    o: Out(stream.Signature(8))
    busy: Out(1)

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        m.submodules.encoder = encoder = CobsEncoder()
        m.submodules.checksum = checksum = crc32()
        trailer = Signal(8 * wire.CRC_BYTES)
        trailer_bytes = Signal(range(wire.CRC_BYTES + 1))
        begun = Signal()

        connect(m, encoder.o, flipped(self.o))
        m.d.comb += [
            checksum.data.eq(self.i.payload.data),
            checksum.valid.eq(self.i.valid & self.i.ready),
        ]
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("payload") | begun | encoder.busy)
            with m.State("payload"):
                m.d.comb += [
                    encoder.i.valid.eq(self.i.valid),
                    encoder.i.payload.data.eq(self.i.payload.data),
                    self.i.ready.eq(encoder.i.ready),
                ]
                with m.If(self.i.valid & self.i.ready):
                    m.d.sync += begun.eq(1)
                    with m.If(self.i.payload.last):
                        m.next = "sum"
            with m.State("sum"):
                m.d.comb += checksum.start.eq(1)
                m.d.sync += [
                    trailer.eq(checksum.crc),
                    trailer_bytes.eq(wire.CRC_BYTES),
                    begun.eq(0),
                ]
                m.next = "trailer"
            with m.State("trailer"):
                m.d.comb += [
                    encoder.i.valid.eq(1),
                    encoder.i.payload.data.eq(trailer[:8]),
                    encoder.i.payload.last.eq(trailer_bytes == 1),
                ]
                with m.If(encoder.i.ready):
                    m.d.sync += [trailer.eq(trailer >> 8), trailer_bytes.eq(trailer_bytes - 1)]
                    with m.If(trailer_bytes == 1):
                        m.next = "payload"
        return m
