"""What the core's memories and registers hold, and what of it may stay when all is done."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import Any

from cocotb.handle import ArrayObject, HierarchyObject

from intaglio.hdl.engine.isa import LIMBS
from intaglio.hdl.jobs import READERS
from intaglio.hdl.keystore import PUBLIC_WORDS, SECRET_WORDS
from intaglio.hdl.limbram import lanes_of
from intaglio.sim.benches.core_build import TOP
from intaglio.sim.benches.core_host import PROFILE

State = dict[str, tuple[int, ...]]
"""Words of each memory and register (one word), by its path below the core."""

LANES = lanes_of(PROFILE.interval)


def lanes(path: str) -> list[str]:
    """Memories of a :class:`~intaglio.hdl.limbram.LimbRam`."""
    return [f"{path}.lane{i}.words" for i in range(LANES)]


BARRELS = tuple(f"engine.barrel{n}" for n in range(PROFILE.barrels))
CONTEXTS = tuple(
    path
    for barrel in BARRELS
    for path in (
        *(path for i in range(4) for path in lanes(f"{barrel}.contexts.registers{i}")),
        *(
            path
            for name in ("digit", "outbox", "inbox")
            for path in lanes(f"{barrel}.contexts.{name}_words")
        ),
        f"{barrel}.contexts.flag_words",
    )
)
INVERTERS = tuple(
    f"invert.inverter{unit}.numbers{limb}"
    for unit in range(PROFILE.inverters)
    for limb in range(LIMBS)
)
NONCES = tuple(f"nonce_{lane}" for lane in range(PROFILE.ecdsa_lanes))
HASHES = (*NONCES, *(f"sha512_{lane}" for lane in range(PROFILE.sha512_lanes)))
ZERO_MEMORIES = (
    *CONTEXTS,
    *INVERTERS,
    *(path for barrel in BARRELS for path in lanes(f"{barrel}.high_words")),
    *(f"{lane}.generator.store" for lane in NONCES),
    "pool.words.words",
)
"""Hold secrets or messages while jobs run, and nothing when none does."""

DELAYS = "engine.barrel?.alu.*"
"""Where the memories are that delay words and control bits of instructions: words are zero; two
bits that tell what kind of instruction there was, and of which curve, may be left."""

KEY_MEMORIES = {
    path: words * LIMBS // LANES
    for name, words in (
        *((f"secrets{n}", SECRET_WORDS) for n in range(PROFILE.barrels)),
        ("secrets_copy", SECRET_WORDS),
        ("publics", PUBLIC_WORDS),
    )
    for path in lanes(f"keys.{name}")
}
"""Limbs of a key slot in each; zero where no key is loaded."""

ROMS = (
    *(f"engine.programs{n}.words" for n in range((PROFILE.barrels + 1) // 2)),
    *(f"{barrel}.constants{port}.words" for barrel in BARRELS for port in (0, 2)),
    *(f"engine.combs{copy}.rom.words" for copy in range((PROFILE.barrels + 1) // 2)),
    *(f"{lane}.sha.constants" for lane in HASHES),
)

ENDED = tuple(f"jobs.ended_{n}.storage" for n in range(PROFILE.barrels))
RECORDS = tuple(f"jobs.records_{reader}.words" for reader in READERS)
"""A job's record, once for each reader."""

BOOKKEEPING = (
    *(
        f"{barrel}.{memory}"
        for barrel in BARRELS
        for memory in (
            *("late", "kept", "retiring"),
            "issue.free.storage",
            "issue.counters",
            "issue.owners",
            "issue.reading.storage",
            "issue.others.storage",
        )
    ),
    "pool.links",
    "pool.free.storage",
    *RECORDS,
    "jobs.progress",
    *ENDED,
    *(f"jobs.queue_{station}.storage" for station in ("finish", "invert", "nonce", "sha512")),
    *(
        f"jobs.queue_{kind}_{n}.storage"
        for kind in ("end", "engine")
        for n in range(PROFILE.barrels)
    ),
    *(f"engine.wipes{n}.storage" for n in range(PROFILE.barrels)),
)
"""Who, where, how long and with what status: public, and left as it is."""

