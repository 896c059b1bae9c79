"""The named sizes of the gateware."""

from __future__ import annotations

from dataclasses import dataclass, replace

from intaglio import wire


@dataclass(frozen=True)
class Profile:
    """Size of a signing core.

    ``window`` is the comb's digit width in bits, ``barrels`` the engine's barrels, ``interval``
    the clocks per product and ``issue_slots`` the programs in flight of each, ``by_limbs`` whether
    their products of 33 x 33 bits are of four hardware multipliers instead of three and sums,
    ``job_slots`` the jobs the core holds, of which each barrel has as many, a power of two,
    ``sha512_lanes`` and ``ecdsa_lanes`` the hash stations of each curve, ``sha256_lanes`` those of
    the latter that take messages too, ``inverters`` the units that invert 8 numbers each,
    ``pool_pages`` the message pool in pages of ``wire.PAGE_BYTES``.
    """

    name: str
    window: int
    barrels: int
    interval: int
    issue_slots: int
    job_slots: int
    sha512_lanes: int
    ecdsa_lanes: int
    sha256_lanes: int
    inverters: int
    key_slots: int
    pool_pages: int
    by_limbs: bool = False
    release_check: wire.ReleaseCheck = wire.ReleaseCheck.ALGEBRAIC


SMALL = Profile(
    name="small",
    window=4,
    barrels=1,
    interval=16,
    issue_slots=5,
    job_slots=8,
    sha512_lanes=1,
    ecdsa_lanes=1,
    sha256_lanes=1,
    inverters=1,
    key_slots=16,
    pool_pages=64,
)
"""Made to fit an ECP5-85F and to simulate fast: the virtual board's default."""

MID = Profile(
    name="mid",
    window=6,
    barrels=1,
    interval=4,
    issue_slots=15,
    job_slots=32,
    sha512_lanes=1,
    ecdsa_lanes=1,
    sha256_lanes=1,
    inverters=1,
    key_slots=16,
    pool_pages=64,
)
"""An instruction every four clocks, with 27 multipliers and large comb tables: for an ECP5-85F."""

FULL = Profile(
    name="full",
    window=5,
    barrels=2,
    interval=4,
    issue_slots=15,
    job_slots=64,
    sha512_lanes=1,
    ecdsa_lanes=2,
    sha256_lanes=1,
    inverters=1,
    key_slots=16,
    pool_pages=128,
    by_limbs=True,
)
"""Two barrels side by side: fits an ECP5-85F, and has no bitstream yet."""

SMALL_DOUBLE = replace(SMALL, name="small-double", release_check=wire.ReleaseCheck.DOUBLE)
"""``small``, every point computed twice."""

PROFILES = {profile.name: profile for profile in (SMALL, SMALL_DOUBLE, MID, FULL)}
