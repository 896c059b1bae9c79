"""Figures of the PCIe endpoint: what it costs, how fast it is, what a link can carry.

``python -m intaglio.sim.pcie_figures`` prints the tables; ``--route`` places and routes too, which
takes minutes, the others are simulated.
"""

import argparse
import functools
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import Const, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from intaglio import wire, wire_ring
from intaglio.hdl.boards import tools
from intaglio.hdl.link.pcie import tlp
from intaglio.hdl.link.pcie.link import PcieLink
from intaglio.hdl.stream import Packet
from intaglio.sim import runner
from intaglio.sim.benches import pcie_echo

FRAMING_BYTES = 8
"""Around each TLP on lanes of generation 1 and 2: two symbols of framing, sequence number, LCRC."""
DLLP_BYTES = 8
DLLPS_PER_TLP = 2
"""Sent for each TLP the other way, at worst: one to acknowledge it, one to update credits."""

LINKS = {"Gen1 x1": 250e6, "Gen2 x1": 500e6, "Gen2 x4": 2000e6}
"""Bytes a second each way, after 8b/10b."""

BODIES = {
    "digest or key, 32 bytes inline": wire_ring.INLINE_BYTES,
    "message of 100 bytes": 100,
    "message of 4096 bytes": wire.MAX_MESSAGE_BYTES,
}
BATCH = 32


@dataclass(frozen=True)
class Traffic:
    """What one request costs; see :mod:`intaglio.sim.benches.pcie_count`."""

    first: int
    clocks: float
    up_tlps: float
    up_bytes: float
    down_tlps: float
    down_bytes: float

    def on_the_wire(self) -> tuple[float, float]:
        """Bytes to the host and from it, with framing and DLLPs."""
        each = DLLP_BYTES * DLLPS_PER_TLP
        up = self.up_bytes + self.up_tlps * FRAMING_BYTES + self.down_tlps * each
        down = self.down_bytes + self.down_tlps * FRAMING_BYTES + self.up_tlps * each
        return up, down

    def rate(self, bytes_per_second: float) -> float:
        """Requests a second that a link of this rate can carry."""
        return bytes_per_second / max(self.on_the_wire())


@functools.cache
def measure(body: int, batch: int = BATCH) -> Traffic:
    """Simulate requests with bodies of ``body`` bytes, ``batch`` to a doorbell."""
    bench = "intaglio.sim.benches.pcie_count"
    told = runner.run(pcie_echo.build(), bench, env={"BODY": body, "BATCH": batch})
    up, down = told["up"], told["down"]
    return Traffic(
        told["first"], told["clocks"], up["tlps"], up["bytes"], down["tlps"], down["bytes"]
    )


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


_SYNTHESIS = """\
read_rtlil top.il
synth_lattice -family ecp5 -top top -run begin:check
hierarchy -check
blackbox =A:whitebox
write_json top.json
"""
_PART = ("--85k", "--package", "CABGA756", "--speed", "6")
_CELLS = {"LUT4": "TRELLIS_COMB", "FF": "TRELLIS_FF", "EBR": "DP16KD", "DSP": "MULT18X18D"}


def route() -> dict[str, Any]:
    """Place and route the endpoint alone on an LFE5U-85F-6: cells, and Fmax in MHz."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(rtlil.convert(Yardstick(), name="top", emit_src=False))
        (folder / "top.ys").write_text(_SYNTHESIS)
        tools.run("yosys", ["-l", "yosys.log", "top.ys"], folder, lambda line: None)
        arguments = [*_PART, "--json", "top.json", "--report", "report.json", "--seed", "1"]
        arguments += ["--timing-allow-fail", "--lpf-allow-unconstrained", "--router", "router2"]
        tools.run("nextpnr-ecp5", arguments, folder, lambda line: None)
        told = json.loads((folder / "report.json").read_text())
    cells = {label: told["utilization"][cell]["used"] for label, cell in _CELLS.items()}
    fmax = min(clock["achieved"] for clock in told["fmax"].values())
    return {**cells, "Fmax, MHz": round(fmax, 1)}


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def traffic_table() -> str:
    """Clocks, TLPs and bytes of a request."""
    rows = []
    for label, body in BODIES.items():
        lone, many = measure(body, 1), measure(body)
        up, down = many.on_the_wire()
        rows.append(
            [
                label,
                f"{lone.first}",
                f"{many.clocks:.0f}",
                f"{many.up_tlps:.2f}, {many.up_bytes:.0f}",
                f"{many.down_tlps:.2f}, {many.down_bytes:.0f}",
                f"{up:.0f}",
                f"{down:.0f}",
            ]
        )
    header = ["request", "first, clocks", "next, clocks", "TLPs, bytes up", "TLPs, bytes down"]
    return _table([*header, "wire bytes up", "wire bytes down"], rows)


def rate_table() -> str:
    """Signatures a second that the link alone allows."""
    rows = [
        [label, *(f"{measure(body).rate(rate):,.0f}" for rate in LINKS.values())]
        for label, body in BODIES.items()
    ]
    return _table(["request", *LINKS], rows)


def route_table() -> str:
    """Cells and Fmax."""
    told = route()
    return _table(list(told), [[f"{value:,}" for value in told.values()]])


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--route", action="store_true", help="place and route too")
    given = parser.parse_args()
    for table in (traffic_table, rate_table, *((route_table,) if given.route else ())):
        print(table(), end="\n\n")


if __name__ == "__main__":
    main()
