"""``intaglio list``: what of this machine may be a device, and its URL."""

from __future__ import annotations

import os
from typing import Any

import serial.tools.list_ports
import typer
from rich.markup import escape
from rich.table import Table

from intaglio.cli.common import OK, Json, print_json, stdout
from intaglio.transport import discovery


def list_devices(as_json: Json = False) -> None:
    """List what may be a device: signers on PCIe by their ids, and USB serial ports.

    Nothing is opened: `intaglio info --device URL` asks a device what it is.
    """
    rows = [*_pcie(), *_serial()]
    if as_json:
        print_json(rows)
        raise typer.Exit(OK)
    if not rows:
        stdout().print("No signer on PCIe and no USB serial port. Without a board: --device sim:")
        raise typer.Exit(OK)
    table = Table(title="Devices", title_justify="left")
    for name in ("device URL", "what", "state", "what to do"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(row[name]) for name in ("url", "what", "state", "mend")))
    stdout().print(table)


def _row(url: str, what: str, lack: tuple[str, str] | None) -> dict[str, Any]:
    state, mend = lack or ("ready", "")
    return {"url": url, "what": what, "ready": lack is None, "state": state, "mend": mend}


def _pcie() -> list[dict[str, Any]]:
    return [
        _row(f"pcie:{device.address}", "signer on PCIe", discovery.obstacle(device))
        for device in discovery.found()
    ]


def _serial() -> list[dict[str, Any]]:
    rows = []
    for port in sorted(serial.tools.list_ports.comports(), key=lambda port: port.device):
        if port.vid is not None:
            lack = None
            if not os.access(port.device, os.R_OK | os.W_OK):
                lack = "no right to open it", "sudo usermod -aG dialout $USER, then log in again"
            rows.append(_row(f"uart:{port.device}", port.description or "serial port", lack))
    return rows
