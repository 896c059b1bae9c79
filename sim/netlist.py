"""From a netlist of yosys or nextpnr, as JSON, to Verilog that Verilator simulates pin to pin.

The netlist is the very file that ``intaglio build`` gives to nextpnr (``top.json``), or the one
that nextpnr writes when it is done (``routed.json``). Its cells are those of ``sim/cells``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from intaglio.sim import runner

TOP = "pins"
"""Module that holds the netlist, the board's oscillator and what is looked at from outside."""

_FOLDER = Path(__file__).parent / "cells"
CELLS = tuple(_FOLDER / f"{name}.v" for name in ("ecp5", "ecp5_dsp", "ecp5_ram", "ecp5_pll"))
"""Models of the cells."""

ROUTED_CELLS = (*CELLS, _FOLDER / "ecp5_routed.v")
"""And of those that only nextpnr makes."""

_VERILATOR = (
    *runner.TIMING,
    "-CFLAGS",
    "-O1",
    "-no-public-flat-rw",
    "-O3",
    "--output-split",
    "20000",
)
_IGNORED = {"$scopeinfo"}
_IDLE_HIGH = {"TRELLIS_COMB", "DP16KD"}
"""Cells whose inputs are high when nothing drives them, which nextpnr makes use of."""
_MULTIPLEXED = {"DP16KD", "MULT18X18D"}
"""Cells whose inputs have multiplexers before them, which the models do not know of."""
_BINARY = re.compile(r"[01xz]+")
_PORT = "uart_0__{}__io"


class NetlistError(ValueError):
    """The netlist is not what :func:`verilog` can render."""


def build(netlist: Mapping[str, Any], *, oscillator_hz: float) -> runner.Build:
    """Compile a netlist for a cocotb bench, which sees the pins of :data:`TOP` and nothing else."""
    text = verilog(netlist, oscillator_hz=oscillator_hz)
    sources = ROUTED_CELLS if "TRELLIS_COMB" in text else CELLS
    return runner.build(text, TOP, sources=sources, verilator_args=_VERILATOR)


def verilog(netlist: Mapping[str, Any], *, oscillator_hz: float) -> str:
    """Modules ``netlist`` and :data:`TOP`; the latter has ``rx``, ``tx`` and ``led``.

    ``oscillator_hz`` is what runs at the pin of the board's oscillator. Net names are numbers: what
    a design looked like before synthesis is of no interest here.
    """
    module = _top(netlist)
    lines = ["`timescale 1ns / 1ps", *_pins(module["ports"], oscillator_hz)]
    lines += [f"module netlist ({', '.join(module['ports'])});"]
    bits = {bit for cell in module["cells"].values() for bit in _bits(cell["connections"])}
    ports = {name: port["bits"] for name, port in module["ports"].items()}
    lines += [f"  wire n{bit};" for bit in sorted(bits | set(_bits(ports)))]
    for name, port in module["ports"].items():
        (bit,) = port["bits"]
        lines.append(f"  {port['direction']} {name};")
        ends = (f"n{bit}", name) if port["direction"] == "input" else (name, f"n{bit}")
        lines.append(f"  assign {ends[0]} = {ends[1]};")
    cells = (cell for cell in module["cells"].values() if cell["type"] not in _IGNORED)
    lines += [_cell(number, cell) for number, cell in enumerate(cells)]
    return "\n".join([*lines, "endmodule", ""])


def _top(netlist: Mapping[str, Any]) -> Mapping[str, Any]:
    tops = [
        module
        for module in netlist["modules"].values()
        if int(module.get("attributes", {}).get("top", "0"), 2)
    ]
    if len(tops) != 1:
        raise NetlistError(f"the netlist has {len(tops)} top modules, not one")
    return tops[0]


def _bits(connections: Mapping[str, list[int | str]]) -> Iterator[int]:
    for bits in connections.values():
        yield from (bit for bit in bits if isinstance(bit, int))


def _pins(ports: Mapping[str, Any], oscillator_hz: float) -> Iterator[str]:
    """The board around the netlist."""
    rx, tx = _PORT.format("rx"), _PORT.format("tx")
    if rx not in ports or tx not in ports:
        raise NetlistError(f"the netlist has no serial port: its pins are {', '.join(ports)}")
    others = [name for name in ports if name not in (rx, tx)]
    inputs = [name for name in others if ports[name]["direction"] == "input"]
    outputs = [name for name in others if ports[name]["direction"] == "output"]
    seen = "/*verilator public_flat_rw*/"
    yield f"module {TOP} (input rx {seen}, output tx {seen}, output led {seen});"
    yield "  reg oscillator = 1'b0;"
    yield f"  always #({1e9 / oscillator_hz / 2:.6f}) oscillator = ~oscillator;"
    yield f"  wire {', '.join(f'out_{name}' for name in outputs)};"
    yield f"  assign led = out_{outputs[0]};"
    connected = [f".{rx}(rx)", f".{tx}(tx)"]
    connected += [f".{name}({'~' * name.endswith('__n')}oscillator)" for name in inputs]
    connected += [f".{name}(out_{name})" for name in outputs]
    yield f"  netlist netlist ({', '.join(connected)});"
    yield "endmodule"


def _cell(number: int, cell: Mapping[str, Any]) -> str:
    muxes, settings = {}, dict(cell["parameters"])
    if cell["type"] in _MULTIPLEXED:
        muxes = {name: value for name, value in settings.items() if name[-3:] == "MUX"}
    if cell["connections"].get("FXA"):
        settings["IS_Z1"] = "1"
    parameters = ", ".join(
        f".{name}({_constant(value)})"
        for name, value in sorted(settings.items())
        if name not in muxes
    )
    idle = f"1'b{int(cell['type'] in _IDLE_HIGH)}"
    pins = []
    for name, bits in sorted(cell["connections"].items()):
        if bits or cell["port_directions"][name] == "input":
            net = _net(bits) if bits else idle
            pins.append(f".{name}({_multiplexed(net, muxes.get(f'{name}MUX', name).strip())})")
    return f"  {cell['type']} #({parameters}) c{number} ({', '.join(pins)});"


def _multiplexed(net: str, setting: str) -> str:
    """What comes of a pin behind its multiplexer: itself, its inverse, or a constant."""
    if setting in ("0", "1"):
        return f"1'b{setting}"
    return f"~{net}" if setting == "INV" else net


def _constant(value: str) -> str:
    """A parameter: yosys writes numbers as binary digits, and text that looks so with a space."""
    if _BINARY.fullmatch(value):
        return f"{len(value)}'b{value}"
    text = value[:-1] if _BINARY.fullmatch(value[:-1]) and value.endswith(" ") else value
    return f'"{text}"'


def _net(bits: list[int | str]) -> str:
    names = [f"n{bit}" if isinstance(bit, int) else f"1'b{bit}" for bit in reversed(bits)]
    return names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"
