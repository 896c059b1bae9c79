"""What the tools are told: the script of yosys, the options of nextpnr."""

SYNTHESIS = """\
read_rtlil top.il
synth_lattice -family ecp5 -top top -run begin:check
hierarchy -check
blackbox =A:whitebox
write_json top.json
"""
"""All of ``synth_lattice`` but giving names to cells, which takes longer than all the rest."""

ROUTING = (
    *("--timing-allow-fail", "--router", "router1"),
    *("--placer", "static"),
)
"""Options of nextpnr. Of its routers, router2 stops improving with thousands of wires overused; of
its placers, ``heap`` makes wires longer by a seventh."""

THREADED = ("--threads", "1")
"""And those that YoWASP's, which has no threads, does not know."""

FLOW = (SYNTHESIS, *ROUTING, *THREADED)
"""All of it, for the digest of a board."""
