"""EIP-712 digests of typed data, with type hashes, encoders and domain separators cached.

    digest = keccak(19 01 || hashStruct(domain) || hashStruct(message))

Values must have the exact form of their type: integers in range (or text of one), 20-byte addresses
(an EIP-55 checksum is checked if letter case is mixed), byte strings of the exact length as
``bytes`` or ``0x`` text. Nothing else is coerced or filled in, so what is signed is what was meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from intaglio.errors import InputError
from intaglio.orders.extras import keccak256
from intaglio.orders.fields import Fields, show
from intaglio.orders.keccak import implementation

Types = Mapping[str, Sequence[Mapping[str, str]]]
"""Struct types by name, each a list of members ``{"name": ..., "type": ...}``."""

_Frozen = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
_Members = dict[str, tuple[tuple[str, str], ...]]
_Encode = Callable[[Any], bytes]

DOMAIN = "EIP712Domain"
DOMAIN_MEMBERS = {
    "name": "string",
    "version": "string",
    "chainId": "uint256",
    "verifyingContract": "address",
    "salt": "bytes32",
}
_WORD = 32
_FALSE, _TRUE = bytes(_WORD), (1).to_bytes(_WORD, "big")
_NUMBER = re.compile(r"(u?)int([1-9]\d*)?")
_BYTES = re.compile(r"bytes([1-9]\d?)")
_ARRAY = re.compile(r"(.+)\[(\d*)\]")


class Compiled(NamedTuple):
    """A set of struct types made ready to hash values of one of them.

    ``hash`` is hashStruct; ``root`` the one type that no other refers to, ``None`` if there are
    several; ``domain_members`` the names in ``EIP712Domain``, ``None`` if it is not described.
    """

    hash: _Encode
    root: str | None
    domain_members: frozenset[str] | None

    def digest(self, domain: Mapping[str, Any], message: Any) -> bytes:
        """What :func:`digest` returns."""
        if type(domain) is not dict and not isinstance(domain, Mapping):
            raise InputError(f"typed data: domain is {show(domain)}; give an object with a name")
        if self.domain_members is not None and self.domain_members != domain.keys():
            raise InputError(
                f"typed data: the domain gives {', '.join(domain)} but its type in 'types' names "
                f"{', '.join(sorted(self.domain_members))}; make them agree"
            )
        return implementation()(b"\x19\x01" + domain_separator(domain) + self.hash(message))


def digest(domain: Mapping[str, Any], types: Types, primary_type: str, message: Any) -> bytes:
    """The 32 bytes to sign for ``message``, a value of the struct type ``primary_type``.

    ``types`` may but need not describe ``EIP712Domain``, which follows from ``domain``. Raises
    :class:`InputError` for a type that is not defined and a value that does not fit its type.
    """
    return compiled(types, primary_type).digest(domain, message)


def compiled(types: Types, primary_type: str | None = None) -> Compiled:
    """``types`` made ready for values of ``primary_type``, ``None`` for their root; kept."""
    return _compiled(_freeze(types), primary_type)


def _freeze(types: Types) -> _Frozen:
    try:
        return tuple(
            [
                (name, tuple([(member["name"], member["type"]) for member in members]))
                for name, members in types.items()
            ]
        )
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"typed data: types are {show(types)}; give lists of objects with 'name' and 'type'"
        ) from None


def domain_separator(domain: Mapping[str, Any]) -> bytes:
    """hashStruct of a domain with any of ``DOMAIN_MEMBERS``, in any order.

    Raises :class:`InputError` for any other member.
    """
    try:
        return _separator(tuple(domain), *domain.values())
    except TypeError:
        raise InputError(
            f"typed data: domain is {show(domain)}; give text, integers and bytes"
        ) from None


@lru_cache(maxsize=256, typed=True)
def _separator(names: tuple[str, ...], *values: Any) -> bytes:
    for name in names:
        if name not in DOMAIN_MEMBERS:
            raise InputError(
                f"typed data: unknown domain member {name!r}; known are {', '.join(DOMAIN_MEMBERS)}"
            )
    members = tuple((name, kind) for name, kind in DOMAIN_MEMBERS.items() if name in names)
    return _struct({DOMAIN: members}, DOMAIN, {})(dict(zip(names, values, strict=True)))


@lru_cache(maxsize=256)
def _compiled(frozen: _Frozen, primary_type: str | None) -> Compiled:
    known = dict(frozen)
    domain = known.pop(DOMAIN, None)
    root = _root(known)
    name = primary_type or root
    if name is None:
        raise InputError("typed data: no type or several might be the primary one; name it")
    return Compiled(
        _struct(known, name, {}),
        root,
        None if domain is None else frozenset(member for member, _ in domain),
    )


def _root(known: _Members) -> str | None:
    used = {(name, _core(kind)) for name, members in known.items() for _, kind in members}
    inner = {core for name, core in used if core != name} | {DOMAIN}
    roots = [name for name in known if name not in inner]
    return roots[0] if len(roots) == 1 else None


def _core(kind: str) -> str:
    return kind.partition("[")[0]


def _struct(known: _Members, name: str, done: dict[str, _Encode]) -> _Encode:
    """hashStruct for the type ``name``; ``done`` holds those made already, for types that recur."""
    if name in done:
        return done[name]
    if name not in known:
        raise InputError(f"typed data: type {name!r} is not defined; add it to 'types'")
    others = sorted(_dependencies(known, name, set()) - {name})
    type_hash = keccak256("".join(_signature(known, each) for each in [name, *others]).encode())
    keccak = implementation()
    members: list[tuple[str, _Encode]] = []

    def hash_struct(value: Any) -> bytes:
        try:
            words = [type_hash, *[encode(value[member]) for member, encode in members]]
        except (KeyError, TypeError, AttributeError):
            raise InputError(
                f"typed data: {show(value)} is no {name}; give an object with "
                f"{', '.join(member for member, _ in members)}"
            ) from None
        return keccak(b"".join(words))

    done[name] = hash_struct
    members += [(member, _encoder(kind, known, done)) for member, kind in known[name]]
    return hash_struct


def _dependencies(known: _Members, name: str, found: set[str]) -> set[str]:
    if name in known and name not in found:
        found.add(name)
        for _, kind in known[name]:
            _dependencies(known, _core(kind), found)
    return found


def _signature(known: _Members, name: str) -> str:
    return f"{name}({','.join(f'{kind} {member}' for member, kind in known[name])})"


def _encoder(kind: str, known: _Members, done: dict[str, _Encode]) -> _Encode:
    if array := _ARRAY.fullmatch(kind):
        return _array(kind, _encoder(array[1], known, done), int(array[2]) if array[2] else None)
    if kind in known:
        return _struct(known, kind, done)
    if number := _NUMBER.fullmatch(kind):
        return _integer(kind, int(number[2] or 256), signed=not number[1])
    if fixed := _BYTES.fullmatch(kind):
        return _fixed_bytes(kind, int(fixed[1]))
    simple = {"bool": _bool, "address": _address, "string": _string, "bytes": _bytes}
    if kind not in simple:
        raise InputError(f"typed data: type {kind!r} is not defined; add it to 'types'")
    return simple[kind]


def _wrong(value: Any, kind: str) -> InputError:
    return InputError(f"typed data: {show(value)} is no {kind}; give a value of that type")


def _integer(kind: str, bits: int, *, signed: bool) -> _Encode:
    if bits % 8 or not 8 <= bits <= 256:
        raise InputError(f"typed data: there is no type {kind!r}; give 8 to 256 bits in steps of 8")
    least, most = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)

    def encode(value: Any) -> bytes:
        number = value
        if type(value) is str:
            try:
                number = int(value, 16 if value[:2] == "0x" else 10)
            except ValueError:
                raise _wrong(value, kind) from None
        if type(number) is not int or not least <= number < most:
            raise _wrong(value, kind)
        return number.to_bytes(_WORD, "big", signed=signed)

    return encode


def _fixed_bytes(kind: str, size: int) -> _Encode:
    if size > _WORD:
        raise InputError(f"typed data: there is no type {kind!r}; give bytes1 to bytes32")

    def encode(value: Any) -> bytes:
        data = value if isinstance(value, bytes) else _from_hex(value)
        if data is None or len(data) != size:
            raise _wrong(value, kind)
        return data.ljust(_WORD, b"\0")

    return encode


def _from_hex(value: Any) -> bytes | None:
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            return None
    return None


def _bool(value: Any) -> bytes:
    if type(value) is not bool:
        raise _wrong(value, "bool")
    return _TRUE if value else _FALSE


def _address(value: Any) -> bytes:
    if isinstance(value, bytes) and len(value) == 20:
        return value.rjust(_WORD, b"\0")
    if not isinstance(value, str) or not value.startswith("0x"):
        raise _wrong(value, "address")
    return address(value).rjust(_WORD, b"\0")


@lru_cache(maxsize=1024)
def address(text: str) -> bytes:
    """The 20 bytes of an address in hexadecimal; raises :class:`InputError` as ``Fields`` does."""
    return Fields("typed data", {"address": text}).evm_address("address")


def _string(value: Any) -> bytes:
    if not isinstance(value, str):
        raise _wrong(value, "string")
    try:
        return implementation()(value.encode())
    except UnicodeEncodeError:
        raise _wrong(value, "string") from None


def _bytes(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else _from_hex(value)
    if data is None:
        raise _wrong(value, "bytes")
    return implementation()(data)


def _array(kind: str, encode: _Encode, length: int | None) -> _Encode:
    def encode_all(value: Any) -> bytes:
        if not isinstance(value, list | tuple) or length not in (None, len(value)):
            raise _wrong(value, kind)
        return implementation()(b"".join([encode(item) for item in value]))

    return encode_all
