"""Transaction layer packets (TLPs) as streams of double words, and their headers.

A TLP is a packet of ``Packet(32)``: header first, in the byte order of 7-series endpoint blocks:
bits 31..29 of the first DW are ``fmt``, and the byte of a payload at the lowest address stands in
bits 31..24. Source: PCI Express Base Specification 3.0, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import C, Cat, Mux, Value, ValueLike
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from intaglio.hdl.stream import Packet

DW_BYTES = 4
LEAST_PAYLOAD_BYTES = 128
"""The least value of the fields Max_Payload_Size and Max_Read_Request_Size."""


class Kind(enum.Enum, shape=8):
    """``fmt`` and ``type`` of the TLPs told apart here."""

    READ_32 = 0x00
    READ_64 = 0x20
    READ_LOCKED_32 = 0x01
    READ_LOCKED_64 = 0x21
    WRITE_32 = 0x40
    WRITE_64 = 0x60
    IO_READ = 0x02
    IO_WRITE = 0x42
    CONFIG_READ_0 = 0x04
    CONFIG_WRITE_0 = 0x44
    CONFIG_READ_1 = 0x05
    CONFIG_WRITE_1 = 0x45
    FETCH_ADD_32 = 0x4C
    FETCH_ADD_64 = 0x6C
    SWAP_32 = 0x4D
    SWAP_64 = 0x6D
    COMPARE_AND_SWAP_32 = 0x4E
    COMPARE_AND_SWAP_64 = 0x6E
    COMPLETION = 0x0A
    COMPLETION_DATA = 0x4A
    COMPLETION_LOCKED = 0x0B
    COMPLETION_DATA_LOCKED = 0x4B


READS = (Kind.READ_32, Kind.READ_64)
WRITES = (Kind.WRITE_32, Kind.WRITE_64)
COMPLETIONS = (Kind.COMPLETION, Kind.COMPLETION_DATA)
LOCKED_READS = (Kind.READ_LOCKED_32, Kind.READ_LOCKED_64)
UNSERVED = (
    *LOCKED_READS,
    *(Kind.IO_READ, Kind.IO_WRITE),
    *(Kind.CONFIG_READ_0, Kind.CONFIG_WRITE_0, Kind.CONFIG_READ_1, Kind.CONFIG_WRITE_1),
    *(Kind.FETCH_ADD_32, Kind.FETCH_ADD_64, Kind.SWAP_32, Kind.SWAP_64),
    *(Kind.COMPARE_AND_SWAP_32, Kind.COMPARE_AND_SWAP_64),
)
"""Requests that await a completion and get one that says Unsupported Request."""
MESSAGE_PATTERNS = ("0011 0---", "0111 0---")
"""Messages without and with data."""


class Status(enum.Enum, shape=3):
    """Completion status."""

    SUCCESS = 0
    UNSUPPORTED = 1
    RETRY = 2
    ABORTED = 4


RequestHeader = data.StructLayout(
    {
        "kind": Kind,
        "traffic_class": 3,
        "attributes": 3,
        "poisoned": 1,
        "length": range(1025),
        "requester": 16,
        "tag": 8,
        "first_be": 4,
        "last_be": 4,
        "address": 64,
    }
)
"""Header of a request. ``length`` in DWs, 1..1024; the two low bits of ``address`` are 0;
``attributes``: no snoop, relaxed ordering, ID-based ordering, from bit 0."""

CompletionHeader = data.StructLayout(
    {
        "kind": Kind,
        "poisoned": 1,
        "length": range(1025),
        "status": Status,
        "byte_count": range(4097),
        "requester": 16,
        "tag": 8,
        "lower_address": 7,
    }
)
"""Header of a completion. ``length`` in DWs, 0 without data; ``byte_count`` 1..4096."""

Beat = data.StructLayout({"data": 32, "empty": 1, "last": 1})
"""One DW of a payload, its byte at the lowest address in bits 7..0; ``empty`` stands for the
payload of a TLP that has none."""


def tlps() -> stream.Signature:
    """Stream of whole TLPs."""
    return stream.Signature(Packet(32))


class Function(wiring.Signature):
    """What an endpoint block tells the function behind it, besides TLPs (seen from the function).

    ``bdf``
        Bus, device and function number, valid once the host has written configuration space.
    ``bus_master``, ``msi_enable``
        Bits of configuration space.
    ``max_payload``, ``max_read_request``
        Fields of Device Control: 128 bytes times two to their power, 0..5.
    ``reset``
        Function-level or hot reset, high for a clock at least.
    ``msi_request``, ``msi_ack``
        An MSI is wanted, until the pulse that says it was sent.
    ``posted_only``
        While high no requests but writes should be given: the queue of reads is filling up.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "bdf": In(16),
                "bus_master": In(1),
                "msi_enable": In(1),
                "max_payload": In(3),
                "max_read_request": In(3),
                "reset": In(1),
                "msi_request": Out(1),
                "msi_ack": In(1),
                "posted_only": Out(1),
            }
        )


def request_header(words: Sequence[Value]) -> Value:
    """The :data:`RequestHeader` in the DWs of a header, the fourth of which may be absent."""
    first, second, third, fourth = words
    is_long = first[29]
    return Cat(
        *(first[24:32], first[20:23], first[12:14], first[18], first[14]),
        *(first[:10], first[:10] == 0),
        *(second[16:32], second[8:16], second[0:4], second[4:8]),
        *(C(0, 2), Mux(is_long, fourth, third)[2:], Mux(is_long, third, 0)),
    )


def completion_header(words: Sequence[Value]) -> Value:
    """The :data:`CompletionHeader` in the DWs of a header."""
    first, second, third, _ = words
    length = Cat(first[:10], first[:10] == 0)
    return Cat(
        *(first[24:32], first[14], Mux(first[30], length, 0)),
        *(second[13:16], second[:12], second[:12] == 0),
        *(third[16:32], third[8:16], third[:7]),
    )


def memory_words(
    *, write: bool, address: Value, is_long: Value, length: Value, tag: Value, bdf: Value
) -> list[Value]:
    """DWs of the header of a request for ``length`` whole DWs: four if ``is_long``, else three.

    ``is_long`` is whether the address is 4 GiB or more, as the standard demands.
    """
    last_be = Mux(length == 1, 0, 0xF)
    first = Cat(C(0, 10), C(0, 19), is_long, C(write, 1), C(0, 1))
    low, high = Cat(C(0, 2), address[2:32]), address[32:]
    return [
        first | length[:10],
        Cat(C(0xF, 4), last_be, tag, C(0, 8 - len(tag)), bdf),
        Mux(is_long, high, low),
        low,
    ]


def completion_words(
    *,
    kind: ValueLike,
    status: Value,
    request: data.View,
    length: Value,
    byte_count: Value,
    lower_address: Value,
    bdf: Value,
) -> list[Value]:
    """DWs of the header of a completion of ``request``."""
    attributes = request.attributes
    return [
        Cat(
            *((length | C(0, 10))[:10], C(0, 2), attributes[:2], C(0, 4), attributes[2], C(0, 1)),
            *(request.traffic_class, C(0, 1), kind),
        ),
        Cat(byte_count[:12], C(0, 1), status, bdf),
        Cat(lower_address[:7], C(0, 1), request.tag, request.requester),
    ]
