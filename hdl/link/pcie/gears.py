"""Between streams of one DW and of two, as endpoint blocks have them."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from . import tlp

Wide = data.StructLayout({"data": 64, "both": 1, "last": 1})
"""Two DWs, the first in the low half; ``both``: the second one counts."""


class Narrow(wiring.Component):
    """Two DWs to one and one.

    Members
    -------
    i : In(stream of Wide), o : Out(stream of Packet(32))
        The same packets.

    Timing: a clock a DW, no latency.
    """

    i: In(stream.Signature(Wide))
    o: Out(tlp.tlps())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        second, whole = Signal(), self.i.payload
        more = whole.both & ~second
        m.d.comb += [
            self.o.valid.eq(self.i.valid),
            self.o.payload.data.eq(whole.data.word_select(second, 32)),
            self.o.payload.last.eq(whole.last & ~more),
            self.i.ready.eq(self.o.ready & ~more),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += second.eq(more)
        return m


class Widen(wiring.Component):
    """One DW and one to two.

    Members
    -------
    i : In(stream of Packet(32)), o : Out(stream of Wide)
        The same packets.

    Timing: a clock a DW, no latency.
    """

    i: In(tlp.tlps())
    o: Out(stream.Signature(Wide))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, second, word = Signal(32), Signal(), self.i.payload
        waits = ~second & ~word.last
        m.d.comb += [
            self.o.valid.eq(self.i.valid & ~waits),
            self.o.payload.data.eq(Mux(second, Cat(first, word.data), word.data)),
            self.o.payload.both.eq(second),
            self.o.payload.last.eq(word.last),
            self.i.ready.eq(self.o.ready | waits),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [second.eq(waits), first.eq(word.data)]
        return m
