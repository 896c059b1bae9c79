"""The tool runner: building, caching, failing loudly."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio.hdl import digest
from intaglio.sim import runner


class Stage(wiring.Component):
    """One register on a stream."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        return m


HARNESS = """
#include "Vtop.h"
#include <cstdio>
int main() {
    Vtop top;
    top.rst = 0; top.i___05Fvalid = 1; top.i___05Fpayload = 0x5a; top.o___05Fready = 1;
    top.clk = 0; top.eval(); top.clk = 1; top.eval();
    std::printf("%02x\\n", top.o___05Fpayload);
}
"""


@pytest.fixture(scope="module")
def built() -> runner.Build:
    return runner.build(Stage(), "stage")


def test_runs_and_records(built: runner.Build) -> None:
    first = runner.run(built, "intaglio.sim.benches.runner_echo", seed=7)
    again = runner.run(built, "intaglio.sim.benches.runner_echo", seed=7)
    other = runner.run(built, "intaglio.sim.benches.runner_echo", seed=8)
    assert first == again != other


def test_failing_bench_raises_with_log(built: runner.Build) -> None:
    with pytest.raises(runner.BenchError, match=r"1 of 2 tests failed(.|\n)*AssertionError"):
        runner.run(built, "intaglio.sim.benches.runner_echo", env={"WRONG": 1})


def test_missing_bench_raises(built: runner.Build) -> None:
    with pytest.raises(runner.BenchError, match="No module named"):
        runner.run(built, "intaglio.sim.benches.no_such_bench")


def test_build_is_cached(built: runner.Build) -> None:
    stamp = (built.folder / "Vtop.mk").stat().st_mtime_ns
    assert runner.build(Stage, "stage") == built
    assert (built.folder / "Vtop.mk").stat().st_mtime_ns == stamp


def test_key_finds_verilog_without_elaborating(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path))
    text = runner.verilog(Stage, name="keyed", key="one")

    def never() -> wiring.Component:
        raise AssertionError("elaborated")

    assert runner.verilog(never, name="keyed", key="one") == text
    with pytest.raises(AssertionError, match="elaborated"):
        runner.verilog(never, name="keyed", key="two")
    assert "module keyed" in runner.verilog(Stage, name="keyed", key="two")


def test_executable_and_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "main.cpp"
    source.write_text(HARNESS)
    text = runner.verilog(Stage, name="stage")
    seen: list[float] = []

    def make() -> Path:
        return runner.verilate_executable(
            text, "stage", [source], progress=lambda _, fraction: seen.append(fraction)
        )

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(make), threads.submit(make)
    assert first.result() == second.result()
    assert subprocess.check_output([first.result()], text=True) == "5a\n"
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert seen.count(1.0) == 1


def test_broken_harness_raises_with_log(tmp_path: Path) -> None:
    source = tmp_path / "main.cpp"
    source.write_text("int main() { return undeclared_name; }")
    with pytest.raises(runner.ToolError, match="undeclared_name"):
        runner.verilate_executable(runner.verilog(Stage, name="stage"), "stage", [source])


def test_missing_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(runner.ToolError, match=r"apt-get install g\+\+ make perl"):
        runner.check_tools()


def test_old_entries_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path))
    monkeypatch.setattr(runner, "KEEP_ENTRIES", 2)
    for key in ("one", "two", "three"):
        runner.verilog(Stage, name="stage", key=key)
    assert len(list(tmp_path.glob("*/complete"))) == 2


def test_digest_names_the_profile() -> None:
    assert len(digest.rtl_digest("sim")) == digest.DIGEST_BYTES
    assert digest.rtl_digest("sim") == digest.rtl_digest("sim")
    assert digest.rtl_digest("sim") != digest.rtl_digest("tiny")
