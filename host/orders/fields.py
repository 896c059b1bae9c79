"""Reads typed fields out of a plain dict and names the one that is missing or wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from intaglio.errors import InputError
from intaglio.orders.extras import keccak256

REQUIRED: Any = object()
"""Default of a field that must be given."""


def show(value: object) -> str:
    """A value for an error message: long ones lose their middle."""
    text = repr(value)
    return text if len(text) <= 46 else f"{text[:16]}...{text[-5:]} ({len(text)} characters)"


def is_text(value: object) -> bool:
    """Whether ``value`` is text that UTF-8 can encode (JSON can carry lone surrogates)."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class Fields:
    """The fields of ``values``, asked for one by one; ``done`` refuses what nobody asked for.

    ``where`` is how messages call the dict. Every method takes a field's name and the default for
    an absent or null field (none: the field must be given) and raises :class:`InputError`.
    """

    def __init__(self, where: str, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise InputError(f"{where} is {show(values)}; give an object with named fields")
        self._where = where
        self._values = values
        self._known: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether the field, which may be given, is given and not null."""
        self._known.add(name)
        return self._values.get(name) is not None

    def fail(self, name: str, want: str) -> InputError:
        """The error for a missing or wrong field; ``want`` says what to give."""
        if not self.has(name):
            return InputError(f"{self._where}: field {name!r} is missing; give {want}")
        return InputError(
            f"{self._where}: field {name!r} is {show(self._values[name])}; give {want}"
        )

    def take(self, name: str, want: str, default: Any = REQUIRED) -> Any:
        """The raw value."""
        self._known.add(name)
        value = self._values.get(name)
        if value is None:
            if default is REQUIRED:
                raise self.fail(name, want)
            return default
        return value

    def integer(self, name: str, bits: int, default: Any = REQUIRED, least: int = 0) -> int:
        """An unsigned integer of ``bits`` bits: an int, or decimal or ``0x`` text."""
        want = f"an integer from {least} to 2^{bits} - 1"
        value = self.take(name, want, default)
        if isinstance(value, str):
            try:
                value = int(value, 16 if value[:2].lower() == "0x" else 10)
            except ValueError:
                raise self.fail(name, want) from None
        if type(value) is not int or not least <= value < 1 << bits:
            raise self.fail(name, want)
        return value

    def flag(self, name: str, default: Any = REQUIRED) -> bool:
        """True or false."""
        value = self.take(name, "true or false", default)
        if type(value) is not bool:
            raise self.fail(name, "true or false")
        return value

    def text(self, name: str, want: str, default: Any = REQUIRED) -> str:
        """Non-empty text, unless the default is empty."""
        value = self.take(name, want, default)
        if not is_text(value) or (not value and value != default):
            raise self.fail(name, want)
        return str(value)

    def choice(self, name: str, choices: Iterable[str], default: Any = REQUIRED) -> str:
        """One of the texts ``choices``."""
        choices = list(choices)
        want = "one of " + ", ".join(choices)
        value = self.take(name, want, default)
        if value not in choices:
            raise self.fail(name, want)
        return str(value)

    def decimal(self, name: str, want: str) -> Decimal:
        """A finite number of at least 0, given as text, int, Decimal or float."""
        value = self.take(name, want)
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise self.fail(name, want)
        try:
            number = Decimal(repr(value) if isinstance(value, float) else value)
        except InvalidOperation:
            raise self.fail(name, want) from None
        if not number.is_finite() or number < 0:
            raise self.fail(name, want)
        return number.copy_abs()

    def data(
        self, name: str, want: str, default: Any = REQUIRED, sizes: tuple[int, ...] = ()
    ) -> bytes:
        """Bytes, given as such or as hexadecimal text with or without ``0x``."""
        value = self.take(name, want, default)
        if isinstance(value, str):
            try:
                value = bytes.fromhex(value.removeprefix("0x"))
            except ValueError:
                raise self.fail(name, want) from None
        if not isinstance(value, bytes | bytearray) or (sizes and len(value) not in sizes):
            raise self.fail(name, want)
        return bytes(value)

    def evm_address(self, name: str) -> bytes:
        """A 20-byte Ethereum address; the EIP-55 checksum is checked if letter case is mixed."""
        want = "an address of 20 bytes in hexadecimal, such as 0x5aAe...eAed"
        raw = self.data(name, want, sizes=(20,))
        value = self._values[name]
        if isinstance(value, str):
            digits = value.removeprefix("0x")
            if digits not in (digits.lower(), digits.upper()) and digits != eip55(raw):
                raise self.fail(name, "the address again: its EIP-55 checksum is wrong")
        return raw

    def listing(self, name: str, default: Any = REQUIRED) -> list[Any]:
        """A list."""
        value = self.take(name, "a list", default)
        if not isinstance(value, list | tuple):
            raise self.fail(name, "a list")
        return list(value)

    def nested(self, name: str, default: Any = REQUIRED) -> Fields:
        """An object inside."""
        value = self.take(name, "an object with named fields", default)
        return Fields(f"{self._where}: {name}", value)

    def each(self, name: str, default: Any = REQUIRED) -> list[Fields]:
        """A list of objects inside."""
        values = self.listing(name, default)
        return [Fields(f"{self._where}: {name}[{i}]", value) for i, value in enumerate(values)]

    def done(self) -> None:
        """Refuses fields that were not asked for: a misspelt one must not be dropped."""
        unknown = sorted(str(name) for name in self._values if name not in self._known)
        if unknown:
            raise InputError(
                f"{self._where}: unknown field {unknown[0]!r}; "
                f"known are {', '.join(sorted(self._known))}"
            )


def eip55(raw: bytes) -> str:
    """The address in hexadecimal (no ``0x``) with EIP-55's checksum in the case of its letters."""
    digits = raw.hex()
    digest = keccak256(digits.encode()).hex()
    return "".join(
        c.upper() if int(h, 16) >= 8 else c for c, h in zip(digits, digest, strict=False)
    )


def short(text: str) -> str:
    """An address for a label: its first and last characters."""
    return text if len(text) <= 12 else f"{text[:6]}..{text[-4:]}"


def units(value: int, decimals: int) -> str:
    """``value`` units of ``10 ** -decimals``, written out: ``units(1500, 3) == "1.5"``."""
    whole, part = divmod(value, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".")
