"""Constants of SHA-2 against the first and last of FIPS 180-4's tables, and bad parameters."""

import pytest

from intaglio.hdl.hash.constants import parameters
from intaglio.hdl.hash.padder import Padder
from intaglio.hdl.hash.sha2 import Sha2, block_clocks


def test_round_constants_match_the_standard() -> None:
    words = parameters(256).round_constants
    assert (words[0], words[-1], len(words)) == (0x428A2F98, 0xC67178F2, 64)
    words = parameters(512).round_constants
    assert (words[0], words[-1], len(words)) == (0x428A2F98D728AE22, 0x6C44198C4A475817, 80)


def test_initial_values_match_the_standard() -> None:
    assert parameters(256).initial[::7] == [0x6A09E667, 0x5BE0CD19]
    assert parameters(512).initial[::7] == [0x6A09E667F3BCC908, 0x5BE0CD19137E2179]


def test_block_clocks() -> None:
    assert (block_clocks(256), block_clocks(512)) == (69, 85)


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="SHA-224 is not built"):
        Sha2(224)
    with pytest.raises(ValueError, match="SHA-1 is not built"):
        Padder(1, 64)
    with pytest.raises(ValueError, match="max_bytes must be at least 1, got 0"):
        Padder(256, 0)
