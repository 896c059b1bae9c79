"""Payloads to frames and back: ``COBS(payload || CRC-32(payload)) || 00``.

COBS is that of Cheshire and Baker (1999); the CRC is IEEE 802.3's, little-endian. Empty frames
(two delimiters in a row) are legal and mean nothing, so a sender may begin with a delimiter to end
whatever a receiver had taken for the start of a frame.
"""

from __future__ import annotations

import struct
import zlib

from cobs import cobs  # type: ignore[import-untyped]

from intaglio import wire

DELIMITER = bytes([wire.FRAME_DELIMITER])
_CRC = struct.Struct("<I")


def encode(payload: bytes) -> bytes:
    """Frame that carries ``payload``, its delimiter at the end included."""
    return bytes(cobs.encode(payload + _CRC.pack(zlib.crc32(payload)))) + DELIMITER


def max_frame_bytes(payload_bytes: int) -> int:
    """Longest frame, delimiter included, of a payload of at most ``payload_bytes`` bytes."""
    return int(cobs.max_encoded_length(payload_bytes + wire.CRC_BYTES)) + len(DELIMITER)


class Decoder:
    """Takes bytes as they come, gives whole payloads; what is damaged is counted and dropped.

    ``max_payload_bytes`` bounds the memory: a longer frame is one bad frame, up to its delimiter.
    """

    def __init__(self, max_payload_bytes: int) -> None:
        self._limit = max_frame_bytes(max_payload_bytes) - len(DELIMITER)
        self._partial = bytearray()
        self._too_long = False
        self.frames_good = 0
        self.frames_bad = 0

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the unfinished frame that are kept."""
        return len(self._partial)

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads of the frames that ``data`` completes, in order."""
        payloads: list[bytes] = []
        *ends, rest = data.split(DELIMITER)
        for end in ends:
            self._append(end)
            payload = self._finish()
            if payload is not None:
                payloads.append(payload)
        self._append(rest)
        return payloads

    def _append(self, piece: bytes) -> None:
        if len(self._partial) + len(piece) > self._limit:
            self._too_long = True
            self._partial.clear()
        elif not self._too_long:
            self._partial += piece

    def _finish(self) -> bytes | None:
        encoded, too_long = bytes(self._partial), self._too_long
        self._partial.clear()
        self._too_long = False
        if not encoded and not too_long:
            return None
        payload = None if too_long else decode(encoded)
        if payload is None:
            self.frames_bad += 1
        else:
            self.frames_good += 1
        return payload


class FrameCodec:
    """Frames as a session's :class:`intaglio.codec.Codec`."""

    opening = DELIMITER
    lossless = False
    queue = 0
    runs = None

    def __init__(self) -> None:
        self._decoder = Decoder(wire.MAX_REPLY_BYTES)

    @property
    def frames_bad(self) -> int:
        return self._decoder.frames_bad

    def encode(self, payload: bytes) -> bytes:
        return encode(payload)

    def decode(self, data: bytes) -> list[bytes]:
        return self._decoder.feed(data)


def decode(encoded: bytes) -> bytes | None:
    """Payload of one frame without its delimiter, or ``None`` if it is damaged."""
    try:
        plain = bytes(cobs.decode(encoded))
    except cobs.DecodeError:
        return None
    payload, crc = plain[: -wire.CRC_BYTES], plain[-wire.CRC_BYTES :]
    if len(plain) < wire.CRC_BYTES or _CRC.pack(zlib.crc32(payload)) != crc:
        return None
    return payload
