"""Archives that Linux unpacks as its first root file system ("newc", initramfs)."""

from __future__ import annotations

from pathlib import PurePosixPath

_FOLDER = 0o040755
_FILE = 0o100644
_PROGRAM = 0o100755
_CONSOLE = 0o020600
_PAD = 4


class Archive:
    """Files by their absolute paths; folders come by themselves. ``/dev/console`` is there."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._names: set[str] = set()
        self._device("/dev/console", 5, 1)

    def add(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Put a file in; of two with one path the first stays."""
        if path in self._names:
            return
        self._folders(path)
        self._entry(path, _PROGRAM if executable else _FILE, data)

    def bytes(self) -> bytes:
        """The whole archive."""
        names, self._names = self._names, set()
        self._entry("/TRAILER!!!", 0, b"")
        end = self._pieces.pop()
        self._names = names
        return b"".join(self._pieces) + end

    def _device(self, path: str, major: int, minor: int) -> None:
        self._folders(path)
        self._entry(path, _CONSOLE, b"", major, minor)

    def _folders(self, path: str) -> None:
        for parent in reversed(PurePosixPath(path).parents):
            name = str(parent)
            if name != "/" and name not in self._names:
                self._entry(name, _FOLDER, b"")

    def _entry(self, path: str, mode: int, data: bytes, major: int = 0, minor: int = 0) -> None:
        name = path.lstrip("/").encode() + b"\0"
        fields = (
            len(self._names) + 1,
            mode,
            0,
            0,
            1,
            0,
            len(data),
            0,
            0,
            major,
            minor,
            len(name),
            0,
        )
        self._names.add(path)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
        self._pieces += [_padded(head), _padded(data)]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _PAD)
