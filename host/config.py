"""What a pool is made of, as TOML: devices, keys by reference, fallbacks, limits.

Every name is checked; one that is not known is refused with a sentence that lists those that are.
:data:`EXAMPLE` shows them all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from intaglio.batch import BATCH_BYTES, DELAY_US
from intaglio.check import VerifyPolicy
from intaglio.curve import Curve
from intaglio.errors import InputError
from intaglio.keysource import SOURCES
from intaglio.queued import MAX_QUEUED
from intaglio.transport.base import GROUP, ParsedUrl

EXAMPLE = """\
verify = "all"                  # or "sample:100": one in a hundred by chance; or "off"
fallback = ["soft:"]            # in this order, if no device is up; [] for none

[[device]]
name = "left"
url = "uart:/dev/ttyUSB0?baud=3000000"

[[device]]
name = "right"
url = "uart:/dev/ttyUSB1?baud=3000000"
weight = 2.0                    # takes twice the share that its measured speed gives it
timeout_s = 1.0                 # silence after which it counts as gone

[[key]]
name = "trading"
curve = "ed25519"
file = "trading.hex"            # 64 hexadecimal digits, chmod 600; or env = "NAME",
                                # or keyring = "service/user"
devices = ["left"]              # only there, and in the fallbacks; without it: everywhere

[limits]
max_queued = 65536              # requests without an answer before more are refused
max_tries = 8                   # devices that a request is given to before it fails
patience_s = 5.0                # how long requests wait while nothing at all is up
batch_bytes = 16384             # bytes that go out without waiting for more
delay_us = 100.0                # longest wait for more, while the device is busy anyway

[health]
heartbeat_s = 1.0               # time between two questions for a device's counters
reconnect_s = 0.1               # first wait before a device is opened again, then doubled
reconnect_max_s = 10.0          # up to this
"""


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """A device of a pool. ``name`` is its URL if it has none."""

    url: str
    name: str = ""
    weight: float = 1.0
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """A key and where its secret is. ``devices`` empty: every device."""

    name: str
    curve: Curve
    source: str
    reference: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on requests; see :data:`EXAMPLE`."""

    max_queued: int = MAX_QUEUED
    max_tries: int = 8
    patience_s: float = 5.0
    batch_bytes: int = BATCH_BYTES
    delay_us: float = DELAY_US


@dataclass(frozen=True, slots=True)
class Health:
    """How devices are watched; see :data:`EXAMPLE`."""

    heartbeat_s: float = 1.0
    reconnect_s: float = 0.1
    reconnect_max_s: float = 10.0


