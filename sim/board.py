"""The virtual board: the Verilated core behind a pseudo-terminal that hosts open as a serial port.

``sim:`` and ``sim:?profile=NAME`` are device URLs of this module. The first use of a profile
compiles it, shown on standard error; later ones find it in the cache.

The board's clock is not tied to real time: it runs as fast as the simulation goes while the core
has something to do, and stops when it has not (see ``harness.cpp``).
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from amaranth.lib import wiring
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import intaglio
from intaglio.errors import InputError, IntaglioError, LinkError
from intaglio.hdl import digest
from intaglio.hdl.profiles import PROFILES
from intaglio.sim import runner
from intaglio.transport.base import ParsedUrl, Transport
from intaglio.transport.uart import UartTransport

DEFAULT_PROFILE = "small"
CLOCKS_PER_BIT = 4
"""Clocks a bit lasts on the board's UART: a byte costs 40, whatever the baud rate of the host."""

SILENCE_S = 60.0
"""Seconds of silence that mean the board is gone, generous for machines with other work."""
STOP_S = 10.0
"""Seconds a board has to end before it is killed."""

_HARNESS = Path(__file__).with_name("harness.cpp")
_VERILATOR_ARGS = ("--x-assign", "fast", "--x-initial", "fast", "--no-assert")
_CFLAGS = "-std=c++17"
_GIT_REVISION_BYTES = 20
_PLAIN_STEP = 0.25

Top = Callable[[], wiring.Component]
"""Makes a top component with members ``rx``: In(1), ``tx``: Out(1), ``busy``: Out(1) and
``git_revision``: In(160), whose UART runs at :data:`CLOCKS_PER_BIT`."""


class BuildReport:
    """Progress of a build on standard error: a bar on a terminal, else a line now and then.

    Shows nothing until it is called, so that a build found in the cache is silent.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: Progress | None = None
        self._stage = ""
        self._shown = 0.0

    def __call__(self, stage: str, fraction: float) -> None:
        if sys.stderr.isatty():
            self._draw(stage, fraction)
        elif stage != self._stage or fraction >= self._shown + _PLAIN_STEP:
            self._stage, self._shown = stage, fraction
            print(f"{self._what}: {stage}, {fraction:.0%}", file=sys.stderr, flush=True)

    def _draw(self, stage: str, fraction: float) -> None:
        description = f"{self._what}: {stage}"
        if self._bar is None:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
            self._bar = Progress(
                *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
            )
            self._bar.add_task(description, total=1.0)
            self._bar.start()
        task = self._bar.task_ids[0]
        self._bar.update(task, description=description, completed=fraction)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _core(profile: str) -> wiring.Component:
    from intaglio.hdl.device import SerialSigner

    return SerialSigner(PROFILES[profile], clocks_per_bit=CLOCKS_PER_BIT)


def build(profile: str = DEFAULT_PROFILE, *, top: Top | None = None) -> Path:
    """The board's program, compiled if need be; processes that want the same one build it once.

    ``top`` replaces the core by another design, named ``profile``. Raises
    :class:`~intaglio.errors.InputError` for an unknown profile, :class:`~.runner.ToolError` if a
    tool is missing or fails.
    """
    if top is None and profile not in PROFILES:
        known = ", ".join(sorted(PROFILES))
        raise InputError(f"no profile is called {profile!r}: known are {known}")
    report = BuildReport(f"virtual board {profile!r}")

    def elaborated() -> wiring.Component:
        report("elaborating", 0.0)
        return top() if top is not None else _core(profile)

    key = None if top is not None else f"{digest.rtl_digest(profile).hex()} {CLOCKS_PER_BIT}"
    runner.check_tools()
    try:
        return runner.verilate_executable(
            runner.verilog(elaborated, key=key),
            "top",
            [_HARNESS],
            progress=report,
            verilator_args=_VERILATOR_ARGS,
            cflags=_CFLAGS,
        )
    finally:
        report.close()


def git_revision() -> bytes:
    """Commit of the checkout the package runs from; zeros if it does not run from one."""
    root = Path(intaglio.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return bytes(_GIT_REVISION_BYTES)
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return bytes(_GIT_REVISION_BYTES)
    return bytes.fromhex(done.stdout.strip())[:_GIT_REVISION_BYTES]


class VirtualBoard:
    """A running virtual board; a context manager that starts and stops it.

    ``path`` is the terminal to open while it runs. The board also ends when this process does.
    ``top`` as for :func:`build`.
    """

    def __init__(self, profile: str = DEFAULT_PROFILE, *, top: Top | None = None) -> None:
        self.profile = profile
        self.path = ""
        self._top = top
        self._process: subprocess.Popen[str] | None = None
        self._cycles = 0
        self._lock = threading.Lock()

    def start(self) -> VirtualBoard:
        """Build if need be, start, and wait until the terminal exists."""
        if self._process is not None:
            raise IntaglioError(f"the virtual board {self.profile!r} runs already")
        program = build(self.profile, top=self._top)
        process = subprocess.Popen(
            [str(program), str(CLOCKS_PER_BIT), git_revision().hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        word, _, path = process.stdout.readline().strip().partition(" ")
        if word != "path":
            _, errors = process.communicate()
            raise LinkError(f"the virtual board {self.profile!r} did not start: {errors.strip()}")
        self.path, self._process = path, process
        return self

    @property
    def cycles(self) -> int:
        """Clock cycles simulated since the start; after :meth:`stop`, those of the whole run."""
        with self._lock:
            process = self._process
            if process is None:
                return self._cycles
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write("c")
                process.stdin.flush()
            except BrokenPipeError:
                raise LinkError(f"the virtual board {self.profile!r} has ended") from None
            return self._read_cycles(process.stdout.readline())

    def _read_cycles(self, line: str) -> int:
        word, _, count = line.strip().partition(" ")
        if word != "cycles":
            raise LinkError(f"the virtual board {self.profile!r} has ended")
        self._cycles = int(count)
        return self._cycles

    def stop(self) -> None:
        """End the board; a second call does nothing."""
        with self._lock:
            process, self._process, self.path = self._process, None, ""
            if process is None:
                return
            try:
                lines, _ = process.communicate(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                lines, _ = process.communicate()
            if lines:
                self._read_cycles(lines)

    def __enter__(self) -> VirtualBoard:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def open_transport(url: ParsedUrl) -> Transport:
    """Start a board for ``sim:?profile=NAME`` and open its terminal; closing that ends the board.

    ``sim:pcie`` is the business of :mod:`intaglio.sim.pcie.board`.

    Raises :class:`~intaglio.errors.LinkError` if it cannot be built or started.
    """
    if url.path == "pcie":
        from intaglio.sim.pcie import board as pcie_board

        return pcie_board.open_transport(url)
    url.allow("profile")
    if url.path:
        raise InputError(f"device URL {url.text!r}: write sim: or sim:pcie, and ?profile=NAME")
    board = VirtualBoard(url.params.get("profile", DEFAULT_PROFILE))
    try:
        board.start()
    except runner.ToolError as error:
        raise LinkError(f"cannot start the virtual board: {error}") from error
    try:
        return UartTransport(
            board.path, name=url.text, default_timeout_s=SILENCE_S, on_close=board.stop
        )
    except BaseException:
        board.stop()
        raise
