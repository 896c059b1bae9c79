"""What the tools are told: the script of yosys, the options and settings of nextpnr."""

import json

SYNTHESIS = """\
read_rtlil top.il
synth_lattice -family ecp5 -top top -run begin:check
hierarchy -check
blackbox =A:whitebox
write_json top.json
"""
"""All of ``synth_lattice`` but giving names to cells, which takes longer than all the rest."""

ROUTING = (
    *("--timing-allow-fail", "--router", "router2"),
    *("--placer", "static"),
)
"""Options of nextpnr. Of its placers, ``heap`` makes wires longer by a seventh."""

SETTINGS = {
    "router2/bbMargin/x": "30",
    "router2/bbMargin/y": "30",
    "router2/initCurrCongWeight": "5",
    "router2/currCongWeightMult": "1.5",
    "router2/histCongWeight": "2.5",
    "router2/estimateWeight": "0.7",
}
"""Settings of nextpnr that have no options; it takes them from the netlist.

Left as they are, its router stops improving with a hundred wires or thousands used twice: each net
keeps to its own neighbourhood and to the way that looks shortest.
"""

THREADED = ("--threads", "1")
"""And those that YoWASP's, which has no threads, does not know."""

FLOW = (SYNTHESIS, *ROUTING, *THREADED, json.dumps(SETTINGS))
"""All of it, for the digest of a board."""
