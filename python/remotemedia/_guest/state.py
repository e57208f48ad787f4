"""Finds the attributes of the caller's node objects that a session has changed, to send them
back.
"""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from remotemedia import _pickle, _views
from remotemedia._text import described, sendable

_SMALL_BYTES = 256
"""Least `limit` for which the pickles of all small values are within it."""


_EMPTY = (dict, list, set, bytearray)
"""Types whose empty values are quick to tell from all others."""


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
Change: TypeAlias = tuple[str, bytes, list[tuple[str, str]]]
"""Id of a node; a pickle of changed attributes and names of deleted ones, by node; name and reason
for each changed attribute that cannot be sent."""


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


class _Attribute:
    """An attribute that can be sent, after the session.

    Attributes:
        owner: the id of its node.
        members: gives the objects that its pickle has met; None for a small value.
    """

    __slots__ = ("is_changed", "members", "name", "owner", "value")

    def __init__(self, owner: str, name: str, value: Any) -> None:
        self.owner = owner
        self.name = name
        self.value = value
        self.is_changed = False
        self.members: _pickle.Members | None = None


class Snapshots:
    """The attributes of a session's nodes as they were after `initialize`.

    Args:
        nodes: the nodes by id.
        instances: all node objects that the caller has sent. Attributes refer to them, and do not
            contain them.
        limit: the size in bytes of the largest attribute that is sent.
    """

    def __init__(
        self, nodes: Mapping[str, Any], instances: Sequence[object] = (), limit: int = 0
    ) -> None:
        self._nodes = nodes
        self._limit = limit
        # The sequence keeps the nodes alive, so no other object gets one of these addresses.
        self._instances = instances
        self._numbers = {id(node): n for n, node in enumerate(instances) if node is not None}
        self._before = {
            node_id: {
                name: (id(value), self._digest(value)[0])
                for name, value in attributes_of(node).items()
            }
            for node_id, node in nodes.items()
        }

    def _digest(self, value: Any) -> tuple[Digest | str, _pickle.Members | None]:
        """A digest of the pickled value; a str says why there is none. And what it was made of."""
        if self._limit >= _SMALL_BYTES:
            if _is_small(value):
                return (type(value), value), None  # quicker than pickling
            if type(value) in _EMPTY and not value:
                return (type(value), None), lambda: [value]
        file = _Digest(self._limit)
        try:
            members = _pickle.dump_into(file, value, file.foresee, self._numbers)
        except _TooBig:
            reason = f"its pickle is larger than write_back_max ({self._limit} bytes)"
            return reason, None
        except BaseException as error:  # pickling an attribute can raise any exception
            return described(error), None
        return file.result(), members

    def changes(self) -> list[Change]:
        """Compare the attributes with those after `initialize`.

        Objects that several attributes refer to, also of several nodes, stay shared: what shares an
        object with a changed attribute is sent with it, in the same pickle.
        """
        found: list[_Attribute] = []
        deleted: dict[str, list[str]] = {}
        kept: dict[str, list[tuple[str, str]]] = {}
        for node_id, node in self._nodes.items():
            before = self._before[node_id]
            attributes = attributes_of(node)
            deleted[node_id] = [name for name in before if name not in attributes]
            kept[node_id] = []
            for name, value in attributes.items():
                identity, digest = before.get(name, (0, ""))
                after, members = self._digest(value)
                if not isinstance(after, str):
                    attribute = _Attribute(node_id, name, value)
                    attribute.is_changed, attribute.members = after != digest, members
                    found.append(attribute)
                elif identity != id(value):
                    kept[node_id].append((name, after))
        sent: dict[str, dict[str, Any]] = {}
        groups = _Groups(node_id for node_id, names in deleted.items() if names)
        for attributes_together in _together(found):
            groups.join([attribute.owner for attribute in attributes_together])
            for attribute in attributes_together:
                sent.setdefault(attribute.owner, {})[attribute.name] = attribute.value
        pickles: dict[str, bytes] = {}
        for group in groups.all():
            states = {node_id: (sent.get(node_id, {}), deleted[node_id]) for node_id in group}
            pickles |= self._pickled(states, kept)
        return [
            (
                node_id,
                pickles.get(node_id) or _pickle.dumps({}),
                [(sendable(name), sendable(reason)) for name, reason in kept[node_id]],
            )
            for node_id in self._nodes
            if node_id in pickles or kept[node_id]
        ]

    def _pickled(
        self,
        states: dict[str, tuple[dict[str, Any], list[str]]],
        kept: dict[str, list[tuple[str, str]]],
    ) -> dict[str, bytes]:
        """The pickle of these nodes' states for each of them: the same for all, so that each is
        complete when the caller does not use the others.
        """
        try:
            return dict.fromkeys(states, _pickle.dumps_state(states, self._numbers))
        except BaseException as error:  # a thread has changed them since their digests
            if len(states) > 1:
                alone: dict[str, bytes] = {}
                for node_id, state in states.items():
                    alone |= self._pickled({node_id: state}, kept)
                return alone
            for node_id, (changed, _) in states.items():
                kept[node_id] += [(name, described(error)) for name in changed]
            return {}


class _Groups:
    """Disjoint sets of keys that grow together."""

    def __init__(self, keys: Iterable[Any] = ()) -> None:
        self._leader: dict[Any, Any] = {key: key for key in keys}

    def _find(self, key: Any) -> Any:
        path = []
        while (above := self._leader.setdefault(key, key)) != key:
            path.append(key)
            key = above
        for below in path:
            self._leader[below] = key
        return key

    def join(self, keys: Iterable[Any]) -> None:
        """Make the sets of these keys one set."""
        leader = None
        for key in keys:
            found = self._find(key)
            if leader is None:
                leader = found
            self._leader[found] = leader

    def all(self) -> Iterable[list[Any]]:
        """The sets, in the order of their first keys."""
        sets: dict[Any, list[Any]] = {}
        for key in self._leader:
            sets.setdefault(self._find(key), []).append(key)
        return sets.values()


def _together(attributes: list[_Attribute]) -> Iterable[list[_Attribute]]:
    """The changed attributes with those that share objects with them, in sets that share none."""
    changed = [attribute for attribute in attributes if attribute.is_changed]
    if all(attribute.members is None for attribute in changed):
        return [[attribute] for attribute in changed]
    groups, seen = _Groups(range(len(attributes))), dict[int, int]()
    arrays: dict[int, tuple[int, Any]] = {}
    for number, attribute in enumerate(attributes):
        for member in () if attribute.members is None else attribute.members():
            if _has_identity(member):
                groups.join((seen.setdefault(id(member), number), number))
                if _views.is_array(member):
                    arrays[id(member)] = number, member
    for views in _views.overlapping([array for _, array in arrays.values()]):
        groups.join(arrays[id(view)][0] for view in views)
    sets = ([attributes[number] for number in group] for group in groups.all())
    return [group for group in sets if any(attribute.is_changed for attribute in group)]


_WITHOUT_IDENTITY: tuple[type, ...] = (
    *(str, bytes, int, float, complex, tuple, frozenset, range, slice, type, enum.Enum),
    *(types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.CodeType),
)


def _has_identity(value: object) -> bool:
    """Whether it matters that two attributes refer to this same object: not for what never
    changes. Of functions, only the variables count.
    """
    if isinstance(value, _WITHOUT_IDENTITY):
        return False
    numpy = sys.modules.get("numpy")
    return numpy is None or not isinstance(value, (numpy.dtype, numpy.generic, numpy.ufunc))
