"""Folds of both primes: congruent, and within the ranges that the engine relies on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intaglio.hdl.engine.isa import Curve, bias
from intaglio.hdl.field.fold import FOLDS, INPUT_BOUND, OPERAND_BOUND
from intaglio.params import ED25519, SECP256K1
from intaglio.sim.benches.field_edges import totals

INPUTS = st.integers(0, INPUT_BOUND - 1)


def check(curve: Curve, value: int) -> None:
    fold = FOLDS[curve]
    folded = fold(value)
    assert folded % fold.prime == value % fold.prime
    assert 0 <= folded < fold.lazy_bound
    assert value % 2**fold.split1 + fold.factor1 * (value >> fold.split1) < fold.middle_bound


@pytest.mark.parametrize("curve", list(Curve))
def test_edges_fold(curve: Curve) -> None:
    for value in totals():
        check(curve, value)


@given(value=INPUTS, curve=st.sampled_from(list(Curve)))
def test_any_value_folds(value: int, curve: Curve) -> None:
    check(curve, value)


@pytest.mark.parametrize("curve", list(Curve))
def test_too_much_is_refused(curve: Curve) -> None:
    for value in (INPUT_BOUND, -1):
        with pytest.raises(AssertionError):
            FOLDS[curve](value)


@pytest.mark.parametrize("curve", list(Curve))
def test_constants(curve: Curve) -> None:
    fold = FOLDS[curve]
    assert fold.prime == {Curve.ED25519: ED25519.p, Curve.SECP256K1: SECP256K1.p}[curve]
    assert (2**fold.split1 - fold.factor1) % fold.prime == 0
    assert (2**fold.split2 - fold.factor2) % fold.prime == 0
    assert fold.lazy_bound < 2 * fold.prime, "one subtraction makes a lazy value canonical"


@pytest.mark.parametrize("curve", list(Curve))
def test_lazy_words_never_leave_the_fold_s_range(curve: Curve) -> None:
    """The largest factors and addends that the operand forms can make of lazy words."""
    word, offset = FOLDS[curve].lazy_bound - 1, bias(FOLDS[curve].prime)
    entry = FOLDS[curve].prime - 1
    assert offset % FOLDS[curve].prime == 0
    assert offset >= 2 * word, "what is subtracted: p2 + p3"
    doubled_and_biased = 2 * word + offset
    factors = (2 * word + word, doubled_and_biased, word + offset, entry + offset, 2 * entry)
    assert max(factors) < OPERAND_BOUND
    assert max(factors) ** 2 + max(word, offset) < INPUT_BOUND
