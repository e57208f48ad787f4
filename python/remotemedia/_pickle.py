"""Pickles between the processes of one user: node objects, items, changed attributes.

There are two kinds, told apart by their first bytes. Between interpreters of the same
implementation and minor version, classes and functions that a worker cannot import travel by value:
their bytecode is pickled (`_by_value`, cloudpickle). Bytecode crashes any other interpreter, so
pickles for others are portable: they contain source text (`_portable`).

Classes and functions that have travelled have a token (`_tokens`). Later items refer to them by
token, in both directions, so ``isinstance`` works on both sides. The caller's script is never
executed again: the worker's ``__main__`` is a stand-in module with the shipped names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from remotemedia._tokens import NO_NUMBERS, Numbers, common, registry
from remotemedia._unpicklable import UnpicklableError as UnpicklableError

if TYPE_CHECKING:
    from remotemedia import _by_value as by_value

PORTABLE = b"RMP1"
"""The first bytes of a portable pickle; no other pickle begins with them."""


def _load_by_value() -> Any:
    """The module `_by_value`; None without cloudpickle or on an interpreter other than CPython."""
    if sys.implementation.name != "cpython":
        return None
    try:
        from remotemedia import _by_value
    except ModuleNotFoundError as problem:
        if problem.name != "cloudpickle":
            raise
        return None
    return _by_value


# Imported at once: workers have time for it while they wait, the first item does not.
if not TYPE_CHECKING:
    by_value = _load_by_value()


def sends_code() -> bool:
    """Whether this process can send classes and functions by value."""
    return by_value is not None


class Writable(Protocol):
    """The file to which a pickler writes."""

    def write(self, data: bytes, /) -> object:
        """Write bytes."""


def _portable_writer() -> Any:
    """The module that writes portable pickles; imported late, to keep the start of workers fast."""
    from remotemedia._portable import writing

    return writing


def _is_portable() -> bool:
    return registry.writes_portable or by_value is None


def dumps(value: object) -> bytes:
    """Pickle an item for the caller's process, or for a worker without a shipment.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the part at fault.
    """
    if _is_portable():
        return _dumps_portably(value)
    plain = by_value.dumps(value)
    # A pickle without bytecode is portable.
    return plain if by_value.holds_code(plain) else PORTABLE + b"v" + plain


def dumps_state(value: object, numbers: Numbers) -> bytes:
    """Pickle attributes of nodes for the caller's process, with references to the objects that have
    numbers. Arrays over the same memory stay so.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the part at fault.
    """
    if _is_portable():
        return _dumps_portably(value, numbers)
    data: bytes = by_value.dumps(value, numbers=numbers)
    return data


def _dumps_portably(value: object, numbers: Numbers = NO_NUMBERS) -> bytes:
    try:
        data: bytes = _portable_writer().dumps(value, numbers=numbers)
    except UnpicklableError as problem:
        if not registry.has_callers_kind:
            raise
        # Workers of another kind will refuse this pickle; their nodes can move to this kind.
        return dumps_by_value_after(problem, value, numbers)
    return data


def dumps_by_value_after(
    problem: UnpicklableError, value: object, numbers: Numbers = NO_NUMBERS
) -> bytes:
    """Pickle by value, only for the caller's kind of interpreter, an item that cannot be portable.

    Raises:
        UnpicklableError: that fails too; the error raised is `problem`.
    """
    if by_value is None:
        raise problem
    try:
        data: bytes = by_value.dumps(value, numbers=numbers)
    except UnpicklableError:
        raise problem from None
    return data


Members: TypeAlias = Callable[[], Iterable[object]]
"""Returns the objects that a pickle has met, which live as long as this function."""


def dump_into(
    file: Writable, value: object, foresee: Callable[[int], None], numbers: Numbers = NO_NUMBERS
) -> Members:
    """Pickle an attribute like `dumps_state`, but piece by piece, so that `file` can stop this by
    raising an exception.

    `foresee` can stop it too. It is called with the size in bytes of each array or tensor inside
    the object before that is pickled, because a tensor then makes a copy of itself.
    """
    writer = _portable_writer() if _is_portable() else by_value
    members: Members = writer.dump_into(file, value, foresee, numbers)
    return members


def loads_state(data: bytes, common_objects: Sequence[object]) -> object:
    """Load a pickle of `dumps_state`; `common_objects` are this process's objects by number.

    Raises:
        UnpicklableError: The pickle may contain bytecode of another interpreter.
    """
    entered = common.set(common_objects)
    try:
        return loads(data)
    finally:
        common.reset(entered)


def loads(data: bytes) -> object:
    """Load a pickle that a process of the same session has written.

    Raises:
        UnpicklableError: The pickle may contain bytecode of another interpreter.
    """
    if data.startswith(PORTABLE):
        from remotemedia._portable import opening

        return opening.loads(data)
    return _by_value_only().loads(data)


def _by_value_only() -> Any:
    """The module `_by_value`.

    Raises:
        UnpicklableError: This interpreter does not have it.
    """
    if by_value is None:
        raise UnpicklableError("", "bytes", "it needs bytecode, which this interpreter cannot run")
    return by_value


LARGE_BYTES = 64 << 10
"""Arrays of at least this size travel beside the pickle; smaller ones are copied faster."""


class LeftArrays:
    """Takes large numpy arrays out of a pickle, as the `buffer_callback` of a pickler.

    Attributes:
        arrays: The arrays that were taken out, in the order of the pickle.
    """

    def __init__(self) -> None:
        self.arrays: list[Any] = []

    def __call__(self, buffer: Any) -> bool:
        """Return whether the buffer stays in the pickle."""
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
    """The node objects of a session, pickled once by value; also pickles the session's items.

    This is for workers of this process's own implementation and minor version. For others there is
    `_portable.shipment.PortableShipment` with the same interface.

    Attributes:
        instances: One pickle with all node objects and every class that they need, and the levels
            of the caller's loggers.
        arrays: Large arrays of the nodes that were left out of the pickle, in the pickle's order.
        shipped: Tokens that the workers of this session know from the start.
    """

    def __init__(
        self,
        nodes: Sequence[object],
        log_levels: Mapping[str, int] = {},
        portable_items: bool = False,
        leaves_arrays: bool = False,
        definitions: Any = None,
    ) -> None:
        """Pickle ``nodes`` as they are now.

        Args:
            nodes: The node objects.
            log_levels: By logger, ``""`` for the root, the lowest level that the caller shows.
            portable_items: Whether the workers must write portable pickles, because workers of
                another kind take part in the session.
            leaves_arrays: Whether large arrays are left out of the pickle.
            definitions: See `_by_value.dump_nodes`.

        Raises:
            UnpicklableError: A node cannot be pickled; the path begins with its index.
        """
        left = LeftArrays() if leaves_arrays else None
        pack = _by_value_only().dump_nodes
        self.instances, self.shipped = pack(nodes, log_levels, portable_items, left, definitions)
        self.arrays = [] if left is None else left.arrays

    def dumps(self, value: object) -> bytes:
        """Pickle an item for the workers of this session.

        Raises:
            UnpicklableError: The object cannot be pickled; the error names the part at fault.
        """
        data: bytes = by_value.dumps(value, self.shipped)
        return data


def open_shipment(data: bytes, buffers: Sequence[Any] = ()) -> tuple[list[object], dict[str, int]]:
    """Load a session's node objects in a worker; ``__main__`` becomes a stand-in for the caller's.

    Everything shipped for an earlier session is forgotten.

    Args:
        data: The pickle.
        buffers: The memory of the arrays that were left out of the pickle.

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


def open_kept(data: bytes) -> list[Any]:
    """The objects of a `Shipment` that another program has kept in a file. This process is no
    worker, and stays as it is.
    """
    objects, _, _ = _by_value_only().open_nodes(data, ())
    return list(objects)


def unopened() -> Sequence[int]:
    """The indices of the nodes because of which the last shipment could not be loaded, as far as
    that is known.
    """
    opening = sys.modules.get("remotemedia._portable.opening")
    places: Sequence[int] = opening.worked_for() if opening is not None else ()
    return places


def forget_shipment() -> None:
    """Forget, in a worker, everything shipped for a session."""
    registry.start_afresh()
