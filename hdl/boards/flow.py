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
    *("--placer-heap-cell-placement-timeout", "0"),
)
"""Options of nextpnr. Of its routers, router2 stops improving with thousands of wires overused."""

THREADED = ("--parallel-refine", "--threads", "1")
"""And those that YoWASP's, which has no threads, does not know. With eight threads two placements
of one netlist differed; in one, ``intaglio build ulx3s-85f --check`` gives the same bytes."""

FLOW = (SYNTHESIS, *ROUTING, *THREADED)
"""All of it, for the digest of a board."""
