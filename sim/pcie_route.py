"""The PCIe endpoint by itself, placed and routed on an ECP5 as a yardstick."""

import functools
import hashlib
import json
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Const, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio import wire
from intaglio.hdl.boards import tools
from intaglio.hdl.link.pcie import tlp
from intaglio.hdl.link.pcie.link import PcieLink
from intaglio.hdl.stream import Packet
from intaglio.sim.benches import pcie_echo

DEVICE = "LFE5U-85F-6BG756C"
_PART = ("--85k", "--package", "CABGA756", "--speed", "6")
_CELLS = {"LUT4": "TRELLIS_COMB", "FF": "TRELLIS_FF", "EBR": "DP16KD", "DSP": "MULT18X18D"}
_SYNTHESIS = """\
read_rtlil top.il
synth_lattice -family ecp5 -top top -run begin:check
hierarchy -check
blackbox =A:whitebox
write_json top.json
"""


class Yardstick(wiring.Component):
    """:class:`PcieLink` with no more pins than a package has."""

    rx: In(tlp.tlps())
    tx: Out(tlp.tlps())
    function: Out(tlp.Function())
    requests: Out(stream.Signature(Packet(8)))
    replies: In(stream.Signature(Packet(8)))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.link = link = PcieLink()
        for name in ("rx", "replies"):
            connect(m, flipped(getattr(self, name)), getattr(link, name))
        for name in ("tx", "requests"):
            connect(m, getattr(link, name), flipped(getattr(self, name)))
        connect(m, flipped(self.function), link.function)
        identity = Const(int.from_bytes(pcie_echo.IDENTITY, "little"), 8 * wire.IDENTITY.size)
        m.d.comb += link.identity.eq(identity)
        return m


@functools.cache
def _rtlil() -> str:
    text: str = rtlil.convert(Yardstick(), name="top", emit_src=False)
    return text


def digest() -> str:
    """Names the endpoint as it is now: SHA-256 of its RTLIL. The core behind it has no part."""
    return hashlib.sha256(_rtlil().encode()).hexdigest()[:32]


def route() -> dict[str, float]:
    """Place and route: cells by kind, and nextpnr's estimate of ``fmax_mhz``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(_rtlil())
        (folder / "top.ys").write_text(_SYNTHESIS)
        tools.run("yosys", ["-l", "yosys.log", "top.ys"], folder, lambda line: None)
        arguments = [*_PART, "--json", "top.json", "--report", "report.json", "--seed", "1"]
        arguments += ["--timing-allow-fail", "--lpf-allow-unconstrained", "--router", "router2"]
        tools.run("nextpnr-ecp5", arguments, folder, lambda line: None)
        told = json.loads((folder / "report.json").read_text())
    cells = {label: told["utilization"][cell]["used"] for label, cell in _CELLS.items()}
    fmax = min(clock["achieved"] for clock in told["fmax"].values())
    return {**cells, "fmax_mhz": round(fmax, 1)}
