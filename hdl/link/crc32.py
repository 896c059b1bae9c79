"""CRC-32 of IEEE 802.3 (the CRC of :func:`zlib.crc32`), a byte a clock."""

from __future__ import annotations

from amaranth.lib import crc
from amaranth.lib.crc import catalog


def crc32() -> crc.Processor:
    """A processor; members ``start``, ``data`` (8 bits), ``valid``, ``crc``, ``match_detected``.

    ``crc`` is the checksum of all bytes since ``start``; ``match_detected`` says that those bytes
    end in their own checksum, little-endian. A byte shows in both one clock later.
    """
    return catalog.CRC32_ISO_HDLC(data_width=8).create()
