"""Masks, lists of places and the other forms of `view[...]` choose and write what numpy does."""

from __future__ import annotations

from array import array as plain_array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from remotemedia import AudioView
from view_arrays import KINDS, Array, assert_same, random, view_of

FRAME = (3, 4, 5)
SUBSCRIPTS: list[Any] = [
    [1, 0],
    [-1, 2, 2],
    [],
    [[0, 1], [2, 0]],
    [True, False, True],
    range(2),
    np.array(1),
    np.array([2, 0], "uint8"),
    np.array([[True], [False], [True]]).repeat(4, axis=1),
    np.array(True),
    True,
    False,
    (slice(None), [3, 0]),
    (..., [3, 0]),
    (..., [False, True, False, False, True]),
    (1, [3, 0]),
    ([2, 1], 0),
    ([2, 1], slice(1, 3), 0),
    (0, slice(None), [1, 2]),
    (slice(None), 1, [[4], [0]]),
    (slice(None, None, -1), [0, 3], slice(None, None, 2)),
    (None, [1, 0]),
    ([1, 0], None, ...),
    (None, ..., None),
    (0, None, slice(None)),
    None,
    ...,
    (slice(0, 0), [1]),
    (slice(None), np.zeros((4, 5), bool)),
]
REFUSED: list[tuple[Any, type[Exception]]] = [
    ([3], IndexError),
    ([-4, 0], IndexError),
    ([0.5], IndexError),
    (np.ones(4, bool), IndexError),
    (np.ones((3, 5), bool), IndexError),
    (np.array([0.0]), IndexError),
    ((slice(None), slice(None), slice(None), [0]), IndexError),
    ((..., ...), IndexError),
    ([[0], [1, 2]], ValueError),
]


def as_views(subscript: Any) -> Any:
    """The same subscript with views for the arrays in it."""
    if isinstance(subscript, tuple):
        return tuple(map(as_views, subscript))
    return AudioView(subscript) if isinstance(subscript, np.ndarray) else subscript


def layouts(array: Array) -> list[Any]:
    """Views with the numbers of an array, which lie in C order, in Fortran's, and with gaps."""
    axes = tuple(reversed(range(array.ndim)))
    turned = AudioView(np.ascontiguousarray(array.transpose(axes))).transpose(axes)
    wide = AudioView.zeros((*array.shape[:-1], 2 * array.shape[-1]), str(array.dtype))
    gaps = wide[..., ::-2]
    gaps[:] = view_of(array)
    return [AudioView(array), turned, gaps]


@pytest.mark.parametrize("subscript", SUBSCRIPTS, ids=repr)
@pytest.mark.parametrize("kind", ["bool", "int16", "float32", "complex128"])
def test_what_is_chosen_is_what_numpy_chooses(kind: str, subscript: Any) -> None:
    """spec: CARD-05"""
    array = random(kind, FRAME, 1)
    for view in layouts(array):
        found = view[as_views(subscript)]
        assert isinstance(found, AudioView)
        assert_same(found, array[subscript])


@pytest.mark.parametrize("subscript", SUBSCRIPTS, ids=repr)
@pytest.mark.parametrize("kind", ["bool", "int16", "float32", "complex128"])
def test_what_is_chosen_is_written_as_numpy_writes(kind: str, subscript: Any) -> None:
    """spec: CARD-05"""
    array = random(kind, FRAME, 2)
    chosen = array[subscript]
    for number, view in enumerate(layouts(array)):
        mine = array.copy()
        values = random(kind, chosen.shape, number)
        row = random("int8", chosen.shape[-1:], number)
        for value in (1, values, row, values[None]):
            mine[subscript] = value
            view[as_views(subscript)] = AudioView(value) if isinstance(value, np.ndarray) else value
            assert_same(view, mine)


@pytest.mark.parametrize(("subscript", "error"), REFUSED, ids=repr)
def test_what_cannot_be_chosen_is_refused(subscript: Any, error: type[Exception]) -> None:
    """spec: CARD-05"""
    array = random("float32", FRAME, 3)
    view = AudioView(array)
    for target in (array, view):
        with pytest.raises(error):
            target[as_views(subscript) if target is view else subscript]
        with pytest.raises(error):
            target[as_views(subscript) if target is view else subscript] = 0
    assert_same(view, array)


@pytest.fixture(autouse=True)
def _without_warnings() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_every_kind(kind: str) -> None:
    """spec: CARD-05"""
    for array in (random(kind, (4, 30), 4), random(kind, (4, 60), 5)[:, ::2]):
        view, mine = view_of(array), array.copy()
        middle = array.ravel()[7].item()
        assert_same(view[view > middle], mine[mine > middle])
        assert_same(view[:, view[1] == view[1, 3]], mine[:, mine[1] == mine[1, 3]])
        assert_same(view[~(view == view)], mine[~(mine == mine)])
        view[view > middle] = 0
        mine[mine > middle] = 0
        assert_same(view, mine)
        if kind != "bool":
            view[view != 0] *= 2
            mine[mine != 0] *= 2
            assert_same(view, mine)


def test_a_mask_of_another_shape_of_values_changes_nothing() -> None:
    """spec: CARD-05"""
    array = np.arange(6, dtype=np.float32)
    view: Any = AudioView(array)
    for target in (array, view):
        with pytest.raises(ValueError, match=r"broadcast|assign"):
            target[target > 3] = [1, 2, 3]
    assert_same(view, array)
    with pytest.raises(TypeError, match="'AudioView' takes one list or mask at a time"):
        view.reshape(2, 3)[[0, 1], [1, 2]]
    with pytest.raises(TypeError, match="'AudioView' takes integers, slices"):
        view["left"]


def test_whatever_holds_numbers_chooses() -> None:
    """spec: CARD-05"""
    view: Any = AudioView(np.arange(6, dtype="float32"))
    assert view[plain_array("i", [5, 0])].tolist() == [5, 0]
    assert view[np.arange(6) > 3].tolist() == [4, 5]
    assert view[np.int8(-1)] == 5
    view[memoryview(plain_array("b", [1, 2]))] = 9
    assert view[AudioView(1, "uint8")] == 9
    for subscript in (b"1", "1", 1.0, {0}):
        with pytest.raises(TypeError, match="'AudioView' takes integers, slices"):
            view[subscript]


def test_what_is_chosen_is_a_copy_and_a_new_axis_is_not() -> None:
    """spec: CARD-05"""
    view = AudioView(np.arange(6, dtype="int16").reshape(2, 3), sample_rate=8000)
    swapped = view[[1, 0]]
    assert swapped.sample_rate == 8000
    swapped[0] = 9
    assert view.tolist() == [[0, 1, 2], [3, 4, 5]]
    view[:, None, 0][:] = 7
    assert view.tolist() == [[7, 1, 2], [7, 4, 5]]


def test_parts_that_overlap_are_read_before_they_are_written() -> None:
    """spec: CARD-05"""
    array = np.arange(8, dtype=np.float32)
    view = AudioView(array)
    array[[0, 1, 2]] = array[1:4].copy()
    view[[0, 1, 2]] = view[1:4]
    assert_same(view, array)
    array[array > 2] = array[array > 2][::-1].copy()
    view[view > 2] = view[view > 2][::-1]
    assert_same(view, array)
