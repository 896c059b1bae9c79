"""What the tools are told: the script of yosys, the options and settings of nextpnr."""

from __future__ import annotations

import json

from intaglio.hdl.profiles import Profile

SYNTHESIS = """\
read_rtlil top.il
synth_lattice -family ecp5 -top top -run begin:check
hierarchy -check
blackbox =A:whitebox
write_json top.json
"""
"""All of ``synth_lattice`` but giving names to cells, which takes longer than all the rest."""

PLACING = ("--timing-allow-fail", "--placer", "static")
"""Options of nextpnr. Of its placers, ``heap`` makes wires longer by a seventh."""

THREADED = ("--threads", "1")
"""And those that YoWASP's, which has no threads, does not know."""

ROUTERS = ("router1", "router2")
"""Of one barrel, and of several. The first gives the faster circuit, but only the second comes to
an end where half of all wires are taken."""

SETTINGS = {
    "router2/bbMargin/x": "20",
    "router2/bbMargin/y": "20",
    "router2/initCurrCongWeight": "1",
    "router2/currCongWeightMult": "1",
    "router2/histCongWeight": "1",
    "router2/estimateWeight": "0.5",
}
"""Settings of nextpnr that have no options; it takes them from the netlist.

Left as they are, each net keeps to its own neighbourhood and to the way that looks shortest, and
router2 stops improving with a hundred wires or thousands used twice.
"""

FLOW = (SYNTHESIS, *PLACING, *THREADED, *ROUTERS, json.dumps(SETTINGS))
"""All of it, for the digest of a board."""


def routing(profile: Profile) -> tuple[str, ...]:
    """Options of nextpnr for a core of this size."""
    return (*PLACING, "--router", ROUTERS[profile.barrels > 1])
