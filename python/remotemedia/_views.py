"""Arrays over the same memory, which stay views of one memory when they are pickled together.

By itself, pickle writes each array with a copy of its elements.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class View(NamedTuple):
    """Where an array lies: in the memory of another array, from this byte on."""

    memory: Any
    offset: int


def is_array(value: Any) -> bool:
    """Whether a value is an array of numpy's own class, over plain memory."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray and not value.dtype.hasobject


def overlapping(arrays: Iterable[Any]) -> list[list[Any]]:
    """The arrays that overlap in memory, those that do together."""
    placed = sorted(((*_extent(array), array) for array in arrays if array.size), key=_first)
    groups: list[list[Any]] = []
    end = 0
    for start, stop, array in placed:
        if start < end:
            groups[-1].append(array)
        else:
            groups.append([array])
        end = max(end, stop)
    return [group for group in groups if len(group) > 1]


def views_of(arrays: Iterable[Any]) -> Mapping[int, View]:
    """By `id`, the arrays that are pickled as views of another one."""
    views: dict[int, View] = {}
    for group in overlapping(arrays):
        extents = [_extent(array) for array in group]
        start, stop = min(start for start, _ in extents), max(stop for _, stop in extents)
        for array, extent in zip(group, extents, strict=True):
            is_plain = array.flags.c_contiguous and array.dtype.kind in "biufc"
            if extent == (start, stop) and is_plain and array.flags.writeable:
                memory = array
                break
        else:
            memory = _bytes_over(start, stop, group)
        for array in group:
            if array is not memory:
                address = array.__array_interface__["data"][0]
                views[id(array)] = View(memory, address - start)
    return views


def reduced(array: Any, view: View) -> tuple[Any, ...]:
    """How to pickle an array as a view."""
    is_writable = array.flags.writeable
    return open_view, (*view, array.dtype, array.shape, array.strides, is_writable)


def open_view(memory: Any, offset: int, dtype: Any, shape: Sequence[int], *rest: Any) -> Any:
    """Make an array over the memory of another; `rest`: its strides, and whether it can be
    written.
    """
    import numpy as np

    strides, is_writable = rest
    view = np.ndarray(shape, dtype, memory, offset, strides)
    view.flags.writeable = is_writable and memory.flags.writeable
    return view


def _first(placed: tuple[int, int, Any]) -> tuple[int, int]:
    # The largest first, so that it comes before its parts.
    return placed[0], -placed[1]


def _extent(array: Any) -> tuple[int, int]:
    """The addresses of an array's first byte, and of the byte after its last."""
    start = stop = array.__array_interface__["data"][0]
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            start += (length - 1) * stride
        else:
            stop += (length - 1) * stride
    return start, stop + array.itemsize


class _Span:
    """Memory that belongs to some arrays, for `numpy.asarray`."""

    def __init__(self, start: int, stop: int, owners: Sequence[Any]) -> None:
        self._owners = owners
        self.__array_interface__ = {
            "version": 3,
            "data": (start, not any(owner.flags.writeable for owner in owners)),
            "shape": (stop - start,),
            "typestr": "|u1",
        }


def _bytes_over(start: int, stop: int, owners: Sequence[Any]) -> Any:
    import numpy as np

    return np.asarray(_Span(start, stop, owners))
