"""What a bitstream holds: PLL, reset, status LED and the signing core behind the board's UART."""

from amaranth.hdl import ClockDomain, ClockSignal, Const, Elaboratable, Module, Signal
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out
from amaranth.vendor import LatticePlatform

from intaglio.hdl.device import SerialSigner
from intaglio.hdl.link.uart import SYNC_STAGES
from intaglio.hdl.profiles import Profile

from .board import Board
from .pll import Pll
from .reset import GlobalReset

BREAK_S = 0.02
"""Seconds that a low line resets the core after: longer than any byte, shorter than a break."""
BLINK_S = 1.0
"""Period of the LED while nothing is to be done, in seconds."""
GIT_REVISION_BYTES = 20


class BreakDetector(wiring.Component):
    """Tells a *break*: a serial line that stays low.

    Parameters
    ----------
    clocks : int
        Clocks of low line that make a break, at least 2.

    Members
    -------
    rx : In(1)
        The pin, asynchronous, idle high.
    found : Out(1)
        High from the break until the line is high again, from a flip-flop.

    Timing: ``latency`` clocks from the first low clock at the pin to ``found``.
    """

    rx: In(1, init=1)
    found: Out(1)

    def __init__(self, clocks: int) -> None:
        if clocks < 2:
            raise ValueError(f"clocks must be at least 2, not {clocks}")
        self.clocks = clocks
        super().__init__()

    @property
    def latency(self) -> int:
        """Clocks from the first low clock to ``found``."""
        return SYNC_STAGES + self.clocks

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line, low = Signal(init=1), Signal(range(self.clocks))
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1, stages=SYNC_STAGES)
        with m.If(line):
            m.d.sync += [low.eq(0), self.found.eq(0)]
        with m.Elif(low == self.clocks - 1):
            m.d.sync += self.found.eq(1)
        with m.Else():
            m.d.sync += low.eq(low + 1)
        return m


class BoardTop(Elaboratable):
    """The design of one board.

    Parameters
    ----------
    board : Board
        Where it runs.
    profile : Profile
        Size of the core.
    git_revision : bytes
        The 20 bytes of the commit that it is built from, for the identity record.

    The core is reset, and with it every key forgotten, until the PLL has locked and while the
    serial line has been low for longer than :data:`BREAK_S` (a *break*): so a host can always get
    the board back without touching it.

    The LED blinks slowly when idle and is lit while the core works. The only clock domain is
    ``sync``, the engine clock, reset by :class:`GlobalReset`. The pins are the only crossing:
    ``rx`` passes synchronisers, ``tx`` comes from a flip-flop.
    """

    def __init__(self, board: Board, profile: Profile, git_revision: bytes) -> None:
        if len(git_revision) != GIT_REVISION_BYTES:
            raise ValueError(
                f"git_revision must be {GIT_REVISION_BYTES} bytes, not {len(git_revision)}"
            )
        self.board, self.profile, self.git_revision = board, profile, git_revision

    def elaborate(self, platform: LatticePlatform) -> Module:
        m = Module()
        board = self.board
        clock_hz = board.clock_hz
        m.domains += ClockDomain("sync", reset_less=True)
        m.submodules.signer = signer = SerialSigner(
            self.profile, clocks_per_bit=board.clocks_per_bit, clock_hz=clock_hz
        )

        oscillator = platform.request(platform.default_clk, dir="-")
        m.submodules.oscillator = buffer = io.Buffer("i", oscillator)
        m.submodules.pll = pll = Pll(round(platform.default_clk_frequency), clock_hz)
        m.d.comb += [
            pll.clk_in.eq(buffer.i),
            ClockSignal().eq(pll.clk_out),
        ]

        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx, m.submodules.tx = rx, tx = io.Buffer("i", uart.rx), io.Buffer("o", uart.tx)
        m.d.comb += [
            signer.rx.eq(rx.i),
            tx.o.eq(signer.tx),
            signer.git_revision.eq(Const(int.from_bytes(self.git_revision, "little"), 160)),
        ]

        detector = BreakDetector(round(BREAK_S * clock_hz))
        m.submodules.detector = detector
        m.submodules.reset = reset = GlobalReset()
        m.d.comb += [
            detector.rx.eq(rx.i),
            reset.unlocked.eq(~pll.locked),
            reset.found.eq(detector.found),
            reset.line.eq(rx.i),
        ]
        self._blink(m, platform, signer.busy)
        return m

    def _blink(self, m: Module, platform: LatticePlatform, busy: Signal) -> None:
        half = round(BLINK_S / 2 * self.board.clock_hz)
        timer, beat, works, working, lit = Signal(range(half)), *(Signal() for _ in range(4))
        m.d.sync += [timer.eq(timer + 1), works.eq(busy)]
        with m.If(timer == half - 1):
            m.d.sync += [timer.eq(0), beat.eq(~beat), working.eq(0)]
        with m.If(works):
            m.d.sync += working.eq(1)
        m.d.sync += lit.eq(beat | working)
        name, number = self.board.led
        pins = platform.request(name, number, dir="-")
        pin = pins.g if name == "rgb_led" else pins
        m.submodules.led = buffer = io.Buffer("o", pin)
        m.d.comb += buffer.o.eq(lit)
