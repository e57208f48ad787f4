"""What a task has changed in a dict: entries that are new, or have another type or content."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any


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
            if key not in self._before or _differs(self._before[key], value)
        }


class Watched(dict[str, Any]):
    """A dict that keeps a digest of each entry before it is first handed out: what was not handed
    out cannot have been edited.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self._first = values
        self._before: dict[str, bytes | None] = {}

    def changes(self) -> dict[str, Any]:
        """The entries that are new or different."""
        return {key: value for key, value in super().items() if self._is_changed(key, value)}

    def _is_changed(self, key: str, value: Any) -> bool:
        if key not in self._first:
            return True
        if key in self._before:
            return _differs(self._before[key], value)
        first = self._first[key]
        return value is not first and _differs(_digest(first), value)

    def _hand_out(self, key: Any) -> None:
        if key not in self._before and key in self._first:
            self._before[key] = _digest(self._first[key])

    def _hand_out_all(self) -> None:
        for key in self._first:
            self._hand_out(key)

    def __getitem__(self, key: str) -> Any:
        self._hand_out(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._hand_out(key)
        return super().get(key, default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._hand_out(key)
        return super().setdefault(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self._hand_out(key)
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        self._hand_out_all()
        return super().popitem()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # the same, by its base
        self._hand_out_all()
        return super().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # the same, by its base
        self._hand_out_all()
        return super().values()

    def copy(self) -> dict[str, Any]:
        return dict(self.items())

    def __iter__(self) -> Iterator[str]:
        # With an iterator of its own, `dict(ctx)` and `**ctx` get the entries by `__getitem__`.
        return super().__iter__()

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()


def _differs(before: bytes | None, value: Any) -> bool:
    return before is None or before != _digest(value)


class _Digest:
    """Digests what a pickler writes."""

    def __init__(self) -> None:
        # The fastest one of hashlib: processors have instructions for it.
        self.made = hashlib.sha1(usedforsecurity=False)
        self.write: Callable[[Any], object] = self.made.update

    def add(self, content: pickle.PickleBuffer) -> None:
        self.made.update(content.raw())


def _digest(value: Any) -> bytes | None:
    """A digest of types and contents; None for what has none. A pickle has all that makes values
    differ: also the sign of zeros, and an array's layout.
    """
    found = _Digest()
    pickler = pickle.Pickler(found, 5, buffer_callback=found.add)
    pickler.fast = (
        True  # what is in a value twice is written twice, whether it is one object or two
    )
    try:
        pickler.dump(value)
    except Exception:
        return None
    return found.made.digest()


__all__ = ["Snapshot", "Watched"]
