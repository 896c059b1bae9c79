"""A design small enough to route in seconds that uses every kind of cell that the core uses."""

import random
from typing import Any

from amaranth.hdl import C, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from intaglio.hdl.blockram import BlockRam, BlockRom
from intaglio.hdl.field.dsp import Dsp
from intaglio.hdl.link.uart import UartReceiver, UartTransmitter

TABLE_WORDS = 256
SALT_WORDS = 2048
SPICE_WORDS = 2500
LAST = 16
"""Answers that are kept."""


def table() -> list[int]:
    """First words of the block RAM: 36 bits each."""
    source = random.Random(7)
    return [source.getrandbits(36) for _ in range(TABLE_WORDS)]


def salt() -> list[int]:
    """First words of the block RAM with an output register: 9 bits each."""
    source = random.Random(8)
    return [source.getrandbits(9) for _ in range(SALT_WORDS)]


def spice() -> list[int]:
    """Words of the block ROM that is read twice: 20 bits each, in two rows of blocks."""
    source = random.Random(9)
    return [source.getrandbits(20) for _ in range(SPICE_WORDS)]


class ProbeModel:
    """What a :class:`Probe` answers, byte by byte."""

    def __init__(self) -> None:
        self.words, self.last, self.count = table(), [0] * LAST, 0
        self.salt, self.spice = salt(), spice()

    def answer(self, byte: int) -> int:
        word = self.words[byte]
        product = (word & 0x3FFFF) * (word >> 18)
        self.words[byte] = product
        total = (product >> 14) + self.last[self.count % LAST] + self.count
        total += self.salt[self.count % 8 << 8 | byte]
        total += self.spice[self.count % 8 << 8 | byte] >> 10
        total = total + self.spice[2048 | byte] & 0xFF
        self.last[self.count % LAST] = total
        self.count += 1
        return total


class Probe(wiring.Component):
    """Answers each byte with one, by way of block RAM, a multiplier, adders and distributed RAM.

    Byte ``b`` picks word ``w`` of a table; the product of its halves takes its place, and the
    answer is 8 bits of that product plus the answer before last by 16 plus a count plus three words
    that byte and count pick, modulo 256.
    Members and parameters are those of :class:`intaglio.hdl.device.SerialSigner`, of which this
    takes the place on a board.
    """

    rx: In(1, init=1)
    tx: Out(1, init=1)
    git_revision: In(160)
    busy: Out(1)

    def __init__(self, profile: Any, *, clocks_per_bit: int, clock_hz: int) -> None:
        self.clocks_per_bit = clocks_per_bit
        super().__init__()

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.clocks_per_bit)
        m.submodules.transmitter = transmitter = UartTransmitter(self.clocks_per_bit)
        m.submodules.words = words = BlockRam(shape=36, depth=TABLE_WORDS, init=table())
        m.submodules.salts = salts = BlockRam(
            shape=9, depth=SALT_WORDS, init=salt(), registered=True
        )
        m.submodules.spices = spices = BlockRom(width=20, words=spice(), readers=2)
        m.submodules.dsp = dsp = Dsp()
        m.submodules.last = last = Memory(shape=8, depth=LAST, init=[])
        older, newer = last.read_port(domain="comb"), last.write_port()
        count, byte, total = Signal(8), Signal(8), Signal(8)
        steps = Signal(2 + dsp.latency)
        done = steps[-1]
        m.d.sync += steps.eq(steps << 1 | receiver.o.valid)
        with m.If(receiver.o.valid):
            m.d.sync += byte.eq(receiver.o.payload)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            words.read_addr.eq(byte),
            salts.read_addr.eq(Cat(byte, count[:3])),
            spices.en_0.eq(1),
            spices.addr_0.eq(Cat(byte, count[:3])),
            spices.en_1.eq(receiver.o.valid | steps[0]),
            spices.addr_1.eq(Cat(byte, C(0, 3), 1)),
            dsp.a.eq(words.read[:18]),
            dsp.b.eq(words.read[18:]),
            words.write.addr.eq(byte),
            words.write.data.eq(dsp.p),
            words.write.en.eq(done),
            older.addr.eq(count),
            newer.addr.eq(count),
            newer.data.eq(total),
            newer.en.eq(done),
            total.eq(
                dsp.p[14:22] + older.data + count + salts.read + spices.word_0[10:] + spices.word_1
            ),
            transmitter.i.payload.eq(total),
            transmitter.i.valid.eq(done),
            self.busy.eq(receiver.busy | transmitter.busy | steps.any()),
        ]
        with m.If(done):
            m.d.sync += count.eq(count + 1)
        return m
