"""What a transport is, and how a device URL finds one.

A transport moves bytes; what they mean is its codec's to say (:mod:`intaglio.codec`). One
input-output thread owns it, so only :meth:`Transport.wake` needs to be thread-safe.

A device URL is ``scheme:path?name=value&...``. The scheme names an entry point of the group
``intaglio.transports`` whose object is called as ``open_transport(url: ParsedUrl) -> Transport``;
it returns a connected transport or raises :class:`intaglio.errors.LinkError` with one sentence that
says what was wrong and what to do. A package adds a scheme in its pyproject::

    [project.entry-points."intaglio.transports"]
    sim = "intaglio.sim.board:open_transport"
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from urllib.parse import parse_qsl

from intaglio.codec import Codec
from intaglio.errors import InputError, LinkError
from intaglio.frame import FrameCodec

GROUP = "intaglio.transports"
"""Entry point group of the transports."""

EXTRA_OF_SCHEME = {"sim": "sim", "model": "sim", "pcie": "pcie"}
"""Schemes whose transport needs an extra of this package."""


@dataclass(frozen=True)
class ParsedUrl:
    """A device URL in parts: ``scheme:path?params``, and the whole as it was given in ``text``."""

    text: str
    scheme: str
    path: str = ""
    params: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> ParsedUrl:
        """Parts of ``text``. Raises :class:`InputError` without a scheme or on a broken query."""
        scheme, colon, rest = text.partition(":")
        if not colon or not scheme.isidentifier():
            raise InputError(f"device URL {text!r} has no scheme: write e.g. soft: or sim:")
        path, mark, query = rest.partition("?")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(mark and query))
        except ValueError:
            raise InputError(
                f"device URL {text!r}: write parameters as ?name=value&name=value"
            ) from None
        params = dict(pairs)
        if len(params) != len(pairs):
            raise InputError(f"device URL {text!r} gives a parameter twice: leave one out")
        return cls(text, scheme.lower(), path, params)

    def allow(self, *names: str) -> None:
        """Raise :class:`InputError` if there is a parameter that is not among ``names``."""
        for name in self.params:
            if name not in names:
                known = ", ".join(names) or "none"
                raise InputError(
                    f"device URL {self.text!r} has an unknown parameter {name!r}: known are {known}"
                )

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Parameter ``name`` as an integer of ``low..high``, or ``default`` if it is absent."""
        text = self.params.get(name)
        value = default if text is None else int(text) if text.isdecimal() else None
        if value is None or not low <= value <= high:
            raise self._out_of_range(name, f"an integer of {low}..{high}")
        return value

    def real(self, name: str, default: float, low: float, high: float) -> float:
        """Parameter ``name`` as a number of ``low..high``, or ``default`` if it is absent."""
        try:
            value = float(self.params.get(name, default))
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise self._out_of_range(name, f"a number of {low}..{high}")
        return value

    def _out_of_range(self, name: str, wanted: str) -> InputError:
        return InputError(
            f"device URL {self.text!r}: {name}={self.params.get(name)} must be {wanted}"
        )


class Transport(ABC):
    """Bytes to and from one device.

    ``name`` is what messages call the device. ``default_timeout_s`` is how many seconds of silence
    mean that the device is gone, unless the caller of ``open`` says otherwise; a request is sent
    again after a quarter of it, so a quarter must exceed the longest a healthy device is silent
    while it works on one job.
    """

    name: str
    default_timeout_s: float

    def codec(self) -> Codec:
        """How a session's requests and replies cross this link; a new one for each session."""
        return FrameCodec()

    @abstractmethod
    def write(self, data: bytes | memoryview) -> int:
        """Take as many bytes from the front of ``data`` as go without waiting; return how many.

        Raises :class:`LinkError` if the link is gone.
        """

    @abstractmethod
    def read(self, timeout_s: float | None, *, or_writable: bool = False) -> bytes:
        """Bytes that have arrived, waiting at most ``timeout_s`` (``None``: for ever).

        Returns ``b""`` when the time is over, after :meth:`wake`, or, with ``or_writable``, as soon
        as :meth:`write` would take a byte. Raises :class:`LinkError` if the link is gone.
        """

    @abstractmethod
    def wake(self) -> None:
        """Make the present or the next :meth:`read` return at once. Any thread may call this."""

    @abstractmethod
    def close(self) -> None:
        """Release the device; a second call does nothing."""


def open_transport(url: ParsedUrl) -> Transport:
    """Connected transport for ``url``. Raises :class:`LinkError` or :class:`InputError`."""
    found = [point for point in entry_points(group=GROUP) if point.name == url.scheme]
    if not found:
        known = ", ".join(sorted({f"{point.name}:" for point in entry_points(group=GROUP)}))
        raise InputError(
            f"device URL {url.text!r} has an unknown scheme {url.scheme!r}: "
            f"known are soft:, pool:, {known}"
        )
    try:
        opener: Callable[[ParsedUrl], Transport] = found[0].load()
    except ImportError as error:
        extra = EXTRA_OF_SCHEME.get(url.scheme)
        hint = f"pip install 'intaglio[{extra}]'" if extra else "install the package it comes with"
        raise LinkError(
            f"device URL {url.text!r} needs a part that is not installed ({error}): {hint}"
        ) from error
    return opener(url)
