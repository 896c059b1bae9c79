"""The virtual PCIe board: a signer, Verilated or modelled, in a process of its own.

``sim:pcie`` and ``sim:pcie?profile=NAME`` are device URLs of this module. The driver reaches the
board as it reaches a real one, through :class:`intaglio.transport.function.Function`, here over the
vfio-user protocol. ``python -m intaglio.sim.pcie.board`` is that process; it ends when the driver
goes. ``--listen PATH`` makes it wait at a UNIX socket instead, for QEMU.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from amaranth.lib import wiring

from intaglio.errors import InputError, LinkError
from intaglio.hdl import digest
from intaglio.hdl.profiles import PROFILES
from intaglio.sim import runner
from intaglio.sim.board import DEFAULT_PROFILE, BuildReport, git_revision
from intaglio.sim.model.core import GoldenCore
from intaglio.sim.model.pcie import Host, PcieModel
from intaglio.sim.pcie import rtl
from intaglio.sim.pcie.client import VfioUserFunction
from intaglio.sim.pcie.server import Endpoint, Server, listen
from intaglio.transport.base import ParsedUrl
from intaglio.transport.pcie import RingTransport

SILENCE_S = 60.0
"""Seconds of silence that mean the board is gone, generous for machines with other work."""
STOP_S = 10.0
"""Seconds a board has to end before it is killed."""

_HARNESS = Path(__file__).with_name("harness.cpp")
_VERILATOR_ARGS = (
    *("--x-assign", "fast", "--x-initial", "fast", "--no-assert"),
    *("-LDFLAGS", "-shared"),
)
_CFLAGS = "-std=c++17 -fPIC"


def _top(profile: str) -> wiring.Component:
    from intaglio.hdl.device import PcieSigner

    return PcieSigner(PROFILES[profile])


def build(profile: str = DEFAULT_PROFILE) -> Path:
    """The board's library, compiled if need be; processes that want the same one build it once.

    Raises :class:`InputError` for an unknown profile, :class:`~.runner.ToolError` if a tool is
    missing or fails.
    """
    if profile not in PROFILES:
        known = ", ".join(sorted(PROFILES))
        raise InputError(f"no profile is called {profile!r}: known are {known}")
    report = BuildReport(f"virtual PCIe board {profile!r}")

    def elaborated() -> wiring.Component:
        report("elaborating", 0.0)
        return _top(profile)

    runner.check_tools()
    try:
        return runner.verilate_executable(
            runner.verilog(elaborated, key=f"pcie {digest.rtl_digest(profile).hex()}"),
            "top",
            [_HARNESS],
            progress=report,
            verilator_args=_VERILATOR_ARGS,
            cflags=_CFLAGS,
        )
    finally:
        report.close()


def endpoint(library: Path | None) -> Callable[[Host], Endpoint]:
    """Makes the endpoint of a :class:`Server`: that in ``library``, or the golden model."""
    if library is None:
        return partial(PcieModel, GoldenCore)
    loaded = rtl.load(library)
    return lambda host: rtl.RtlEndpoint(loaded, host, git_revision())


class VirtualPcieBoard:
    """A board of ``library`` (``None``: the golden model) while it runs; ends when it is stopped.

    The board also ends when this process does.
    """

    def __init__(self, library: Path | None) -> None:
        self.connection, theirs = socket.socketpair()
        options = [] if library is None else ["--library", str(library)]
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, "--socket", str(theirs.fileno()), *options],
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def stop(self) -> None:
        """End the board; a second call does nothing."""
        self.connection.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def open_transport(url: ParsedUrl) -> RingTransport:
    """Start a board for ``sim:pcie?profile=NAME``; closing the transport ends it.

    Raises :class:`~intaglio.errors.LinkError` if it cannot be built or started.
    """
    url.allow("profile")
    try:
        library = build(url.params.get("profile", DEFAULT_PROFILE))
    except runner.ToolError as error:
        raise LinkError(f"cannot start the virtual PCIe board: {error}") from error
    board = VirtualPcieBoard(library)
    try:
        function = VfioUserFunction(board.connection, name=url.text)
        return RingTransport(
            function, default_timeout_s=SILENCE_S, bring_up_s=SILENCE_S, on_close=board.stop
        )
    except BaseException:
        board.stop()
        raise


def main(argv: Sequence[str] | None = None) -> int:
    """The board's process."""
    parser = argparse.ArgumentParser(prog="python -m intaglio.sim.pcie.board")
    parser.add_argument("--library", type=Path, help="compiled board; default: the golden model")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", type=int, help="descriptor of a connected socket")
    place.add_argument("--listen", help="path of a UNIX socket to wait at")
    arguments = parser.parse_args(argv)
    server = Server(endpoint(arguments.library))
    if arguments.listen is not None:
        connection = listen(arguments.listen).accept()[0]
        os.unlink(arguments.listen)
    else:
        connection = socket.socket(fileno=arguments.socket)
    server.serve(connection)
    return 0


if __name__ == "__main__":
    sys.exit(main())
