# amaranth: UnusedElaboratable=no
"""The PCIe link with a responder behind it that is small and says what it was given."""

import hashlib

from amaranth.hdl import Cat, Const, Module, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio import wire
from intaglio.hdl import layouts
from intaglio.hdl.link.crc32 import crc32
from intaglio.hdl.link.pcie import tlp
from intaglio.hdl.link.pcie.link import PcieLink
from intaglio.hdl.link.pcie.ultrascale import UltraScalePlus
from intaglio.hdl.stream import Packet
from intaglio.sim import runner
from intaglio.sim.benches import core_build

TIMEOUT_CLOCKS = 3000
MAX_BODY_BYTES = wire.MAX_REPLY_BYTES - wire.REPLY.size
IDENTITY = bytes(range(1, 1 + wire.IDENTITY.size))


def answer(request: bytes) -> bytes:
    """What :class:`Echo` replies to the packet ``request``."""
    import zlib

    header = wire.REQUEST.unpack(request)
    size = min(header["slot"], MAX_BODY_BYTES)
    record = wire.REPLY.pack(
        version=header["version"],
        op=header["op"],
        tag=header["tag"],
        status=0,
        recid=wire.NO_RECID,
        length=size,
        cycles=len(request),
    )
    crc = zlib.crc32(request).to_bytes(4, "little")
    return record + (crc * (MAX_BODY_BYTES // 4 + 1))[:size]


class Echo(wiring.Component):
    """Answers each packet with its length and its CRC-32, as many bytes of it as ``slot`` says."""

    requests: In(stream.Signature(Packet(8)))
    replies: Out(stream.Signature(Packet(8)))
    hold: In(1)
    busy: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.crc = crc = crc32()
        header = Signal(8 * wire.REQUEST.size)
        taken, sent = Signal(16), Signal(8)
        request = data.View(layouts.Request, header)
        reply, size = Signal(layouts.Reply), Signal(8)
        check = Signal(32)
        byte = self.requests.payload
        m.d.comb += [
            size.eq(request.slot),
            reply.version.eq(request.version),
            reply.op.eq(request.op),
            reply.tag.eq(request.tag),
            reply.recid.eq(wire.NO_RECID),
            reply.length.eq(size),
            reply.cycles.eq(taken),
            crc.data.eq(byte.data),
            crc.valid.eq(self.requests.valid & self.requests.ready),
        ]
        with m.If(request.slot > MAX_BODY_BYTES):
            m.d.comb += size.eq(MAX_BODY_BYTES)
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("take") | (taken != 0))
            with m.State("take"):
                m.d.comb += self.requests.ready.eq(~self.hold)
                with m.If(self.requests.valid & ~self.hold):
                    m.d.sync += taken.eq(taken + 1)
                    with m.If(taken < wire.REQUEST.size):
                        m.d.sync += header.eq(Cat(header, byte.data)[8:])
                    with m.If(byte.last):
                        m.next = "sum"
            with m.State("sum"):
                m.d.comb += crc.start.eq(1)
                m.d.sync += check.eq(crc.crc)
                m.next = "reply"
            with m.State("reply"):
                whole = Cat(reply.as_value(), *[check] * (MAX_BODY_BYTES // 4))
                m.d.comb += [
                    self.replies.valid.eq(1),
                    self.replies.payload.data.eq(whole.word_select(sent, 8)),
                    self.replies.payload.last.eq(sent == wire.REPLY.size - 1 + size),
                ]
                with m.If(self.replies.ready):
                    m.d.sync += sent.eq(sent + 1)
                    with m.If(self.replies.payload.last):
                        m.d.sync += [sent.eq(0), taken.eq(0)]
                        m.next = "take"
        return m


def _behind(m: Module, link: PcieLink, hold: Value) -> None:
    """The responder behind ``link``."""
    echo = Echo()
    m.submodules.echo = ResetInserter(link.core_reset)(echo)
    identity = Const(int.from_bytes(IDENTITY, "little"), 8 * wire.IDENTITY.size)
    connect(m, link.requests, echo.requests)
    connect(m, echo.replies, link.replies)
    m.d.comb += [
        link.identity.eq(identity),
        link.core_busy.eq(echo.busy),
        echo.hold.eq(hold),
    ]


class EchoLink(wiring.Component):
    """:class:`PcieLink` and :class:`Echo`; ``hold`` keeps the responder from taking anything."""

    rx: In(tlp.tlps())
    tx: Out(tlp.tlps())
    function: Out(tlp.Function())
    hold: In(1)
    busy: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = PcieLink(timeout_clocks=TIMEOUT_CLOCKS)
        connect(m, flipped(self.rx), link.rx)
        connect(m, link.tx, flipped(self.tx))
        connect(m, flipped(self.function), link.function)
        _behind(m, link, self.hold)
        m.d.comb += self.busy.eq(link.busy)
        return m


_ADAPTER = UltraScalePlus().signature.members
_PINS = {name: member for name, member in _ADAPTER.items() if name not in ("rx", "tx", "function")}


class UltraScaleEcho(wiring.Component):
    """The same behind :class:`UltraScalePlus`, with the pins of an endpoint block."""

    def __init__(self) -> None:
        super().__init__(_PINS)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.adapter = adapter = UltraScalePlus()
        m.submodules.link = link = PcieLink(timeout_clocks=TIMEOUT_CLOCKS)
        connect(m, adapter.rx, link.rx)
        connect(m, link.tx, adapter.tx)
        connect(m, link.function, adapter.function)
        _behind(m, link, Const(0))
        for name, member in _PINS.items():
            inner, outer = getattr(adapter, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        return m


def _compiled(design: wiring.Component, top: str) -> runner.Build:
    """Compiled in little time: only pins and the device's memory can be seen, no optimisation."""
    text = runner.verilog(design, name=top)
    lines = core_build.control_file(text, top).splitlines()
    seen = (f'-module "{top}"', f'-module "{top}.link.landing')
    kept = [lines[0], *(line for line in lines[1:] if any(mark in line for mark in seen))]
    control = "\n".join(kept) + "\n"
    digest = hashlib.sha256(control.encode()).hexdigest()[:24]
    path = runner.cache_dir() / f"{top}-{digest}.vlt"
    if not path.exists():
        path.write_text(control)
    args = ["-no-public-flat-rw", str(path), "-CFLAGS", "-O0"]
    return runner.build(design, top, verilator_args=args)


def build() -> runner.Build:
    """:class:`EchoLink` for benches."""
    return _compiled(EchoLink(), "pcie_echo")


def build_ultrascale() -> runner.Build:
    """:class:`UltraScaleEcho` for benches."""
    return _compiled(UltraScaleEcho(), "pcie_echo_us")
