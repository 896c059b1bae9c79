"""The instruction word and the assembler."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intaglio.hdl.engine.alu import Operation
from intaglio.hdl.engine.assembler import (
    ONE,
    SHARED,
    Assembler,
    Const,
    ConstantPool,
    Digits,
    Inbox,
    Key,
    Operand,
    Outbox,
    Value,
)
from intaglio.hdl.engine.isa import (
    FIELDS,
    INSTRUCTION_BITS,
    KEY_WORDS,
    OUTBOX_WORDS,
    REGISTERS,
    WORD_BITS,
    A,
    Addend,
    B,
    Curve,
    Dest,
    Instruction,
    Port0,
    Port2,
    Port3,
    bias,
)
from intaglio.hdl.engine.programs import Image
from intaglio.hdl.field.fold import FOLDS
from intaglio.hdl.routes import Station, routes
from intaglio.sim import bfm
from intaglio.wire import ReleaseCheck


def values_of(field_bits: int, kind: object) -> st.SearchStrategy[int]:
    return st.sampled_from(list(kind)) if kind else st.integers(0, (1 << field_bits) - 1)  # type: ignore[call-overload]


INSTRUCTIONS = st.builds(
    Instruction, **{field.name: values_of(field.bits, field.kind) for field in FIELDS}
)


@given(INSTRUCTIONS)
def test_decode_inverts_encode(instruction: Instruction) -> None:
    word = instruction.encode()
    assert 0 <= word < 1 << INSTRUCTION_BITS
    assert Instruction.decode(word) == instruction


@given(INSTRUCTIONS)
def test_gateware_lays_the_word_out_alike(instruction: Instruction) -> None:
    named = {field.name: int(getattr(instruction, field.name)) for field in FIELDS}
    assert bfm.unpack(Operation, instruction.encode()) == named


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_values_out_of_range_are_refused(field) -> None:  # type: ignore[no-untyped-def]
    for wrong in (-1, 1 << field.bits):
        with pytest.raises(ValueError, match=f"{field.name}={wrong} does not fit"):
            replace(Instruction(), **{field.name: wrong}).encode()


def test_every_code_fits_its_field() -> None:
    assert [field.name for field in FIELDS] == [field.name for field in fields(Instruction)]
    for field in FIELDS:
        if field.kind:
            assert max(field.kind) < 1 << field.bits
            assert [int(code) for code in field.kind] == list(range(len(field.kind)))


@pytest.mark.parametrize("curve", list(Curve))
def test_bias_is_the_least_multiple_of_the_prime_above_two_lazy_words(curve: Curve) -> None:
    prime = FOLDS[curve].prime
    assert bias(prime) % prime == 0
    assert bias(prime) - prime < 2**257 + 2**73 <= bias(prime)


def assembler() -> Assembler:
    return Assembler(Curve.ED25519, ConstantPool())


def test_registers_are_freed_after_the_last_use() -> None:
    asm = assembler()
    values = [asm.mul(ONE, ONE) for _ in range(REGISTERS - len(SHARED))]
    for left, right in itertools.pairwise(values):
        asm.op(p0=left, p1=right)
    code = asm.instructions()
    assert [i.end for i in code] == [0] * (len(code) - 1) + [1]
    used = [i.rd for i in code if i.write]
    assert sorted(used) == sorted(set(range(REGISTERS)) - set(SHARED.values()))


def test_too_many_live_values_are_refused() -> None:
    asm = assembler()
    values = [asm.mul(ONE, ONE) for _ in range(REGISTERS - len(SHARED) + 1)]
    for value in values:
        asm.op(p0=value)
    with pytest.raises(ValueError, match=f"instruction 5: more than {REGISTERS} values alive"):
        asm.instructions()


def test_a_register_may_be_read_and_written_at_once() -> None:
    asm = assembler()
    value = asm.mul(ONE, ONE)
    for _ in range(40):
        value = asm.mul(value, value)
    asm.op(p0=asm.mul(value, value))
    assert max(i.rd for i in asm.instructions()) < len(SHARED) + 3


def test_shared_values_have_their_register_in_every_program() -> None:
    writer, reader = assembler(), assembler()
    for name in SHARED:
        writer.mul(ONE, ONE, name)
        reader.op(p0=Value(name))
    assert [i.rd for i in writer.instructions()] == list(SHARED.values())
    assert [i.p0 for i in reader.instructions()] == list(SHARED.values())
    assert all(i.write for i in writer.instructions())


def test_unread_results_are_not_written() -> None:
    asm = assembler()
    asm.mul(ONE, ONE)
    assert [i.write for i in asm.instructions()] == [0]


@pytest.mark.parametrize(
    ("port", "operand", "expected"),
    [
        ("p0", Inbox(1), {"port0": Port0.INBOX, "p0": 1}),
        ("p0", Outbox(3), {"port0": Port0.OUTBOX, "p0": 3}),
        ("p0", Const(7), {"port0": Port0.CONSTANT, "p0": 0}),
        ("p2", Key(2), {"port2": Port2.KEY, "p2": 2}),
        ("p2", Digits(), {"port2": Port2.DIGITS}),
        ("p2", Const(7), {"port2": Port2.CONSTANT, "p2": 0}),
        ("p3", Const(7), {"port3": Port3.CONSTANT, "p3": 0}),
    ],
)
def test_ports_name_their_sources(port: str, operand: Operand, expected: dict[str, int]) -> None:
    asm = assembler()
    asm.op(**{port: operand})  # type: ignore[arg-type]
    (instruction,) = asm.instructions()
    assert {name: getattr(instruction, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("port", "operand"),
    [
        ("p0", Key(1)),
        ("p0", Digits()),
        ("p1", Const(1)),
        ("p1", Inbox(0)),
        ("p2", Inbox(0)),
        ("p2", Outbox(0)),
        ("p3", Key(0)),
        ("p3", Inbox(0)),
    ],
)
def test_ports_refuse_what_they_cannot_read(port: str, operand: Operand) -> None:
    asm = assembler()
    asm.op(**{port: operand})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be read by this port"):
        asm.instructions()


def test_two_constants_on_one_port_are_refused() -> None:
    asm = assembler()
    asm.op(p0=Const(2), p3=Const(3), b=B.ADD)
    with pytest.raises(ValueError, match="share one port of the constant ROM"):
        asm.instructions()


def test_constants_are_shared() -> None:
    pool = ConstantPool()
    assert [pool.index(value) for value in (5, 9, 5, 9, 1)] == [0, 1, 0, 1, 2]
    assert pool.words == [5, 9, 1]


@pytest.mark.parametrize("window", [4, 5, 6])
@pytest.mark.parametrize("check", list(ReleaseCheck))
def test_images_fit_their_fields(window: int, check: ReleaseCheck) -> None:
    image = Image(window, release_check=check)
    bits = {field.name: field.bits for field in FIELDS}
    assert len(image.constants) <= 1 << bits["p0"]
    assert all(0 <= word < 1 << WORD_BITS for word in image.constants)
    assert [Instruction.decode(word) for word in image.rom] == [
        i for code in image.programs.values() for i in code
    ]
    for program, first in image.entry_points.items():
        code = image.programs[program]
        assert Instruction.decode(image.rom[first]) == code[0]
        assert [i.end for i in code] == [0] * (len(code) - 1) + [1]
        for i in code:
            assert i.dest != Dest.OUTBOX or i.index < OUTBOX_WORDS
            assert i.dest != Dest.KEY or 0 < i.index < KEY_WORDS


@pytest.mark.parametrize(
    ("window", "check"),
    [(2, ReleaseCheck.ALGEBRAIC), (6, ReleaseCheck.ALGEBRAIC), (4, ReleaseCheck.DOUBLE)],
)
def test_values_are_written_before_they_are_read(window: int, check: ReleaseCheck) -> None:
    """No program reads a register that neither it nor an earlier program of the job has written."""
    image = Image(window, release_check=check)
    ran = set()
    for route in routes(check).values():
        programs = [what for station, what in route if station == Station.ENGINE]
        written: set[int] = set()
        for i in (i for program in programs for i in image.programs[program]):
            assert registers_that_count(i) <= written
            if i.write:
                written.add(i.rd)
        ran |= set(programs)
    assert ran == set(image.programs)


def registers_that_count(i: Instruction) -> set[int]:
    """Registers whose value reaches the result of ``i``."""
    ports = {"p0"}
    if i.a != A.P0 or i.b == B.SUM01:
        ports.add("p1")
    if i.b in (B.P2, B.ADD, B.SUB):
        ports.add("p2")
    if i.b in (B.ADD, B.SUB) or i.addend != Addend.NONE:
        ports.add("p3")
    sources = {"p0": i.port0, "p1": 0, "p2": i.port2, "p3": i.port3}
    return {getattr(i, port) for port in ports if sources[port] == 0}