DATA_MEMORIES = (
    *RECORDS,
    "jobs.progress",
    *ENDED,
    "jobs.queue_finish.storage",
)
"""Of these, what the data has a part in: the checks of messages, recovery ids, and the flags odd
and neg of an ECDSA signature, which tell k from n - k."""

KEY_PORTS = ("keys*._?_", "keys.*.lane?.read")
"""Registers of the key store's read ports: in the blocks, and behind them."""

DATA_REGISTERS = {
    "sha512_?.reader.check": "check of the last message",
    "nonce_?.reader.check": "check of the last message",
    "nonce_?.check": "check of the last message",
    "jobs.record*": "check of the last message",
    "jobs.write*": "check of the last message",
    "jobs.ended_?._?_": "flags of the last program",
    "jobs.flags": "flags of the last program",
    "jobs.event": "recovery id of the last job",
    "jobs.queue_finish._?_": "recovery id of the last job",
    "finish.current": "recovery id of the last job",
    "replier.taken": "recovery id of the last job",
    **dict.fromkeys(KEY_PORTS, "the word read last of a key that is still loaded"),
    "requests__payload": "the bench's noise",
}
"""Registers that the data has a part in when all is done (patterns), and what that is."""

KEPT = (*KEY_MEMORIES, *DATA_MEMORIES, *DATA_REGISTERS)
"""Patterns of all that may differ after two schedules of the same shape."""

_NUMBER = re.compile(r"\$\d+")


def plain(path: str) -> str:
    """A path without the numbers that Amaranth and Yosys add to names."""
    return _NUMBER.sub("", path)


def walk(parent: Any) -> Iterator[tuple[str, Any]]:
    """Path and handle of every memory and register below ``parent``."""
    for child in parent:
        if isinstance(child, HierarchyObject):
            yield from walk(child)
        else:
            path = child._path.removeprefix(f"{TOP}.").replace("\\", "").replace(" ", "")
            yield path, child


def words(handle: Any) -> tuple[int, ...]:
    """Words of a memory, from address 0, or the one of a register."""
    if not isinstance(handle, ArrayObject):
        return (int(handle.value),)
    return tuple(int(handle[address].value) for address in range(len(handle)))


def snapshot(dut: Any) -> State:
    """The whole state, ports included."""
    state: State = {}
    for path, handle in walk(dut):
        state[path] = words(handle)
    assert len(state) > 300, "the build shows too little of its state"
    return state


def check_clean(dut: Any, loaded: Collection[int] = ()) -> State:
    """No memory has anything left of a job, nor of a key but in the slots ``loaded``; the state."""
    state = snapshot(dut)
    memories = {path for path, handle in walk(dut) if isinstance(handle, ArrayObject)}
    delays = {path for path in memories if fnmatchcase(path, DELAYS)}
    known = {*ZERO_MEMORIES, *KEY_MEMORIES, *ROMS, *BOOKKEEPING, *delays}
    assert memories == known, f"memories without a rule: {sorted(memories ^ known)}"
    for path in delays:
        assert max(state[path]) < 4, f"{path}: {max(state[path]):x} is left"
    for path in ZERO_MEMORIES:
        assert not any(state[path]), f"{path}: words {_used(state[path])} are left"
    for path, limbs in KEY_MEMORIES.items():
        slots = {index // limbs for index in _used(state[path])}
        assert slots <= set(loaded), f"{path}: words of slots {sorted(slots)} are left"
    return state


def tell_tales(state: State, other: State) -> set[str]:
    """Paths of what differs in two states although no data may have a part in it."""
    found = differences(state, other)
    return {path for path in found if not any(fnmatchcase(path, kept) for kept in KEPT)}


def _used(words: tuple[int, ...]) -> list[int]:
    return [index for index, word in enumerate(words) if word]


def differences(state: State, other: State) -> set[str]:
    """Paths of what is not the same in two states."""
    return {plain(path) for path in state if state[path] != other[path]}
