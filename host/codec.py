"""What a session and a link agree on: requests to what a link carries, and replies back.

:class:`intaglio.frame.FrameCodec` is that of byte links, :class:`intaglio.ring.RingCodec` that of
descriptor rings. A transport says which is its own (:meth:`.Transport.codec`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from intaglio.ring import Runs


class Codec(Protocol):
    """Payloads (:mod:`intaglio.wire`) to the bytes of one link and back, sans-IO."""

    opening: bytes
    """What goes before a session is opened and before what is sent again."""
    lossless: bool
    """Whether nothing gets lost or damaged, so that silence means a dead device and no more."""
    queue: int
    """Requests that may wait in the link, in order, beyond the device's own window."""

    @property
    def runs(self) -> Runs | None:
        """Requests sent together, where the link carries many at once; else ``None``."""
        ...

    @property
    def frames_bad(self) -> int:
        """Damaged replies that arrived."""
        ...

    def encode(self, payload: bytes) -> bytes:
        """Bytes that carry the request ``payload``."""
        ...

    def decode(self, data: bytes) -> list[bytes]:
        """Payloads of the replies that ``data`` completes, in order."""
        ...
