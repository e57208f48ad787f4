"""What views make of all their numbers is what numpy makes of them.

Sums, means, variances, products and `@` of floats are computed in double precision, where numpy
adds up in pairs and in the width of the array: they agree within the rounding of that width.
Integers, places, running sums and rounding agree bit for bit.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from remotemedia import AudioView
from view_arrays import KINDS, Array, assert_same, random, result, view_of

AXES: list[Any] = [None, 0, 1, -1, (0, 1), (-1, 0), (2, 1, 0), (), (0, 0), 3, (0, -4)]


@pytest.fixture(autouse=True)
def _without_warnings() -> Iterator[None]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def small(kind: str, shape: tuple[int, ...], seed: int) -> Array:
    """Numbers whose sums and products no kind overflows."""
    some = np.random.default_rng(seed).integers(0 if kind[0] in "bu" else -3, 4, shape)
    array = np.asarray(some / 2 if kind[0] in "fc" else some).astype(kind)
    return np.asarray(array * (1 + 0.5j), kind) if kind[0] == "c" else array


def called(target: Any, name: str, options: dict[str, Any]) -> Any:
    """What a method gives, or the type of its error."""
    return result(lambda: getattr(target, name)(**options))


def agree(made: Any, expected: Any, *, is_exact: bool) -> None:
    """A view where numpy has an array, a number of Python where it has a scalar."""
    if isinstance(expected, np.ndarray):
        assert isinstance(made, AudioView)
        assert made.dtype == str(expected.dtype)
        assert made.shape == expected.shape
    else:
        assert type(made) is type(expected.item())
    if is_exact:
        assert np.array_equal(np.asarray(made), expected, equal_nan=expected.dtype.kind in "fc")
        return
    width = 1e-3 if expected.dtype == np.float16 else 1e-5
    assert np.allclose(np.asarray(made), expected, rtol=width, atol=width, equal_nan=True)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "min", "max", "any", "all", "var", "std"])
@pytest.mark.parametrize("kind", KINDS)
def test_along_any_axes(kind: str, name: str) -> None:
    """spec: CARD-05"""
    array = small(kind, (3, 4, 5), 1)
    if name in ("min", "max"):
        array = array + np.zeros((), kind)  # no negative zeros: which of two is smaller is open
    is_exact = name in ("min", "max", "any", "all") or kind[0] in "ui"
    is_exact = is_exact and name not in ("mean", "var", "std")
    views = [AudioView(array), AudioView(np.ascontiguousarray(array.T)).T]
    for view, axis, keepdims in itertools.product(views, AXES, (False, True)):
        options = {"axis": axis, "keepdims": keepdims}
        expected = called(array, name, options)
        made = called(view, name, options)
        if isinstance(expected, type):
            assert made is expected
        else:
            agree(made, expected, is_exact=is_exact)


@pytest.mark.parametrize("kind", KINDS)
def test_degrees_of_freedom(kind: str) -> None:
    """spec: CARD-05"""
    array = small(kind, (2, 3), 2)
    view = AudioView(array)
    for name, ddof, axis in itertools.product(("var", "std"), (0, 1, 1.5, 2, 5), (None, 0, 1)):
        expected = getattr(array, name)(axis=axis, ddof=ddof)
        agree(getattr(view, name)(axis, ddof=ddof), expected, is_exact=False)


def test_a_deviation_of_nothing_and_of_what_is_no_number() -> None:
    """spec: CARD-05"""
    assert math.isnan(AudioView([]).std())
    assert math.isnan(AudioView([1.0, float("nan")]).var())
    # Far from zero the squares of single precision would be all rounding.
    assert AudioView([10_000.0, 10_000.5, 10_001.0]).var() == pytest.approx(1 / 6)


@pytest.mark.parametrize("name", ["argmin", "argmax"])
@pytest.mark.parametrize("kind", KINDS)
def test_places_of_extremes(kind: str, name: str) -> None:
    """spec: CARD-05"""
    options: list[dict[str, Any]] = [{}, {"axis": 0}, {"axis": -1}, {"keepdims": True}, {"axis": 3}]
    for seed, option in enumerate(options):
        array = random(kind, (4, 5, 30), seed)
        for mine in (array, array[..., ::2], np.nan_to_num(array)):
            expected, made = called(mine, name, option), called(view_of(mine), name, option)
            if isinstance(expected, type):
                assert made is expected
            else:
                agree(made, expected, is_exact=True)
    with pytest.raises(ValueError, match=f"{name} of an empty sequence"):
        getattr(AudioView([]), name)()


@pytest.mark.parametrize("kind", KINDS)
def test_running_sums(kind: str) -> None:
    """spec: CARD-05"""
    array = random(kind, (3, 4, 6), 1)
    if kind[0] in "fc":
        array = np.nan_to_num(array.clip(-9, 9) if kind[0] == "f" else array)
    for mine, axis in itertools.product((array, array[..., ::2], array[0, 0]), (None, 0, -1)):
        assert_same(view_of(mine).cumsum(axis), mine.cumsum(axis))
    assert_same(AudioView.zeros((0, 2)).cumsum(0), np.zeros((0, 2), np.float32).cumsum(0))


@pytest.mark.parametrize("kind", KINDS[1:])
def test_rounding(kind: str) -> None:
    """spec: CARD-05"""
    whole = random(kind, (4, 30), 1)
    if kind[0] in "ui":
        whole %= 90  # rounded up beyond the range numpy promises nothing
    for array in (whole, whole[:, ::2]):
        for decimals in (0, 1, 3, -1, -2):
            assert_same(view_of(array).round(decimals), array.round(decimals))
    halves = np.array([0.5, 1.5, 2.5, -0.5, -1.5]).astype(kind if kind[0] in "fc" else "f4")
    assert_same(AudioView(halves).round(), halves.round())


@pytest.mark.parametrize("kind", KINDS)
def test_products_of_vectors_and_matrices(kind: str) -> None:
    """spec: CARD-05"""
    shapes = [(4,), (3, 4), (4, 5), (4, 1), (1, 4), (0, 4), (4, 0), (3,), (2, 3, 4), ()]
    for one, two in itertools.product(shapes, shapes):
        if len(one) > 2 or len(two) > 2:
            with pytest.raises((TypeError, ValueError)):
                AudioView(small(kind, one, 1)) @ AudioView(small(kind, two, 2))
            continue
        left, right = small(kind, one, 1), small("int16" if kind == "uint8" else kind, two, 2)
        expected = result(lambda a, b: a @ b, left, right)
        made = result(lambda a, b: a @ b, AudioView(left), AudioView(right))
        if isinstance(expected, type):
            assert made is expected
        else:
            agree(made, expected, is_exact=left.dtype.kind in "biu")
            agree(AudioView(left).dot(AudioView(right)), expected, is_exact=kind[0] in "biu")


def test_a_product_with_a_number_and_of_strided_matrices() -> None:
    """spec: CARD-05"""
    array = np.arange(12, dtype=np.float64).reshape(3, 4)
    assert_same(AudioView(array).dot(3), array.dot(3))
    assert_same(AudioView(array).T @ AudioView(array), array.T @ array)
    assert_same(AudioView(array)[:, ::-1] @ AudioView(array)[1], array[:, ::-1] @ array[1])
    with pytest.raises(TypeError):
        AudioView(array) @ 2  # type: ignore[operator]


@pytest.mark.parametrize("kind", KINDS)
def test_other_shapes_and_parts_of_the_same_numbers(kind: str) -> None:
    """spec: CARD-05"""
    array = random(kind, (1, 4, 1, 6), 1)
    for mine, view in ((array, AudioView(array)), (array.T, AudioView(array).T)):
        for name in ("ravel", "flatten", "squeeze", "conj", "copy"):
            assert_same(getattr(view, name)(), getattr(mine, name)())
        for axis in (0, -2, (0, 2), 1):
            option = {"axis": axis}
            expected, made = called(mine, "squeeze", option), called(view, "squeeze", option)
            if isinstance(expected, type):
                assert made is expected
            else:
                assert_same(made, expected)
        assert_same(view.real, mine.real)
        assert_same(view.imag, mine.imag)
        assert (view.itemsize, view.dtype.itemsize) == (mine.itemsize, mine.itemsize)
        assert (view.dtype.name, view.dtype.kind) == (mine.dtype.name, mine.dtype.kind)


def test_which_of_them_share_memory() -> None:
    """spec: CARD-05"""
    view = AudioView([[1, 2], [3, 4]], "complex64")
    view.ravel()[0] = 5
    view.real[0, 1] = 6
    view.imag[1] = 7
    view.squeeze().T[0, 1] += 1
    assert view.tolist() == [[5, 6], [4 + 7j, 4 + 7j]]
    for copy in (view.flatten(), view.T.ravel(), view.conj(), view[0].copy()):
        copy.fill(0)
    assert view.tolist() == [[5, 6], [4 + 7j, 4 + 7j]]
    assert view.astype("c8", copy=False) is view
    assert view.astype("c8") is not view
    assert view.astype(complex, copy=False).dtype == "complex128"