@dataclass(frozen=True, slots=True)
class PoolConfig:
    """A pool. ``folder`` is where relative paths of key files start."""

    devices: tuple[DeviceConfig, ...]
    keys: tuple[KeyConfig, ...] = ()
    fallback: tuple[str, ...] = ("soft:",)
    verify: str = "all"
    limits: Limits = field(default_factory=Limits)
    health: Health = field(default_factory=Health)
    folder: Path = Path()

    @classmethod
    def load(cls, path: str | Path) -> PoolConfig:
        """The pool that the TOML file ``path`` describes. Raises :class:`InputError`."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = tomllib.load(file)
        except OSError as error:
            raise InputError(
                f"cannot read the pool's configuration {path} ({error.strerror}): check the path"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path} is not TOML: {error}") from None
        config = cls.parse(data, path.parent)
        known = {"soft", *(point.name for point in entry_points(group=GROUP))}
        for url in (*(device.url for device in config.devices), *config.fallback):
            if ParsedUrl.parse(url).scheme not in known:
                raise InputError(
                    f"{path}: {url!r} has an unknown scheme: "
                    f"known are {', '.join(f'{scheme}:' for scheme in sorted(known))}"
                )
        return config

    @classmethod
    def parse(cls, data: Mapping[str, Any], folder: Path = Path()) -> PoolConfig:
        """The pool that ``data``, as TOML gives it, describes. Raises :class:`InputError`."""
        top = _Table("the pool", data, ("verify", "fallback", "device", "key", "limits", "health"))
        verify = top.text("verify", "all")
        VerifyPolicy.parse(verify)
        devices = tuple(_device(n, row) for n, row in enumerate(top.tables("device"), 1))
        names = [device.name for device in devices]
        _unique("device", names)
        keys = tuple(_key(n, row, names) for n, row in enumerate(top.tables("key"), 1))
        _unique("key", [key.name for key in keys])
        fallback = top.texts("fallback", ("soft:",))
        for url in fallback:
            ParsedUrl.parse(url)
        if not devices and not fallback:
            raise InputError("the pool has neither a device nor a fallback: add one")
        limits = _numbers("limits", top.table("limits"), Limits)
        health = _numbers("health", top.table("health"), Health)
        return cls(devices, keys, fallback, verify, limits, health, folder)


class _Table:
    """A TOML table whose names are checked; ``where`` is what messages call it."""

    def __init__(self, where: str, data: object, known: tuple[str, ...]) -> None:
        if not isinstance(data, Mapping):
            raise InputError(f"{where} must be a table, not {type(data).__name__}")
        for name in data:
            if name not in known:
                raise InputError(
                    f"{where} has an unknown key {name!r}: known are {', '.join(known)}"
                )
        self._where = where
        self._data = data

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def text(self, name: str, default: str | None = None) -> str:
        value = self._data.get(name, default)
        if not isinstance(value, str) or not value:
            raise self._wrong(name, value, "a text")
        return value

    def texts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self._data.get(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise self._wrong(name, value, "a list of texts")
        return tuple(value)

    def number(self, name: str, default: float | None, *, whole: bool = False) -> Any:
        value = self._data.get(name, default)
        if value is default:
            return default
        kinds = int if whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < 1e9:
            raise self._wrong(
                name, value, "a whole number above 0" if whole else "a number above 0"
            )
        return value if whole else float(value)

    def table(self, name: str) -> object:
        return self._data.get(name, {})

    def tables(self, name: str) -> list[object]:
        value = self._data.get(name, [])
        if not isinstance(value, list):
            raise InputError(f"write [[{name}]] with two brackets, once for each {name}")
        return value

    def _wrong(self, name: str, value: object, wanted: str) -> InputError:
        if value is None:
            return InputError(f"{self._where} has no {name!r}: give one")
        return InputError(f"{self._where}: {name} = {value!r} must be {wanted}")


_Numbers = TypeVar("_Numbers", Limits, Health)


def _numbers(where: str, data: object, kind: type[_Numbers]) -> _Numbers:
    table = _Table(f"[{where}]", data, tuple(one.name for one in fields(kind)))
    values = {
        one.name: table.number(one.name, getattr(kind(), one.name), whole=one.type == "int")
        for one in fields(kind)
    }
    return kind(**values)


def _device(number: int, data: object) -> DeviceConfig:
    table = _Table(f"[[device]] {number}", data, ("name", "url", "weight", "timeout_s"))
    url = table.text("url")
    if ParsedUrl.parse(url).scheme == "pool":
        raise InputError(f"[[device]] {number}: a pool cannot be a device of a pool ({url})")
    name = table.text("name", url)
    return DeviceConfig(url, name, table.number("weight", 1.0), table.number("timeout_s", None))


def _key(number: int, data: object, devices: list[str]) -> KeyConfig:
    where = f"[[key]] {number}"
    table = _Table(where, data, ("name", "curve", *SOURCES, "devices"))
    named = [source for source in SOURCES if source in table]
    if len(named) != 1:
        raise InputError(f"{where} must name its secret once: by {', '.join(SOURCES)}")
    curve = table.text("curve")
    if curve not in [one.value for one in Curve]:
        known = ", ".join(one.value for one in Curve)
        raise InputError(f"{where}: curve = {curve!r} is not known: known are {known}")
    holders = table.texts("devices", ())
    for holder in holders:
        if holder not in devices:
            raise InputError(f"{where}: there is no device {holder!r}: name one of {devices}")
    return KeyConfig(table.text("name"), Curve(curve), named[0], table.text(named[0]), holders)


def _unique(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two of the pool's {what}s are called {name!r}: give each its name")
