"""Arrays of other kinds as plain ones, for native nodes.

A native node knows plain numpy arrays of numbers. What else is an array (a memory map, a matrix, an
array of a class of its own) it gets as the plain array with the same elements. Where that would
lose something, there is an error that says what to do instead.
"""

from __future__ import annotations

import sys
from typing import Any

_DEPTH = 8
"""How deep in tuples, lists and dicts arrays are looked for."""


def plain(item: Any) -> Any:
    """The item with plain arrays; None if it has no others.

    Raises:
        TypeError: an array has elements that are no plain numbers, or that are masked.
    """
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    made = _plain(item, numpy, _DEPTH)
    return None if made is item else made


def _plain(value: Any, numpy: Any, depth: int) -> Any:
    if isinstance(value, numpy.ndarray):
        return _array(value, numpy)
    if depth == 0 or type(value) not in (tuple, list, dict):
        return value
    if type(value) is dict:
        made = {key: _plain(part, numpy, depth - 1) for key, part in value.items()}
        is_same = all(made[key] is part for key, part in value.items())
    else:
        made = type(value)(_plain(part, numpy, depth - 1) for part in value)
        is_same = all(new is old for new, old in zip(made, value, strict=True))
    return value if is_same else made


def _array(array: Any, numpy: Any) -> Any:
    kind = f"{type(array).__module__}.{type(array).__qualname__}"
    if array.dtype.names is not None:
        example = array.dtype.names[0]
        raise TypeError(
            f"native nodes take arrays of numbers, and this {kind} has records: give one field, as "
            f"in item[{example!r}]"
        )
    if array.dtype.kind not in "biufc" or array.dtype.num > numpy.dtype("float16").num:
        raise TypeError(
            f"native nodes take arrays of numbers, and this {kind} has elements of dtype "
            f"{array.dtype}: give item.astype(numpy.float32)"
        )
    if numpy.ma.is_masked(array):
        raise TypeError(
            f"native nodes have no masked elements, and this {kind} has some: give item.filled(0), "
            "or another value for them"
        )
    return numpy.asarray(array.data if isinstance(array, numpy.ma.MaskedArray) else array)


__all__ = ["plain"]
