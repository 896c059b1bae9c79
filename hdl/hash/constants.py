"""Constants of SHA-256 and SHA-512, computed as FIPS 180-4 sections 4.2 and 5.3 define them."""

from dataclasses import dataclass
from math import isqrt


@dataclass(frozen=True)
class Parameters:
    """A member of the SHA-2 family. Rotations in bits; the last of each small sigma is a shift."""

    bits: int
    word_bits: int
    rounds: int
    big_sigma0: tuple[int, int, int]
    big_sigma1: tuple[int, int, int]
    small_sigma0: tuple[int, int, int]
    small_sigma1: tuple[int, int, int]

    @property
    def block_bytes(self) -> int:
        """Bytes in a message block of sixteen words."""
        return 2 * self.word_bits

    @property
    def initial(self) -> list[int]:
        """Initial hash value: fractions of the square roots of the first eight primes (5.3)."""
        mask = (1 << self.word_bits) - 1
        return [isqrt(prime << 2 * self.word_bits) & mask for prime in _primes(8)]

    @property
    def round_constants(self) -> list[int]:
        """K: fractions of the cube roots of the first ``rounds`` primes (4.2.2, 4.2.3)."""
        mask = (1 << self.word_bits) - 1
        return [_cube_root(prime << 3 * self.word_bits) & mask for prime in _primes(self.rounds)]


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _cube_root(value: int) -> int:
    """Greatest integer whose cube is at most ``value``."""
    root = 0
    for bit in reversed(range(value.bit_length() // 3 + 1)):
        if (root | 1 << bit) ** 3 <= value:
            root |= 1 << bit
    return root


_FAMILY = (
    Parameters(256, 32, 64, (2, 13, 22), (6, 11, 25), (7, 18, 3), (17, 19, 10)),
    Parameters(512, 64, 80, (28, 34, 39), (14, 18, 41), (1, 8, 7), (19, 61, 6)),
)


def parameters(bits: int) -> Parameters:
    """Parameters of SHA-``bits``; ValueError unless ``bits`` is 256 or 512."""
    for member in _FAMILY:
        if member.bits == bits:
            return member
    raise ValueError(f"SHA-{bits} is not built here; bits must be 256 or 512")
