"""``intaglio list``."""

from __future__ import annotations

from types import SimpleNamespace

import serial.tools.list_ports

from intaglio.transport import discovery
from intaglio.transport.discovery import PciDevice


def test_nothing_is_said_in_words(run, monkeypatch):
    monkeypatch.setattr(discovery, "found", list)
    monkeypatch.setattr(serial.tools.list_ports, "comports", list)
    assert "--device sim:" in run("list").out
    assert run("list", "--json").json == []


def test_devices_are_listed_with_url_and_mend(run, monkeypatch, tmp_path):
    device = PciDevice(tmp_path / "0000:03:00.0")
    monkeypatch.setattr(discovery, "found", lambda: [device])
    monkeypatch.setattr(discovery, "obstacle", lambda found: ("in the way", "move it"))
    ports = [
        SimpleNamespace(device=str(tmp_path / "ttyUSB7"), vid=0x0403, description="FT2232H"),
        SimpleNamespace(device="/dev/ttyS0", vid=None, description="n/a"),
    ]
    (tmp_path / "ttyUSB7").touch()
    monkeypatch.setattr(serial.tools.list_ports, "comports", lambda: ports)
    pcie, uart = run("list", "--json").json
    assert pcie == {
        "url": "pcie:0000:03:00.0",
        "what": "signer on PCIe",
        "ready": False,
        "state": "in the way",
        "mend": "move it",
    }
    assert (uart["url"], uart["what"], uart["ready"]) == (
        f"uart:{ports[0].device}",
        "FT2232H",
        True,
    )
    assert "pcie:0000:03:00.0" in run("list").out
