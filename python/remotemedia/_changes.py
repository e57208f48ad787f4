"""What a task has changed in a dict: entries that are new, or have another type or content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, str)


class Snapshot:
    """A dict as it was. It keeps a digest of each entry, because copies of large arrays would count
    against the memory of the task.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._before = {key: _digest(value) for key, value in values.items()}

    def changes(self, values: dict[str, Any]) -> dict[str, Any]:
        """The entries that are new or different."""
        return {
            key: value
            for key, value in values.items()
            if key not in self._before
            or (before := self._before[key]) is None
            or before != _digest(value)
        }


def _digest(value: Any) -> bytes | None:
    """A digest of types and contents; None for what has no such digest."""
    found = hashlib.blake2b()
    try:
        _feed(value, found.update)
    except (_Unknown, RecursionError):
        return None
    return found.digest()


class _Unknown(Exception):
    """An object whose contents are not known."""


def _feed(value: Any, update: Callable[[Any], object]) -> None:
    kind = type(value)
    update(f"{kind.__module__}.{kind.__qualname__}:".encode())
    if kind in _PLAIN:
        # repr is exact, and differs between -0.0 and 0.0; but it refuses very long integers.
        text = (f"{value:x}" if kind is int else repr(value)).encode("utf-8", "surrogatepass")
        update(b"%d:" % len(text))
        update(text)
    elif kind is bytes or kind is bytearray:
        update(b"%d:" % len(value))
        update(value)
    elif kind is list or kind is tuple:
        update(b"%d:" % len(value))
        for item in value:
            _feed(item, update)
    elif kind is dict:
        update(b"%d:" % len(value))
        for key, item in value.items():
            _feed(key, update)
            _feed(item, update)
    elif kind is set or kind is frozenset:
        _feed_set(value, update)
    elif kind.__module__ == "numpy" and hasattr(value, "dtype"):
        _feed_array(value, update)
    else:
        raise _Unknown


def _feed_set(value: Any, update: Callable[[Any], object]) -> None:
    """Elements have no order."""
    members = []
    for item in value:
        digest = _digest(item)
        if digest is None:
            raise _Unknown
        members.append(digest)
    update(b"%d:" % len(members))
    for member in sorted(members):
        update(member)


def _feed_array(array: Any, update: Callable[[Any], object]) -> None:
    if array.dtype.hasobject:
        raise _Unknown
    update(f"{array.dtype}:{array.shape}:".encode())
    try:
        update(memoryview(array).cast("B"))
    except (TypeError, ValueError, BufferError):  # strides, dates, no elements
        update(array.tobytes())


__all__ = ["Snapshot"]
