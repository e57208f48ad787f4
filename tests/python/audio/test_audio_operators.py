"""Operators of `AudioView` give what numpy gives, bit for bit where IEEE 754 says what that is."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from remotemedia import AudioView
from view_arrays import KINDS, REAL, assert_same, random, result, view_of

EXACT: list[Callable[[Any, Any], Any]] = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.lt,
    operator.le,
    operator.eq,
    operator.ne,
    operator.gt,
    operator.ge,
    operator.and_,
    operator.or_,
    operator.xor,
    operator.lshift,
    operator.rshift,
]
IN_PLACE: list[Callable[[Any, Any], Any]] = [
    operator.iadd,
    operator.isub,
    operator.imul,
    operator.itruediv,
    operator.iand,
    operator.ior,
    operator.ixor,
    operator.irshift,
]
NUMBERS: list[Any] = [0, 1, -3, 200, 40_000, 1 << 40, 0.5, -2.25, 1e300, float("nan"), True, 1 + 2j]


@pytest.fixture(autouse=True)
def _without_warnings() -> Iterator[None]:
    """numpy warns of overflows and divisions by zero; their values are meant here."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check(call: Callable[[Any, Any], Any], left: Any, right: Any) -> None:
    expected = result(call, left, right)
    as_view = [view_of(one) if isinstance(one, np.ndarray) else one for one in (left, right)]
    made = result(call, *as_view)
    if isinstance(expected, type):
        assert made is expected, (call, left.dtype, right)
        return
    assert isinstance(made, AudioView), made
    assert_same(made, expected)


