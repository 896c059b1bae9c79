"""A UART that carries packets: the link of boards with a serial port and of the virtual board."""

from typing import Any

from amaranth import Elaboratable, Module
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from intaglio.hdl.link.framer import Deframer, Framer
from intaglio.hdl.link.uart import UartReceiver, UartTransmitter
from intaglio.hdl.stream import Packet


class SerialLink(Component):
    """Packets to and from the two pins of a serial port; composition only.

    Parameters
    ----------
    clocks_per_bit : int
        Clocks a bit lasts, at least 2.

    Members
    -------
    rx, tx : In(1), Out(1)
        The pins, idle high.
    requests : Out(stream of Packet(8))
        Payloads of the good frames received, without their CRC.
    replies : In(stream of Packet(8))
        Payloads to send.
    good, bad : Out(1)
        Pulses: a frame came whole; a frame came damaged and was dropped.
    busy : Out(1)
        Something is coming in, waits, goes out, or is yet to be zeroised.
    """

    rx: In(1, init=1)
    tx: Out(1, init=1)
    requests: Out(stream.Signature(Packet(8)))
    replies: In(stream.Signature(Packet(8)))
    good: Out(1)
    bad: Out(1)
    busy: Out(1)

    def __init__(self, clocks_per_bit: int) -> None:
        self.clocks_per_bit = clocks_per_bit
        super().__init__()

    def elaborate(self, platform: Any) -> Elaboratable:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(self.clocks_per_bit)
        m.submodules.deframer = deframer = Deframer()
        m.submodules.framer = framer = Framer()
        m.submodules.transmitter = transmitter = UartTransmitter(self.clocks_per_bit)

        connect(m, receiver.o, deframer.i)
        connect(m, deframer.o, flipped(self.requests))
        connect(m, flipped(self.replies), framer.i)
        connect(m, framer.o, transmitter.i)
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            deframer.damaged.eq(receiver.error),
            self.good.eq(deframer.good),
            self.bad.eq(deframer.bad),
            self.busy.eq(receiver.busy | deframer.busy | framer.busy | transmitter.busy),
        ]
        return m
