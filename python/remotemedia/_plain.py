"""Pickles of plain values: numbers, texts, bytes, arrays of numbers, and a few of them in lists,
tuples and dicts. A pickler has nothing to look at in them, so the interpreter's own function makes
the pickle, in a fraction of the time.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from typing import Any

PROTOCOL = 5
"""As in `opening`, which a worker does not import before it has to."""
SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})
"""The types that plain values consist of, beside arrays."""
_ELEMENTS_MAX = 32
_DEPTH_MAX = 2


def elements(container: Any) -> list[Any] | None:
    """The elements of a small container, with the keys of a dict; None for anything else."""
    kind = type(container)
    if kind not in (tuple, list, dict) or len(container) > _ELEMENTS_MAX:
        return None
    return [*container, *container.values()] if kind is dict else [*container]


def is_plain(value: Any, limit: int, depth: int = 0) -> bool:
    """Whether a value is plain, and none of its texts and arrays is larger than `limit` bytes."""
    kind = type(value)
    if kind in SCALARS:
        return kind not in (str, bytes) or len(value) <= limit
    if kind is getattr(sys.modules.get("numpy"), "ndarray", None):
        return value.nbytes <= limit and not value.dtype.hasobject
    parts = elements(value) if depth <= _DEPTH_MAX else None
    return parts is not None and all(is_plain(part, limit, depth + 1) for part in parts)


def dumps(value: Any) -> bytes:
    """Pickle a plain value."""
    return pickle.dumps(value, PROTOCOL)


def loads(data: bytes, buffers: Sequence[bytearray]) -> Any:
    """Load a pickle of `Pickles`, with the memory of its arrays."""
    return pickle.loads(data, buffers=buffers)


class Pickles:
    """Pickles plain items one after the other, each in a tuple. The memory of arrays stays beside
    the pickle.

    Items that are arrays are mostly of one type and shape. Their pickles are equal, and to make one
    takes longer than a small call.
    """

    def __init__(self) -> None:
        self._dtype: Any = None
        self._shape: Any = None
        self._pickle = b""

    def dumps(self, item: tuple[Any]) -> tuple[bytes, Sequence[Any]]:
        """The pickle of a tuple of one plain value, and the memory that is not in it."""
        value = item[0]
        if type(value) in SCALARS or "numpy" not in sys.modules:
            return pickle.dumps(item, PROTOCOL), ()
        shape = getattr(value, "shape", ())
        is_usual = shape and value.flags.c_contiguous
        if is_usual and value.dtype is self._dtype and shape == self._shape:
            return self._pickle, item
        beside: list[pickle.PickleBuffer] = []
        made = pickle.dumps(item, PROTOCOL, buffer_callback=beside.append)
        if is_usual and beside:
            self._dtype, self._shape, self._pickle = value.dtype, shape, made
        return made, [buffer.raw() for buffer in beside]


__all__ = ["SCALARS", "Pickles", "dumps", "elements", "is_plain", "loads"]
