"""Compiles the core for its benches, so that they see its whole state and it still runs fast.

Verilator keeps what a bench may touch out of its optimisations; with every wire open to the bench,
as cocotb has it by default, this core simulates 15 times slower. Here only state is open:
registers to read, memories to write as well.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from amaranth.lib import wiring

from intaglio.hdl.core import SigningCore
from intaglio.hdl.digest import rtl_digest
from intaglio.hdl.profiles import SMALL, Profile
from intaglio.sim import runner

TOP = "core"

_NAME = r"(\\\S+ |[A-Za-z_][\w$]*)"
_MODULE = re.compile(r"(?m)^(?=module )")
_HEADER = re.compile(r"module " + _NAME + r"\s*\(([^)]*)\)")
_REGISTER = re.compile(r"(?m)^\s*" + _NAME + r"\s*(?:\[[^\]]*\])?\s*<=")
_MEMORY = re.compile(r"(?m)^\s*reg (?:\[[\d:]+\] )?" + _NAME + r" \[[\d:]+\];")


def _plain(name: str) -> str:
    return name.strip().removeprefix("\\")


def control_file(verilog: str, top: str, *, state: bool = True) -> str:
    """Verilator control file that opens the ports of ``top``, and all ``state`` of ``verilog``."""
    lines = ["`verilator_config"]
    for module in _MODULE.split(verilog)[1:]:
        header = _HEADER.match(module)
        assert header is not None, module[:80]
        name = _plain(header[1])
        if not state and name != top:
            continue
        memories = {_plain(found) for found in _MEMORY.findall(module)}
        registers = {_plain(found) for found in _REGISTER.findall(module)} - memories
        writable = memories | (set(map(_plain, header[2].split(","))) if name == top else set())
        for kind, variables in (("rd", registers - writable), ("rw", writable)):
            for variable in sorted(variables):
                lines.append(f'public_flat_{kind} -module "{name}" -var "{variable}"')
    return "\n".join(lines) + "\n"


def build(profile: Profile = SMALL) -> runner.Build:
    """The core of a profile; all benches of the core share it."""
    return open_build(lambda: SigningCore(profile), TOP, key=rtl_digest(profile.name).hex())


def open_build(
    design: Callable[[], wiring.Component], top: str, *, key: str, state: bool = True
) -> runner.Build:
    """As :func:`intaglio.sim.runner.build`, with no more open than :func:`control_file` says."""
    control = control_file(runner.verilog(design, name=top, key=key), top, state=state)
    digest = hashlib.sha256(control.encode()).hexdigest()[:24]
    path = runner.cache_dir() / f"{top}-{digest}.vlt"
    if not path.exists():
        path.write_text(control)
    args = ["-no-public-flat-rw", str(path), "-O3"]
    return runner.build(design, top, key=key, verilator_args=args)
