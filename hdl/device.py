"""A signing core behind its link: what boards, and their virtual copies, carry."""

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio.params import SECP256K1, Weierstrass

from .core import SigningCore
from .link.pcie import tlp
from .link.pcie.link import TIMEOUT_CLOCKS, PcieLink
from .link.serial import SerialLink
from .profiles import Profile
from .stream import registered


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
        connect(m, registered(m, link.requests), core.requests)
        connect(m, registered(m, core.replies), link.replies)
        m.d.comb += [
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
            core.bad_frame.eq(link.bad),
            core.git_revision.eq(self.git_revision),
            self.busy.eq(link.busy | core.busy),
        ]
        return m


class PcieSigner(wiring.Component):
    """:class:`SigningCore` and :class:`PcieLink`, in one clock domain; composition only.

    Parameters
    ----------
    profile : Profile
        Size of the core.
    clock_hz : int
        Clock, for the identity record; 0 in simulation.
    timeout_clocks : int
        Clocks after which a read of host memory is given up.

    Members
    -------
    rx, tx : In, Out(stream of Packet(32))
        TLPs from and to the endpoint block.
    function : Function
        What else the endpoint block tells, see :class:`.link.pcie.tlp.Function`.
    git_revision : In(160)
        For the identity record, byte 0 in bits 7..0.
    busy : Out(1)
        Low, the clock may stop until a TLP comes or ``function`` changes.
    """

    rx: In(tlp.tlps())
    tx: Out(tlp.tlps())
    function: Out(tlp.Function())
    git_revision: In(160)
    busy: Out(1)

    def __init__(
        self, profile: Profile, *, clock_hz: int = 0, timeout_clocks: int = TIMEOUT_CLOCKS
    ) -> None:
        self.profile, self.clock_hz, self.timeout_clocks = profile, clock_hz, timeout_clocks
        super().__init__()

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = PcieLink(timeout_clocks=self.timeout_clocks)
        core = SigningCore(self.profile, clock_hz=self.clock_hz)
        m.submodules.core = ResetInserter(link.core_reset)(core)
        connect(m, flipped(self.rx), link.rx)
        connect(m, link.tx, flipped(self.tx))
        connect(m, flipped(self.function), link.function)
        connect(m, link.requests, core.requests)
        connect(m, core.replies, link.replies)
        m.d.comb += [
            link.identity.eq(core.identity),
            link.core_busy.eq(core.busy),
            core.git_revision.eq(self.git_revision),
            self.busy.eq(link.busy | core.busy),
        ]
        return m
