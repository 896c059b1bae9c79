"""Messages as hash gateware sees them: chunks, padded words, and the check over chunks."""

import random
from functools import reduce

from intaglio.hdl.stream import CHUNK_BYTES


def chunks(message: bytes, noise: random.Random | None = None) -> list[dict[str, int]]:
    """Transfers of a Chunk stream for ``message``; ``noise`` fills the bytes that do not count.

    With ``noise`` a message of whole chunks sometimes ends in an extra chunk of no bytes.
    """
    pieces = [message[i : i + CHUNK_BYTES] for i in range(0, len(message), CHUNK_BYTES)]
    if not pieces or (noise and len(pieces[-1]) == CHUNK_BYTES and noise.random() < 0.5):
        pieces.append(b"")
    result = []
    for i, piece in enumerate(pieces):
        missing = CHUNK_BYTES - len(piece)
        filled = piece + (noise.randbytes(missing) if noise else bytes(missing))
        result.append(
            {
                "data": int.from_bytes(filled, "big"),
                "count": len(piece),
                "last": int(i == len(pieces) - 1),
            }
        )
    return result


def padded_words(message: bytes, bits: int) -> list[dict[str, int]]:
    """Words of ``message`` with the padding of FIPS 180-4, section 5.1, for SHA-``bits``."""
    size = bits // 64
    zeros = -(len(message) + 1 + 2 * size) % (16 * size)
    whole = message + b"\x80" + bytes(zeros) + (8 * len(message)).to_bytes(2 * size, "big")
    words = [int.from_bytes(whole[i : i + size], "big") for i in range(0, len(whole), size)]
    return [
        {"word": word, "first": int(i == 0), "last": int(i == len(words) - 1)}
        for i, word in enumerate(words)
    ]


def check_of(message: bytes) -> int:
    """What :class:`~intaglio.hdl.hash.reader.MessageReader` gives as the check of ``message``."""
    pieces = [message[i : i + CHUNK_BYTES] for i in range(0, len(message), CHUNK_BYTES)]
    words = [int.from_bytes(piece.ljust(CHUNK_BYTES, b"\0"), "big") for piece in pieces]
    return reduce(lambda check, word: (check << 1 | check >> 63) % (1 << 64) ^ word, words, 0)
