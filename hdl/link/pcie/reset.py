"""When the engine is reset, and when it is out of it."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Resetter(wiring.Component):
    """Lets a reset wait for what is in flight.

    Members
    -------
    wish, hold : In(1)
        A reset is wanted; as ``wish``, and it does not end before ``hold`` falls.
    quiet : In(1)
        No TLP is half sent and no read awaits its completion.
    clean : In(1)
        Every memory was zeroised.
    halt, clear : Out(1)
        Nothing may be begun; resets all that is under way, for one clock.
    begins : Out(1)
        Pulse: a reset was taken up.
    ready : Out(1)
        No reset is under way.
    """

    wish: In(1)
    hold: In(1)
    quiet: In(1)
    clean: In(1)
    halt: Out(1)
    clear: Out(1)
    begins: Out(1)
    ready: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.FSM():
            with m.State("settle"):
                with m.If(self.wish | self.hold):
                    m.d.comb += self.begins.eq(1)
                    m.next = "drain"
                with m.Elif(self.clean):
                    m.next = "run"
            with m.State("run"):
                m.d.comb += self.ready.eq(1)
                with m.If(self.wish | self.hold):
                    m.d.comb += self.begins.eq(1)
                    m.next = "drain"
            with m.State("drain"):
                m.d.comb += self.halt.eq(1)
                with m.If(self.quiet & ~self.hold):
                    m.next = "clear"
            with m.State("clear"):
                m.d.comb += [self.halt.eq(1), self.clear.eq(1)]
                m.next = "settle"
        return m
