"""Pickles between the processes of one user: node objects, items, changed attributes.

There are two kinds. Between interpreters of one implementation and minor version, what a worker
cannot import travels by value (`_by_value`, cloudpickle). Everywhere else nothing may: bytecode of
another interpreter ends the process that runs it. There the source travels (`_portable`). Which
kind a pickle is stands in its first bytes, and a process opens only what it can.

Classes and functions that have travelled have a token (`_tokens`): later items refer to them by it,
in both directions, so ``isinstance`` holds on both sides. The caller's script is never executed
again: the worker's ``__main__`` is a stand-in module that holds the shipped names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from remotemedia._tokens import registry
from remotemedia._unpicklable import UnpicklableError as UnpicklableError

if TYPE_CHECKING:
    from remotemedia import _by_value as by_value

PORTABLE = b"RMP1"
"""The first bytes of a pickle that any interpreter may open; a plain one begins otherwise."""


def _load_by_value() -> Any:
    """The other kind, where there is cloudpickle and an interpreter that it knows."""
    if sys.implementation.name != "cpython":
        return None
    try:
        from remotemedia import _by_value
    except ModuleNotFoundError as problem:
        if problem.name != "cloudpickle":
            raise
        return None
    return _by_value


# At once, where it is there: workers wait warm, and the first item should not pay for it.
if not TYPE_CHECKING:
    by_value = _load_by_value()


class Writable(Protocol):
    """Where a pickler writes."""

    def write(self, data: bytes, /) -> object:
        """Takes the next bytes."""


def _portable_writer() -> Any:
    """What writes portable pickles; imported when first needed, because it costs a start."""
    from remotemedia._portable import writing

    return writing


def _is_portable() -> bool:
    return registry.writes_portable or by_value is None


def dumps(value: object) -> bytes:
    """Pickles an item for a peer that has not been shipped anything, or for the caller's process.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the culprit.
    """
    if _is_portable():
        return _dumps_portably(value)
    plain = by_value.dumps(value)
    # Without anything by value it is as good as a portable one.
    return plain if by_value.holds_code(plain) else PORTABLE + b"v" + plain


def _dumps_portably(value: object) -> bytes:
    try:
        data: bytes = _portable_writer().dumps(value)
    except UnpicklableError as problem:
        if not registry.has_callers_kind:
            raise
        # Others than the caller's kind refuse it, and their nodes can move there.
        return dumps_by_value_after(problem, value)
    return data


def dumps_by_value_after(problem: UnpicklableError, value: object) -> bytes:
    """Pickles for the caller's kind alone an item that not every interpreter may open.

    Raises:
        UnpicklableError: that is not possible either; it is `problem`.
    """
    if by_value is None:
        raise problem
    try:
        data: bytes = by_value.dumps(value)
    except UnpicklableError:
        raise problem from None
    return data


def dump_into(file: Writable, value: object, foresee: Callable[[int], None]) -> None:
    """Pickles an object piece by piece, so that `file` can stop it by raising.

    So can `foresee`, which is told the size in bytes of an array or tensor inside the object
    before that is pickled: tensors make a copy of themselves then.
    """
    writer = _portable_writer() if _is_portable() else by_value
    writer.dump_into(file, value, foresee)


def loads(data: bytes) -> object:
    """Opens a pickle that a process of the same session wrote.

    Raises:
        UnpicklableError: It may hold code of another interpreter.
    """
    if data.startswith(PORTABLE):
        from remotemedia._portable import opening

        return opening.loads(data)
    return _by_value_only().loads(data)


def _by_value_only() -> Any:
    """The kind that may hold code.

    Raises:
        UnpicklableError: This interpreter does not open it.
    """
    if by_value is None:
        raise UnpicklableError("", "bytes", "a pickle with code of another interpreter")
    return by_value


LARGE_BYTES = 64 << 10
"""Smaller arrays are copied faster than they are passed on by themselves."""


class LeftArrays:
    """Takes large arrays of numpy out of a pickle: the `buffer_callback` of a pickler.

    Attributes:
        arrays: What was taken, in the order of the pickle.
    """

    def __init__(self) -> None:
        self.arrays: list[Any] = []

    def __call__(self, buffer: Any) -> bool:
        """Whether the buffer stays in the pickle."""
        with memoryview(buffer) as view:
            array = view.obj
            if view.nbytes < LARGE_BYTES or not _is_array(array):
                return True
        self.arrays.append(array)
        return False


def _is_array(value: object) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


class Shipment:
    """The node objects of a session, pickled once by value, and the way to pickle its items.

    For workers of this process's own implementation and minor version; for others there is
    `_portable.writing.PortableShipment`, which looks the same.

    Attributes:
        instances: One pickle with all node objects and every class that they need, and the levels
            of the caller's loggers.
        arrays: Large arrays among their attributes, which are not in the pickle, in its order.
        shipped: Tokens that the workers of this session know from the start.
    """

    def __init__(
        self,
        nodes: Sequence[object],
        log_levels: Mapping[str, int] = {},
        portable_items: bool = False,
        leaves_arrays: bool = False,
    ) -> None:
        """Pickles ``nodes`` as they are now.

        Args:
            nodes: The node objects.
            log_levels: Levels of loggers by name, ``""`` for the root: from there on the caller
                wants records.
            portable_items: Workers of another kind take part in the session: what these send must
                be open to them.
            leaves_arrays: Large arrays stay outside the pickle.

        Raises:
            UnpicklableError: A node cannot be pickled; the path begins with its index.
        """
        left = LeftArrays() if leaves_arrays else None
        pack = _by_value_only().dump_nodes
        self.instances, self.shipped = pack(nodes, log_levels, portable_items, left)
        self.arrays = [] if left is None else left.arrays

    def dumps(self, value: object) -> bytes:
        """Pickles an item for the workers of this session.

        Raises:
            UnpicklableError: The object cannot be pickled; the error names the culprit.
        """
        data: bytes = by_value.dumps(value, self.shipped)
        return data


def open_shipment(data: bytes, buffers: Sequence[Any] = ()) -> tuple[list[object], dict[str, int]]:
    """Opens a session's node objects in a worker, whose ``__main__`` becomes the caller's stand-in.

    Everything shipped for an earlier session is forgotten.

    Args:
        data: The pickle.
        buffers: The memory of the arrays that it leaves out.

    Returns:
        The node objects, and the levels of the caller's loggers.
    """
    forget_shipment()
    is_portable = data.startswith(PORTABLE)
    opened: Any
    if is_portable:
        from remotemedia._portable import opening

        opened = opening.loads(data, buffers)
    else:
        opened = _by_value_only().open_nodes(data, buffers)
    nodes, log_levels, registry.writes_portable = opened
    registry.has_callers_kind = not is_portable
    return nodes, log_levels


def unopened() -> Sequence[int]:
    """The places of the nodes for whose sake the last shipment could not be opened, as far as that
    is known.
    """
    opening = sys.modules.get("remotemedia._portable.opening")
    places: Sequence[int] = opening.worked_for() if opening is not None else ()
    return places


def forget_shipment() -> None:
    """Forgets in a worker what was shipped for a session: the next may have other classes."""
    registry.start_afresh()
