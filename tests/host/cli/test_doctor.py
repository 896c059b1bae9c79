from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from intaglio import doctor
from intaglio.doctor import Level
from intaglio.sim import runner


def levels(findings: list[doctor.Finding]) -> dict[str, Level]:
    return {finding.check: finding.level for finding in findings}


def test_every_lack_names_its_mend() -> None:
    for finding in doctor.examine():
        if finding.level in (Level.WARNING, Level.PROBLEM):
            assert finding.mend


def test_absent_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = levels(doctor.check_tools())
    assert found == {
        "g++": Level.PROBLEM,
        "make": Level.PROBLEM,
        "perl": Level.PROBLEM,
        "ccache": Level.NOTE,
    }
    assert not doctor.healthy(doctor.check_tools())


def test_tool_version_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "make"
    tool.write_text("#!/bin/sh\necho\necho 'Make 9.9'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    (make,) = [finding for finding in doctor.check_tools() if finding.check == "make"]
    assert make.found.startswith("Make 9.9")


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["pynacl>=1.5", "no-such-package-a", 'no-such-package-b>=1; extra == "boards"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: wanted)
    base, boards = doctor.check_packages()
    assert (base.level, boards.level) == (Level.PROBLEM, Level.NOTE)
    assert "no-such-package-a" in base.found
    assert boards.mend == "pip install 'intaglio[boards]'"


@pytest.mark.parametrize(("text", "level"), [("16\n", Level.WARNING), ("1\n", Level.OK)])
def test_ftdi_latency(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, level: Level
) -> None:
    port = tmp_path / "ttyUSB7"
    port.touch()
    timer = tmp_path / "devices" / "ttyUSB7" / "latency_timer"
    timer.parent.mkdir(parents=True)
    timer.write_text(text)
    listed = [SimpleNamespace(device=str(port), vid=0x403, description="FT2232H")]
    monkeypatch.setattr(doctor.serial.tools.list_ports, "comports", lambda: listed)
    monkeypatch.setattr(doctor, "USB_SERIAL", tmp_path / "devices")
    usable, latency = doctor.check_serial_ports()
    assert usable.level is Level.OK
    assert latency.level is level
    assert ("tee" in latency.mend) == (level is Level.WARNING)


def test_port_without_rights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    port.touch()
    listed = [SimpleNamespace(device=str(port), vid=1, description="")]
    monkeypatch.setattr(doctor.serial.tools.list_ports, "comports", lambda: listed)
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    (finding,) = doctor.check_serial_ports()
    assert finding.level is Level.WARNING
    assert "usermod -aG" in finding.mend


def test_cache_is_the_simulators(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert doctor.cache_dir() == runner.cache_dir()
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "cache"))
    assert doctor.cache_dir() == runner.cache_dir()
    (finding,) = doctor.check_cache()
    assert finding.level is Level.OK


def test_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INTAGLIO_CACHE", str(tmp_path / "file"))
    (finding,) = doctor.check_cache()
    assert finding.level is Level.PROBLEM
    assert "INTAGLIO_CACHE" in finding.mend


def test_slow_backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECC_BACKEND_CLASS", "eth_keys.backends.NativeECCBackend")
    assert levels(doctor.check_backends()) == {"eth_keys": Level.WARNING, "ccxt": Level.NOTE}
    monkeypatch.delenv("ECC_BACKEND_CLASS")
    assert levels(doctor.check_backends())["eth_keys"] == Level.OK
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert doctor.check_backends() == []