@pytest.mark.parametrize("call", EXACT, ids=lambda call: call.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_two_views_give_what_two_arrays_give(call: Callable[[Any, Any], Any], kind: str) -> None:
    """spec: CARD-05"""
    for seed, other in enumerate(KINDS):
        left, right = random(kind, (4, 50), seed), random(other, (4, 50), seed + 100)
        if "c" in (left.dtype.kind, right.dtype.kind):
            # How infinities are multiplied is left to the compiler.
            left, right = np.nan_to_num(left), np.nan_to_num(right)
        for one, two in ((left, right), (left[:, ::2], right.T[:25].T), (left[0], right)):
            _check(call, one, two)


@pytest.mark.parametrize("call", EXACT, ids=lambda call: call.__name__)
@pytest.mark.parametrize("kind", REAL)
def test_numbers_take_the_width_of_the_view(call: Callable[[Any, Any], Any], kind: str) -> None:
    """spec: CARD-05"""
    array = random(kind, (3, 40), 7)
    for number in NUMBERS:
        if isinstance(number, complex):
            array = np.nan_to_num(array)
        _check(call, array, number)
        _check(call, number, np.asfortranarray(array))


@pytest.mark.parametrize("call", EXACT, ids=lambda call: call.__name__)
def test_shapes_are_laid_over_each_other(call: Callable[[Any, Any], Any]) -> None:
    """spec: CARD-05"""
    shapes = [(), (1,), (5,), (3, 1), (1, 5), (3, 5), (2, 3, 5), (0,), (3, 0), (4,)]
    for seed, shape in enumerate(shapes):
        for other in shapes:
            _check(call, random("float32", shape, seed), random("int16", other, seed + 50))


@pytest.mark.parametrize("kind", KINDS)
def test_operators_of_one_operand(kind: str) -> None:
    """spec: CARD-05"""
    for array in (
        random(kind, (4, 30), 3),
        random(kind, (4, 30), 4)[:, ::2],
        random(kind, (), 5),
    ):
        for call in (operator.neg, operator.pos, abs, operator.invert):
            expected = result(call, array)
            made = result(call, view_of(array))
            if isinstance(expected, type):
                assert made is expected
            else:
                assert_same(made, expected, is_exact=array.dtype.kind != "c")


@pytest.mark.parametrize("kind", KINDS[1:])
def test_powers(kind: str) -> None:
    """spec: CARD-05"""
    array = (
        np.nan_to_num(random(kind, (2, 30), 11)) if kind[0] in "fc" else random(kind, (2, 30), 11)
    )
    if kind[0] in "fc":
        array = np.clip(array.real, -20, 20).astype(kind)
    for exponent in (0, 1, 2, 3, -1, 2.0, True):
        expected, made = (result(operator.pow, one, exponent) for one in (array, view_of(array)))
        if isinstance(expected, type):
            assert made is expected, exponent
        else:
            assert_same(made, expected, is_exact=expected.dtype.kind in "iu")


@pytest.mark.parametrize("kind", KINDS)
def test_reductions(kind: str) -> None:
    """spec: CARD-05"""
    array = random(kind, (3, 4, 5), 2)
    if kind[0] in "fc":
        # Which of two zeros is the smaller one is left to the machine.
        array = (np.clip(np.nan_to_num(array).real, -9, 9) + 0).astype(kind)
    elif kind != "bool":
        array %= 100
    view = view_of(array)
    for name in ("min", "max", "any", "all", "sum", "mean"):
        for axis in (0, 1, -1, None):
            for keepdims in (False, True):
                made = getattr(view, name)(axis=axis, keepdims=keepdims)
                expected = getattr(array, name)(axis=axis, keepdims=keepdims)
                if axis is None and not keepdims:
                    assert made == pytest.approx(expected.item(), rel=1e-2)
                else:
                    assert_same(made, expected, is_exact=name not in ("sum", "mean"))


def test_what_is_no_number_is_the_smallest_and_the_largest() -> None:
    """spec: CARD-05"""
    view = AudioView([1, float("nan"), 3])
    assert np.isnan(view.min())
    assert np.isnan(view.max())
    assert AudioView([]).any() is False
    assert AudioView([]).all() is True
    assert np.isnan(AudioView.zeros((0, 2)).mean(axis=0).tolist()).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_in_place(kind: str, target: str) -> None:
    """spec: CARD-05"""
    for call in IN_PLACE:
        whole = random(target, (5_000,), 5)
        other = random(kind, (5_000,), 6)
        if "c" in (whole.dtype.kind, other.dtype.kind):
            whole, other = np.nan_to_num(whole), np.nan_to_num(other)
        mine = AudioView(whole)
        expected, made = result(call, whole.copy(), other), result(call, mine, AudioView(other))
        if isinstance(expected, type):
            assert made is expected
            assert_same(mine, whole)
        else:
            assert made is mine
            assert_same(mine, expected)


def test_in_place_of_parts_that_overlap() -> None:
    """spec: CARD-05"""
    array = np.arange(10_000, dtype=np.float32)
    view = AudioView(array)
    array[1:] += array[:-1].copy()
    part, before = view[1:], view[:-1]
    part += before
    assert_same(view, array)
    part *= part
    array[1:] *= array[1:]
    assert_same(view, array)
    column = view.reshape(100, 100)[:, 3]
    column -= 5
    array.reshape(100, 100)[:, 3] -= 5
    assert_same(view, array)


def test_clip_and_astype() -> None:
    """spec: CARD-05"""
    array = random("float32", (2, 50), 1)
    view = view_of(array)
    assert_same(view.clip(-1, 1), array.clip(-1, 1))
    assert_same(view.clip(min=AudioView([0.5] * 50)), array.clip(np.float32(0.5)))
    assert_same(view.clip(None, 2.5), array.clip(None, 2.5))
    whole = random("int32", (60,), 1)
    for kind in KINDS:
        assert_same(view_of(whole).astype(kind), whole.astype(kind))
        assert_same(AudioView(np.arange(9) / 2).astype(kind), (np.arange(9) / 2).astype(kind))


def test_integers_of_both_signs_are_compared_exactly() -> None:
    """spec: CARD-05"""
    unsigned, signed = np.array([2**63, 2**64 - 1, 0], "u8"), np.array([-1, 2**63 - 1, 0])
    for call in EXACT[6:12]:
        _check(call, unsigned, signed)
        _check(call, signed, unsigned)
        _check(call, unsigned, -1)
        _check(call, signed, 2**63)


def test_numpy_takes_over_where_it_stands_beside() -> None:
    """spec: CARD-05"""
    view: Any = AudioView([1, 2, 3])
    assert isinstance(view * np.float32(2), np.ndarray)
    assert np.array_equal(np.arange(3) + view, [1, 3, 5])
    assert (view == "text") is False
    assert (view != None) is True  # noqa: E711
