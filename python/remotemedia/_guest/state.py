"""Finds the attributes of the caller's node objects that a session has changed, to send them
back.
"""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

from remotemedia import _pickle
from remotemedia._guest.text import described, sendable

_SMALL_BYTES = 256
"""Least `limit` for which the pickles of all small values are within it."""


class _TooBig(Exception):
    pass


class _Digest:
    """A write-only file that keeps a digest of the written bytes. Raises `_TooBig` above `limit`
    bytes.

    The digest uses `hash()`: it is compared within this process only, and hashlib would load
    OpenSSL at the start of every worker.
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
    """Whether a value can serve as its own digest. Equal values of these types have equal pickles,
    and the pickles are small.
    """
    if type(value) is int:
        return value.bit_length() < 64
    if type(value) is str:
        return len(value) <= 32
    return value is None or type(value) is bool


Digest: TypeAlias = int | tuple[type, Any]


def _digest(value: Any, limit: int) -> Digest | str:
    """A digest of the pickled value; a str says why there is none."""
    if limit >= _SMALL_BYTES and _is_small(value):
        return type(value), value  # quicker than pickling
    file = _Digest(limit)
    try:
        _pickle.dump_into(file, value, file.foresee)
    except _TooBig:
        return f"its pickle is larger than write_back_max ({limit} bytes)"
    except BaseException as error:  # pickling an attribute can raise any exception
        return described(error)
    return file.result()


def attributes_of(node: Any) -> dict[str, Any]:
    """The attributes of a node that belong to its user, in a dict of their own."""
    # Copy the attributes first, since a thread of the node may add some at any time.
    state: Any = object.__getstate__(node)
    in_dict, in_slots = state if isinstance(state, tuple) else (state, None)
    attributes = {**(in_dict or {}), **(in_slots or {})}
    base = sys.modules.get("remotemedia.core.node")
    if base is None:  # then the node is of no class of this package
        return attributes
    return {
        name: value
        for name, value in attributes.items()
        if not base.leaves_behind(node, name, value)
    }


class Snapshot:
    """The attributes of a node as they were after `initialize`."""

    def __init__(self, node: Any, limit: int) -> None:
        self._node = node
        self._limit = limit
        self._before = {
            name: (id(value), _digest(value, limit)) for name, value in attributes_of(node).items()
        }

    def changes(self) -> tuple[bytes | None, list[tuple[str, str]]]:
        """Compare the attributes with those after `initialize`.

        Returns:
            A pickle of the dict of changed attributes and the list of deleted ones, or None without
            changes; and the name of each changed attribute that cannot be sent, with the reason.
        """
        changed: dict[str, Any] = {}
        kept: list[tuple[str, str]] = []
        attributes = attributes_of(self._node)
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
        except BaseException as error:  # a thread has changed them since they were pickled above
            return None, kept + [(name, described(error)) for name in changed]


def changes(snapshots: dict[str, Snapshot]) -> list[tuple[str, bytes, list[tuple[str, str]]]]:
    """For each node with changes: its id, a pickle of its changed attributes, and name and reason
    for each changed attribute that cannot be sent.
    """
    found = []
    for node_id, snapshot in snapshots.items():
        changed, kept = snapshot.changes()
        if changed is not None or kept:
            reasons = [(sendable(name), sendable(reason)) for name, reason in kept]
            found.append((node_id, changed or _pickle.dumps(({}, [])), reasons))
    return found
