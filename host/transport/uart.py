"""A serial port: ``uart:/dev/ttyUSB0?baud=3000000``, or any path that is a terminal, a pty too."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable

import serial

from intaglio.errors import InputError, LinkError
from intaglio.transport.base import ParsedUrl, Transport

DEFAULT_BAUD = 3_000_000
READ_BYTES = 65536
SILENCE_S = 2.0
"""Silence that a board on a fast line never reaches, in seconds."""
DRAIN_BYTES = 8192
"""Bytes a kernel and an adapter may still hold after a write has returned."""


class UartTransport(Transport):
    """Byte link over the terminal ``path`` at ``baud`` bits per second, 8N1, no flow control.

    ``name`` and ``default_timeout_s`` may be given by who starts the device behind the port;
    ``on_close`` is called once after the port was closed (to stop that device, say).
    """

    def __init__(
        self,
        path: str,
        baud: int = DEFAULT_BAUD,
        *,
        name: str | None = None,
        default_timeout_s: float | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        try:
            self._port = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
        except (OSError, ValueError, serial.SerialException) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise LinkError(
                f"cannot open serial port {path!r} at {baud} baud ({reason}): "
                "check that it exists, is not in use and may be read and written by you"
            ) from None
        self._fd = self._port.fileno()
        os.set_blocking(self._fd, False)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._closed = False
        self._on_close = on_close
        self.name = name or f"uart:{path}"
        # A quarter of it is waited before a request is sent again, ten bits a byte.
        self.default_timeout_s = default_timeout_s or SILENCE_S + 4 * DRAIN_BYTES * 10 / baud

    def write(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(error) from None

    def read(self, timeout_s: float | None, *, or_writable: bool = False) -> bytes:
        try:
            ready, _, _ = select.select(
                [self._fd, self._wake_read], [self._fd] if or_writable else [], [], timeout_s
            )
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, READ_BYTES)
            if self._fd not in ready:
                return b""
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise self._lost(error) from None
        if not data:
            raise self._lost(None)
        return data

    def wake(self) -> None:
        if not self._closed:
            with contextlib.suppress(OSError):
                os.write(self._wake_write, b"w")

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._port.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        if self._on_close is not None:
            self._on_close()

    def _lost(self, error: Exception | None) -> LinkError:
        reason = getattr(error, "strerror", None) or "end of file"
        return LinkError(
            f"the link to {self.name} was lost ({reason}): reconnect and open it again"
        )


def open_transport(url: ParsedUrl) -> UartTransport:
    """Open ``uart:PATH?baud=N``.

    Raises :class:`InputError` without a path, :class:`LinkError` if there is no such port.
    """
    url.allow("baud")
    if not url.path:
        raise InputError("device URL 'uart:' names no port: write e.g. uart:/dev/ttyUSB0")
    return UartTransport(url.path, url.integer("baud", DEFAULT_BAUD, 300, 12_000_000))
