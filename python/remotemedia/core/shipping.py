"""Pickles the node objects of a run for workers, and computes digests of their code.

The orchestrator requests the objects once for each kind of interpreter: pickled by value for the
caller's own kind, as a portable pickle for others.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import types
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from remotemedia import _pickle
from remotemedia._load import native
from remotemedia._unpicklable import UnportableError
from remotemedia.core.exceptions import MarshalingError
from remotemedia.core.function import FunctionNode
from remotemedia.core.manifest import class_path

if TYPE_CHECKING:
    from remotemedia._definitions import Definitions
    from remotemedia._native import KeptBuffers


class Shipper:
    """Pickles the node objects of one run.

    Attributes:
        kept: copies, in shared memory, of the nodes' large arrays, from this and earlier runs.
        shipments: what was pickled, where several sessions get the same; else None.
    """

    def __init__(
        self,
        instances: dict[str, Any],
        kept: KeptBuffers,
        definitions: Definitions | None = None,
        *,
        shares: bool = False,
    ) -> None:
        """Take the node objects by id, and what is kept of earlier runs.

        `shares` says whether several sessions get the same pickles.
        """
        self._definitions = definitions
        self.shipments = native().Shipments() if shares else None
        self._ids = list(instances)
        self._nodes = list(instances.values())
        self.kept = kept
        self._portable: Any = None
        self._own: dict[bool, _pickle.Shipment] = {}

    def ship(
        self, implementation: str, version: str, wanted: Sequence[int], leaves_arrays: bool = False
    ) -> tuple[bytes, list[Any]]:
        """Pickle the objects for workers of an interpreter, as they are now.

        Args:
            implementation: name of the interpreter ("cpython", "rustpython").
            version: minor version of the interpreter ("3.12").
            wanted: numbers of the objects that run there.
            leaves_arrays: whether large arrays are left out of the pickle.

        Returns:
            The pickle, and the arrays that were left out, in the pickle's order.

        Raises:
            MarshalingError: an object cannot be pickled.
        """
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        try:
            if (implementation, version) == (sys.implementation.name, own):
                return self._by_value_or_portably(wanted, leaves_arrays)
            return self._portably(wanted, leaves_arrays)
        except _pickle.UnpicklableError as problem:
            raise self._refusal(problem) from problem

    def dumps(self, value: object) -> bytes:
        """Pickle an item for the workers of the run.

        Raises:
            UnpicklableError: the item cannot be pickled.
        """
        shipment = self._portable or next(iter(self._own.values()), None)
        if shipment is None:
            return _pickle.dumps(value)
        try:
            data: bytes = shipment.dumps(value)
        except _pickle.UnpicklableError as problem:
            if shipment is not self._portable:
                raise
            # Workers of another kind will refuse this pickle; their nodes can move.
            return _pickle.dumps_by_value_after(problem, value)
        return data

    def code_digest(self, instance: int) -> str:
        """A text that changes when the code of the object with this number changes."""
        return code_digest(self._nodes[instance])

    def _by_value(self, leaves_arrays: bool) -> tuple[bytes, list[Any]]:
        own = self._own.get(leaves_arrays)
        if own is None:
            # With several kinds of workers in a run, each must be able to load every item.
            is_mixed = self._portable is not None
            kept = self._definitions
            definitions = None if kept is None else (kept, _code_of(self._nodes))
            own = _pickle.Shipment(self._nodes, log_levels(), is_mixed, leaves_arrays, definitions)
            self._own[leaves_arrays] = own
        return own.instances, own.arrays

    def _by_value_or_portably(
        self, wanted: Sequence[int], leaves_arrays: bool
    ) -> tuple[bytes, list[Any]]:
        try:
            return self._by_value(leaves_arrays)
        except _pickle.UnpicklableError:
            # Some objects can only travel as source, for instance a lock of the script.
            with contextlib.suppress(_pickle.UnpicklableError, MarshalingError):
                return self._portably(wanted, leaves_arrays)
            raise

    def _portably(self, wanted: Sequence[int], leaves_arrays: bool) -> tuple[bytes, list[Any]]:
        from remotemedia._portable.writing import PortableShipment

        nodes = [node if number in wanted else None for number, node in enumerate(self._nodes)]
        left = _pickle.LeftArrays() if leaves_arrays else None
        others = {number: node for number, node in enumerate(self._nodes) if number not in wanted}
        shipment = PortableShipment(nodes, log_levels(), left, others)
        for number, refused in shipment.refused.items():
            raise self._refusal(refused, number) from refused
        self._portable = shipment
        return shipment.instances, shipment.arrays

    def _refusal(
        self, problem: _pickle.UnpicklableError, number: int | None = None
    ) -> MarshalingError:
        path = problem.path
        if number is None:
            # The path begins with the node's index in the list: `[1].model.lock`.
            place = re.match(r"\[(\d+)\](.*)", path, re.DOTALL)
            number, path = (int(place[1]), place[2]) if place else (None, path)
        told = f"self{path}: {problem.reason}" if path else problem.reason
        path = f"self{path}"
        if not _says_all(problem):
            told = (
                f"{path} ({problem.type_name}) cannot go to a worker process: {problem.reason}. "
                f"{_way_out(self._nodes[number] if number is not None else None)}"
            )
        refusal = MarshalingError(
            told,
            path=path,
            type_name=problem.type_name,
            node_id=None if number is None else self._ids[number],
            operation="pickle",
        )
        refusal.names_runtime_hint = _says_all(problem)
        return refusal


def _code_of(nodes: Iterable[Any]) -> list[type[Any] | types.FunctionType]:
    """The classes and functions of nodes."""
    functions = (
        getattr(node, "function", None) for node in nodes if isinstance(node, FunctionNode)
    )
    found = [function for function in functions if isinstance(function, types.FunctionType)]
    return [*map(type, nodes), *found]


def _says_all(problem: _pickle.UnpicklableError) -> bool:
    """Whether the reason of the error already names the object and gives advice."""
    return isinstance(problem, UnportableError)


def _way_out(node: Any) -> str:
    if isinstance(node, FunctionNode):
        return (
            "Make it inside the function, or in initialize() of a Node class: both run in the "
            "worker."
        )
    return "Make it in initialize(), which runs in the worker, or leave it out in __getstate__()."


def log_levels() -> dict[str, int]:
    """The levels of all loggers on which a level is set, by name; "" is the root logger."""
    root = logging.getLogger()
    loggers = list(root.manager.loggerDict.items())
    levels = {name: log.level for name, log in loggers if isinstance(log, logging.Logger)}
    return {name: level for name, level in {**levels, "": root.level}.items() if level}


def code_digest(node: Any) -> str:
    """A digest of the code that a node runs. It covers the module file of the node's class or
    function and the functions among the node's attributes. Without such a file it covers the class
    or function and the functions and classes of the same module that their code names.
    """
    import hashlib  # imported late: only runs with RustPython need it

    owner: Any = node.code_owner if isinstance(node, FunctionNode) else type(node)
    state = hashlib.sha256()
    text = _module_text(owner)
    if text is None:
        _add_definition(state, owner, set())
    else:
        state.update(text)
    for name, value in sorted(getattr(node, "__dict__", {}).items()):
        if isinstance(value, types.FunctionType):
            state.update(name.encode())
            _add_definition(state, value, set())
    return f"{class_path(node)}:{state.hexdigest()}"


def definition_digest(value: Any) -> str:
    """A digest of the code of a function or class, and of the functions and classes of the same
    module that it names.
    """
    import hashlib  # imported late: few programs need it

    state = hashlib.sha256()
    _add_definition(state, value, set())
    return state.hexdigest()


def _module_text(owner: Any) -> bytes | None:
    """The contents of the module file of a class or function. None for scripts and notebooks, which
    may define an object again while they run.
    """
    file = getattr(sys.modules.get(owner.__module__), "__file__", None)
    if owner.__module__ == "__main__" or not isinstance(file, str):
        return None
    try:
        with open(file, "rb") as code:  # noqa: PTH123  (pathlib takes long to import)
            return code.read()
    except OSError:  # the module is in an archive, or its file was deleted
        return None


def _add_definition(state: Any, value: Any, seen: set[int]) -> None:
    """Add to a digest the code of a function or class, and of the functions and classes of the same
    module that it names.
    """
    value = getattr(value, "__func__", getattr(value, "fget", value))
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, types.FunctionType):
        _add_code(state, value.__code__)
        for name in sorted(_names(value.__code__)):
            named = value.__globals__.get(name)
            if getattr(named, "__module__", None) == value.__module__:
                _add_definition(state, named, seen)
    elif isinstance(value, type):
        own = (base for base in value.__mro__ if base.__module__ == value.__module__)
        for name, part in (pair for base in own for pair in sorted(vars(base).items())):
            if name != "__slotnames__":  # added by pickle when an instance is pickled
                state.update(name.encode())
                _add_definition(state, part, seen)
    elif isinstance(value, str | bytes | int | float | type(None)):
        state.update(repr(value).encode("utf-8", "surrogatepass"))


def _names(code: types.CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _add_code(state: Any, code: types.CodeType) -> None:
    state.update(code.co_code)
    state.update(repr(code.co_names).encode("utf-8", "surrogatepass"))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _add_code(state, constant)
        else:
            state.update(repr(constant).encode("utf-8", "surrogatepass"))


__all__ = ["Shipper", "code_digest", "definition_digest", "log_levels"]
