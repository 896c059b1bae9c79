"""Frames on a byte link, ``COBS(payload || CRC-32(payload)) || 00``, and the packets in them."""

from typing import Any

from amaranth import Cat, Elaboratable, Module, Mux, Signal
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
        clock may bring one (a UART's bytes are at least 20 clocks apart).
    damaged : In(1)
        Pulse: the link lost a byte; the frame it belongs to is bad.
    o : Out(stream of Packet(8))
        Payloads without their CRC, a byte a clock.
    good, bad : Out(1)
        Pulses, from registers: a frame was stored; a frame was dropped.
    busy : Out(1)
        A frame is coming in, waits to be read, or leaves bytes to be zeroised.

    Timing: ``latency`` clocks from a frame's last byte to ``good`` or ``bad``.
    Security: a payload may carry a key; :class:`PacketStore` zeroises all it held.
    """

    latency = 3

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

        # A byte is decoded, summed up and counted, found room for, stored: a clock each.
        item = Signal.like(decoder.o.payload)
        is_byte, ends, damaged = Signal(), Signal(), Signal()
        connect(m, flipped(self.i), decoder.i)
        connect(m, store.o, flipped(self.o))
        m.d.sync += [
            item.eq(decoder.o.payload),
            is_byte.eq(decoder.o.valid & ~decoder.o.payload.end),
            ends.eq(decoder.o.valid & decoder.o.payload.end),
            damaged.eq(self.damaged),
        ]

        # The CRC must not enter the store, and the last payload byte must enter it marked as such:
        # so many bytes are held back.
        held = Signal(8 * (wire.CRC_BYTES + 1))
        held_bytes = Signal(range(wire.CRC_BYTES + 2))
        least, most = self.min_bytes + wire.CRC_BYTES, self.max_bytes + wire.CRC_BYTES
        missing, left = Signal(range(least + 1), init=least), Signal(range(most + 1), init=most)
        spoiled, full, whole = Signal(), Signal(), Signal()
        appends, commits, drops, begun = Signal(), Signal(), Signal(), Signal()
        octet = Signal(8)
        m.d.comb += [
            checksum.data.eq(item.data),
            checksum.valid.eq(is_byte),
            checksum.start.eq(ends),
            full.eq(held_bytes == wire.CRC_BYTES + 1),
            whole.eq((missing == 0) & ~spoiled & ~item.error & checksum.match_detected),
        ]
        m.d.sync += [
            appends.eq(is_byte & full & ~spoiled),
            commits.eq(ends & whole),
            drops.eq(ends & ~whole),
            begun.eq(item.error | spoiled | (held_bytes != 0)),
            octet.eq(Mux(is_byte | ends, held[:8], 0)),
        ]
        with m.If(is_byte):
            m.d.sync += [held.eq(Cat(held[8:], item.data)), left.eq(left - 1)]
            with m.If(~full):
                m.d.sync += held_bytes.eq(held_bytes + 1)
            with m.If(missing != 0):
                m.d.sync += missing.eq(missing - 1)
            with m.If(left == 0):
                m.d.sync += [left.eq(0), spoiled.eq(1)]
        with m.If(ends):
            m.d.sync += [held.eq(0), held_bytes.eq(0), spoiled.eq(0)]
            m.d.sync += [missing.eq(least), left.eq(most)]
        with m.If(damaged):
            m.d.sync += spoiled.eq(1)

        lost, fits = Signal(), Signal()
        m.d.comb += [
            fits.eq(store.room & ~lost),
            self.good.eq(store.commit),
            self.busy.eq(
                (store.busy | (held_bytes != 0) | spoiled)
                | (is_byte | ends | damaged | appends | commits | drops)
                | (store.append | store.commit | store.drop)
            ),
        ]
        m.d.sync += [
            store.data.eq(octet),
            store.append.eq(appends & fits),
            store.commit.eq(commits & fits),
            store.drop.eq(drops | (commits & ~fits)),
            self.bad.eq((commits & ~fits) | (drops & begun)),
        ]
        with m.If(commits | drops):
            m.d.sync += lost.eq(0)
        with m.Elif(appends & ~store.room):
            m.d.sync += lost.eq(1)
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
        octet, summed = Signal(8), Signal()

        connect(m, encoder.o, flipped(self.o))
        m.d.sync += [octet.eq(self.i.payload.data), summed.eq(self.i.valid & self.i.ready)]
        m.d.comb += [checksum.data.eq(octet), checksum.valid.eq(summed)]
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
            with m.State("sum"), m.If(~summed):
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
