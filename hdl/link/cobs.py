"""Consistent overhead byte stuffing: frames without zero bytes between zero delimiters.

Source: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on
Networking 7(2), 1999.
"""

from typing import Any

from amaranth import Elaboratable, Module, Mux, Signal
from amaranth.lib import data, memory, stream
from amaranth.lib.wiring import Component, In, Out

from intaglio import wire
from intaglio.hdl.stream import Packet

BLOCK_BYTES = 254
"""Most data bytes behind one code byte."""

Decoded = data.StructLayout({"data": 8, "end": 1, "error": 1})
"""A byte of a frame (``end`` 0), or its end (``end`` 1; ``error``: it was cut inside a block)."""


class CobsDecoder(Component):
    """Bytes of a line to bytes of frames and their ends.

    An end comes for every delimiter, also for one right behind another.

    Members
    -------
    i : In(stream of 8 bits, always ready)
    o : Out(stream of Decoded, always ready)
        In the same clock as its byte; nothing for some code bytes.
    """

    i: In(stream.Signature(8, always_ready=True))
    o: Out(stream.Signature(Decoded, always_ready=True))

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        left = Signal(range(BLOCK_BYTES + 1))
        zero_due = Signal()

        byte = self.i.payload
        with m.If(self.i.valid):
            with m.If(byte == wire.FRAME_DELIMITER):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.end.eq(1),
                    self.o.payload.error.eq(left != 0),
                ]
                m.d.sync += [left.eq(0), zero_due.eq(0)]
            with m.Elif(left == 0):
                m.d.comb += self.o.valid.eq(zero_due)
                m.d.sync += [left.eq(byte - 1), zero_due.eq(byte != BLOCK_BYTES + 1)]
            with m.Else():
                m.d.comb += [self.o.valid.eq(1), self.o.payload.data.eq(byte)]
                m.d.sync += left.eq(left - 1)
        return m


class CobsEncoder(Component):
    """Packets to delimited frames: collects a block, then sends it behind its code byte.

    Members
    -------
    i : In(stream of Packet(8))
        A packet of any length but 0.
    o : Out(stream of 8 bits)
        Encoded bytes, a delimiter behind each packet, from a register.
    busy : Out(1)
        Something was taken that is not sent yet.

    Timing: a block of n bytes takes n clocks to collect and n + 2 to send, and shows a clock later.
    """

    i: In(stream.Signature(Packet(8)))
    o: Out(stream.Signature(8))
    busy: Out(1)

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        m.submodules.block = block = memory.Memory(shape=8, depth=BLOCK_BYTES, init=[])
        write, read = block.write_port(), block.read_port()
        count = Signal(range(BLOCK_BYTES + 1))
        sent = Signal(range(BLOCK_BYTES + 1))
        zero_ends = Signal()
        last = Signal()
        valid, ready = Signal(), Signal()
        code, in_data = Signal(8, init=wire.FRAME_DELIMITER), Signal()

        with m.If(ready):
            payload = Mux(in_data, read.data, code)
            m.d.sync += [self.o.valid.eq(valid), self.o.payload.eq(payload)]
        m.d.comb += [
            ready.eq(~self.o.valid | self.o.ready),
            write.addr.eq(count),
            write.data.eq(self.i.payload.data),
            read.addr.eq(sent),
        ]
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("collect") | (count != 0) | self.o.valid)
            with m.State("collect"):
                m.d.comb += self.i.ready.eq(1)
                is_zero = self.i.payload.data == 0
                with m.If(self.i.valid):
                    m.d.comb += write.en.eq(~is_zero)
                    m.d.sync += [zero_ends.eq(is_zero), last.eq(self.i.payload.last)]
                    with m.If(~is_zero):
                        m.d.sync += count.eq(count + 1)
                    with m.If(is_zero | self.i.payload.last | (count == BLOCK_BYTES - 1)):
                        m.next = "code"
            with m.State("code"):
                m.d.comb += [valid.eq(1), code.eq(count + 1)]
                with m.If(ready):
                    m.d.sync += sent.eq(1)
                    m.next = "next"
                    with m.If(count != 0):
                        m.d.sync += in_data.eq(1)
                        m.next = "data"
            with m.State("data"):
                m.d.comb += [valid.eq(1), read.en.eq(ready)]
                with m.If(ready):
                    m.d.sync += sent.eq(sent + 1)
                    with m.If(sent == count):
                        m.d.sync += in_data.eq(0)
                        m.next = "next"
            with m.State("next"):
                m.d.sync += [count.eq(0), sent.eq(0), zero_ends.eq(0)]
                m.next = "collect"
                with m.If(last & zero_ends):
                    m.next = "code"
                with m.Elif(last):
                    m.next = "delimiter"
            with m.State("delimiter"):
                m.d.comb += valid.eq(1)
                with m.If(ready):
                    m.next = "collect"
        return m
