"""Several sources of TLPs, one way out."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from . import tlp


class Arbiter(wiring.Component):
    """Passes whole TLPs on, those of the source named first before others.

    Parameters
    ----------
    sources : int
        How many, at least 1.

    Members
    -------
    i_0, i_1 ... : In(stream of Packet(32))
        Sources; a TLP begun is ended before another one begins.
    o : Out(stream of Packet(32))
        All of them.

    Timing: a clock to choose a TLP, none for its DWs: one that was taken from a source has left.
    """

    def __init__(self, sources: int) -> None:
        if sources < 1:
            raise ValueError(f"sources={sources} must be at least 1")
        self.sources = sources
        super().__init__(
            {**{f"i_{n}": In(tlp.tlps()) for n in range(sources)}, "o": Out(tlp.tlps())}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chosen = Signal(self.sources)
        inputs = [getattr(self, f"i_{n}") for n in range(self.sources)]
        with m.If(chosen == 0):
            for n, source in reversed(list(enumerate(inputs))):
                with m.If(source.valid):
                    m.d.sync += chosen.eq(1 << n)
        for n, source in enumerate(inputs):
            with m.If(chosen[n]):
                m.d.comb += [
                    self.o.valid.eq(source.valid),
                    self.o.payload.eq(source.payload),
                    source.ready.eq(self.o.ready),
                ]
        with m.If(self.o.valid & self.o.ready & self.o.payload.last):
            m.d.sync += chosen.eq(0)
        return m
