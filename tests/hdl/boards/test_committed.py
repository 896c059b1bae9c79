"""The bitstreams that are in the repository."""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from intaglio import bitstreams, wire
from intaglio.bitstreams import Manifest
from intaglio.curve import DEVICE_CURVES
from intaglio.hdl.boards import BOARDS, contents, doc
from intaglio.hdl.boards.build import is_stale

COMMITTED = bitstreams.manifests()
KEYS = (
    "board",
    "profile",
    "device",
    "clock_hz",
    "fmax_hz",
    "seeds",
    "sha256",
    "rtl_digest",
    "board_digest",
    "git_revision",
    "wire_version",
    "tools",
    "utilisation",
    "cycles_per_signature",
)


def test_keys_of_a_manifest() -> None:
    assert tuple(field.name for field in dataclasses.fields(Manifest)) == KEYS


def test_every_bitstream_has_its_manifest() -> None:
    found = {path.name.removesuffix(".bit.gz") for path in bitstreams.FOLDER.glob("*.bit.gz")}
    assert found == {path.stem for path in bitstreams.FOLDER.glob("*.json")}
    assert found == {manifest.name for manifest in COMMITTED}


def test_bitstreams() -> None:
    for manifest in COMMITTED:
        check_bitstream(manifest)


def check_bitstream(manifest: Manifest) -> None:
    board = BOARDS[manifest.board]
    data = bitstreams.bitstream(manifest)
    part = manifest.device[: len("LFE5U-85F")] if "5G" not in manifest.device else "LFE5UM5G"
    assert part.encode() in data[:200]
    assert manifest.device == board.device
    assert manifest.clock_hz < manifest.fmax_hz == max(manifest.seeds.values())
    assert manifest.wire_version == wire.VERSION
    assert set(manifest.cycles_per_signature) == {curve.value for curve in DEVICE_CURVES}
    assert all(cells["used"] <= cells["available"] for cells in manifest.utilisation.values())
    assert len(bytes.fromhex(manifest.git_revision)) == 20


def test_bitstreams_are_of_these_sources() -> None:
    """A warning; where a release is made (``make release-check``), an error."""
    names = [f"bitstreams/{manifest.name}.json" for manifest in COMMITTED if is_stale(manifest)]
    told = f"stale, run make bitstreams: {', '.join(names)}"
    assert not (names and os.environ.get("INTAGLIO_RELEASE")), told
    if names:
        warnings.warn(told, stacklevel=1)


def test_a_release_needs_fresh_bitstreams(monkeypatch: pytest.MonkeyPatch) -> None:
    stale = SimpleNamespace(name="b-p", profile="gone", board="gone")
    monkeypatch.setattr(sys.modules[__name__], "COMMITTED", [stale])
    monkeypatch.delenv("INTAGLIO_RELEASE", raising=False)
    with pytest.warns(UserWarning, match=r"make bitstreams: bitstreams/b-p\.json"):
        test_bitstreams_are_of_these_sources()
    monkeypatch.setenv("INTAGLIO_RELEASE", "1")
    with pytest.raises(AssertionError, match=r"make bitstreams: bitstreams/b-p\.json"):
        test_bitstreams_are_of_these_sources()


@pytest.mark.slow
def test_block_rams_hold_what_the_sources_say(tmp_path: Path) -> None:
    """Of every bitstream that is not stale."""
    for manifest in COMMITTED:
        if not is_stale(manifest):
            data = bitstreams.bitstream(manifest)
            assert contents.check(manifest, data, tmp_path / manifest.name) == [], manifest.name


def test_tables_are_fresh() -> None:
    text = doc.README.read_text()
    assert doc.refreshed(text) == text, "run: python -m intaglio.hdl.boards.doc"
    with pytest.raises(ValueError, match="fences of 'boards' once, not 0 times"):
        doc.refreshed(text.replace("<!-- boards: end -->", ""))


MANIFEST = Manifest(
    board="b",
    profile="p",
    device="d",
    clock_hz=30_000_000,
    fmax_hz=31_250_000,
    seeds={"1": 31_250_000},
    sha256="",
    rtl_digest="",
    board_digest="",
    git_revision="",
    wire_version=1,
    tools={},
    utilisation={"LUT4": {"used": 3, "available": 4}},
    cycles_per_signature={"ed25519": 10_000, "secp256k1": None},
)
"""Of a bitstream that nobody has."""


def test_rates_in_the_table() -> None:
    row = doc.bitstreams_table([MANIFEST]).splitlines()[2]
    assert row == "| `b-p` | 30 | 31.2 | 3 of 4 | ed25519 3000 |"
    assert doc.bitstreams_table([]) == "None yet.\n"


def test_pages_of_boards_that_are_too_small() -> None:
    used = {"LUT4": {"used": 1, "available": 1}, "EBR": {"used": 57, "available": 208}}
    built = dataclasses.replace(MANIFEST, board="ulx3s-85f", profile="small", utilisation=used)
    pages = {page.split("`")[1]: page for page in doc.pages([built]).split("### ")[1:]}
    assert "`small` does not fit: it takes 57 EBR, and an LFE5U-25F" in pages["colorlight-i5"]
    assert "`intaglio build colorlight-i9` makes one" in pages["colorlight-i9"]


def test_pages() -> None:
    board = next(iter(BOARDS))
    text = doc.pages([dataclasses.replace(MANIFEST, board=board, rtl_digest="ab" * 16)])
    first, second = text.split("### ")[1:3]
    assert f"`{board}-p` is built and routed, and not yet tried on silicon" in first
    assert "RTL digest     " + "ab" * 16 in first
    assert "LUT4 3 of 4" in first
    assert "ed25519 3000" in first
    assert "No bitstream is included" in second
    for known in BOARDS.values():
        assert f"### {known.title}: `{known.name}`" in text
        assert f'idProduct}}=="{known.programmer.usb[1]}"' in text
