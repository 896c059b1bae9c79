"""A signing core behind a UART: what a board with a serial port, and the virtual board, carries."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from intaglio.params import SECP256K1, Weierstrass

from .core import SigningCore
from .link.serial import SerialLink
from .profiles import Profile


class SerialSigner(wiring.Component):
    """:class:`SigningCore` and :class:`SerialLink`; composition only.

    Parameters
    ----------
    profile : Profile
        Size of the core.
    clocks_per_bit : int
        Clocks a bit lasts on the UART, at least 2.
    clock_hz : int
        Clock, for the identity record; 0 in simulation.
    curve : Weierstrass
        As for :class:`SigningCore`.

    Members
    -------
    rx, tx : In(1), Out(1)
        The pins, idle high.
    git_revision : In(160)
        For the identity record, byte 0 in bits 7..0.
    busy : Out(1)
        Low, the clock may stop until ``rx`` falls.
    """

    rx: In(1, init=1)
    tx: Out(1, init=1)
    git_revision: In(160)
    busy: Out(1)

    def __init__(
        self,
        profile: Profile,
        *,
        clocks_per_bit: int,
        clock_hz: int = 0,
        curve: Weierstrass = SECP256K1,
    ) -> None:
        self.profile, self.clocks_per_bit, self.clock_hz = profile, clocks_per_bit, clock_hz
        self.curve = curve
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = SerialLink(self.clocks_per_bit)
        m.submodules.core = core = SigningCore(
            self.profile, clock_hz=self.clock_hz, curve=self.curve
        )
        connect(m, link.requests, core.requests)
        connect(m, core.replies, link.replies)
        m.d.comb += [
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
            core.bad_frame.eq(link.bad),
            core.git_revision.eq(self.git_revision),
            self.busy.eq(link.busy | core.busy),
        ]
        return m
