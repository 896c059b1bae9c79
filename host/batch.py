"""When to hand bytes to the link: at once if the device would wait for them, else in company.

A write costs a system call and, over USB, a packet. While the device has plenty to do, bytes may
wait a little for more; as soon as it has little left, or the line is idle, they go at once.
"""

from __future__ import annotations

BATCH_BYTES = 16384
"""Bytes that go without waiting for more."""
DELAY_US = 100
"""Longest wait for more, in microseconds."""


class Batcher:
    """Decides how long bytes wait: never over ``max_delay_us``, and ``max_bytes`` not at all."""

    def __init__(self, max_bytes: int = BATCH_BYTES, max_delay_us: float = DELAY_US) -> None:
        self._max_bytes = max_bytes
        self._max_delay_s = max_delay_us * 1e-6
        self._since: float | None = None

    def wait_s(self, size: int, *, idle: bool, now: float) -> float:
        """Seconds that ``size`` bytes should still wait; 0 means: send them.

        ``idle``: the device has so little to do that waiting would cost time.
        """
        if not size:
            self._since = None
            return 0.0
        if self._since is None:
            self._since = now
        if idle or size >= self._max_bytes:
            return 0.0
        return max(0.0, self._since + self._max_delay_s - now)

    def sent(self) -> None:
        """Note that bytes were handed to the link; what is left starts a new wait."""
        self._since = None
