"""Which attributes of the caller's node objects changed while they worked, to be sent back."""

from __future__ import annotations

from typing import Any, TypeAlias

from remotemedia import _pickle

_SMALL_BYTES = 64
_PRIVATE = frozenset({"logger", "state", "_is_initialized"})


class _TooBig(Exception):
    pass


class _Digest:
    """A file that keeps only a digest of what is written, up to a bound.

    The interpreter's own hash will do: digests are compared in one process, and hashlib with
    OpenSSL would be loaded at the start of every worker.
    """

    def __init__(self, limit: int) -> None:
        self._hash = 0
        self._left = limit

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.foresee(size)
        self._left -= size
        self._hash = hash((self._hash, data if isinstance(data, bytes) else bytes(data)))
        return size

    def foresee(self, size: int) -> None:
        if size > self._left:
            raise _TooBig

    def result(self) -> int:
        return self._hash


def _is_small(value: Any) -> bool:
    """Whether a value is its own digest: equal ones of its type have the same small pickle."""
    if type(value) is int:
        return value.bit_length() < 64
    return value is None or type(value) is bool


Digest: TypeAlias = int | tuple[type, Any]


def _digest(value: Any, limit: int) -> Digest | str:
    """A digest of the pickled value, or why there is none."""
    if limit >= _SMALL_BYTES and _is_small(value):
        return type(value), value  # which is quicker than its pickle
    file = _Digest(limit)
    try:
        _pickle.dump_into(file, value, file.foresee)
    except _TooBig:
        return f"its pickle is larger than write_back_max ({limit} bytes)"
    except BaseException as error:  # the pickling of an attribute can raise anything
        return f"{type(error).__name__}: {error}"
    return file.result()


class Snapshot:
    """The attributes of a node as they were after `initialize`."""

    def __init__(self, node: Any, limit: int) -> None:
        self._node = node
        self._limit = limit
        self._before = {
            name: (id(value), _digest(value, limit)) for name, value in self._attributes().items()
        }

    def _attributes(self) -> dict[str, Any]:
        # A copy at once: a thread of the node may add attributes meanwhile.
        state: Any = object.__getstate__(self._node)
        in_dict, in_slots = state if isinstance(state, tuple) else (state, None)
        attributes = {**(in_dict or {}), **(in_slots or {})}
        return {name: value for name, value in attributes.items() if name not in _PRIVATE}

    def changes(self) -> tuple[bytes | None, list[tuple[str, str]]]:
        """A pickle of the dict of changed attributes and the list of deleted ones, None when there
        are none, and for each changed attribute that stays here the reason.
        """
        changed: dict[str, Any] = {}
        kept: list[tuple[str, str]] = []
        attributes = self._attributes()
        deleted = [name for name in self._before if name not in attributes]
        for name, value in attributes.items():
            identity, before = self._before.get(name, (0, ""))
            after = _digest(value, self._limit)
            if not isinstance(after, str):
                if after != before:
                    changed[name] = value
            elif identity != id(value):
                kept.append((name, after))
        if not changed and not deleted:
            return None, kept
        try:
            return _pickle.dumps((changed, deleted)), kept
        except BaseException as error:  # it could be pickled a moment ago
            return None, kept + [(name, f"{type(error).__name__}: {error}") for name in changed]
