"""The node objects of a run on their way to workers, and the digests of their code.

The orchestrator asks for the objects interpreter by interpreter: by value for the caller's own,
else as what any interpreter may open.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import logging
import re
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remotemedia import _pickle
from remotemedia.core.exceptions import MarshalingError
from remotemedia.core.function import FunctionNode
from remotemedia.core.manifest import class_path

# Of longer texts and containers the beginning tells them apart.
_LONGEST = 1000


class Shipper:
    """The node objects of one run, by their ids, in the order of their instance numbers."""

    def __init__(self, instances: dict[str, Any]) -> None:
        self._ids = list(instances)
        self._nodes = list(instances.values())
        self._portable: Any = None
        self._own: _pickle.Shipment | None = None

    def ship(self, implementation: str, version: str, wanted: Sequence[int]) -> bytes:
        """The objects for workers of an interpreter, pickled as they are now.

        Args:
            implementation: name of the interpreter ("cpython", "rustpython").
            version: its minor version ("3.12").
            wanted: numbers of the objects that run there.

        Raises:
            MarshalingError: one of them cannot go there.
        """
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        try:
            if (implementation, version) == (sys.implementation.name, own):
                return self._by_value_or_portably(wanted)
            return self._portably(wanted)
        except _pickle.UnpicklableError as problem:
            raise self._refusal(problem) from problem

    def dumps(self, value: object) -> bytes:
        """An item for the workers of the run, pickled.

        Raises:
            UnpicklableError: it cannot be pickled.
        """
        shipment = self._portable or self._own
        if shipment is None:
            return _pickle.dumps(value)
        try:
            data: bytes = shipment.dumps(value)
        except _pickle.UnpicklableError as problem:
            if shipment is not self._portable:
                raise
            # Workers of another kind refuse it, and their nodes can move.
            return _pickle.dumps_by_value_after(problem, value)
        return data

    def code(self, instance: int) -> tuple[str, list[str], str]:
        """A text that changes when the code of an object's class changes; the files that the code
        begins in, none if it lies in no file; and what the object is made of, in words.
        """
        node = self._nodes[instance]
        return code_digest(node), code_files(node), _state(getattr(node, "__dict__", {}))

    def _by_value(self) -> bytes:
        if self._own is None:
            # Items of a mixed run have to be open to everybody.
            further = (True,) if self._portable is not None else ()
            self._own = _pickle.Shipment(self._nodes, log_levels(), *further)
        instances: bytes = self._own.instances
        return instances

    def _by_value_or_portably(self, wanted: Sequence[int]) -> bytes:
        try:
            return self._by_value()
        except _pickle.UnpicklableError:
            # A lock of the script, or what a decorator holds: its source can go instead.
            with contextlib.suppress(_pickle.UnpicklableError, MarshalingError):
                return self._portably(wanted)
            raise

    def _portably(self, wanted: Sequence[int]) -> bytes:
        from remotemedia._portable import PortableShipment

        nodes = [node if number in wanted else None for number, node in enumerate(self._nodes)]
        shipment = PortableShipment(nodes, log_levels())
        for number, refused in shipment.refused.items():
            raise self._refusal(refused, number) from refused
        self._portable = shipment
        data: bytes = shipment.instances
        return data

    def _refusal(
        self, problem: _pickle.UnpicklableError, number: int | None = None
    ) -> MarshalingError:
        path = problem.path
        if number is None:
            # Its path begins with the place in the list: `[1].model.lock`.
            place = re.match(r"\[(\d+)\](.*)", path, re.DOTALL)
            number, path = (int(place[1]), place[2]) if place else (None, path)
        told = f"self{path}: {problem.reason}" if path else problem.reason
        path = f"self{path}"
        if not _says_all(problem):
            told = (
                f"{path} ({problem.type_name}) cannot go to a worker process: {problem.reason}. "
                f"{_way_out(self._nodes[number] if number is not None else None)}"
            )
        return MarshalingError(
            told,
            path=path,
            type_name=problem.type_name,
            node_id=None if number is None else self._ids[number],
            operation="pickle",
        )


def _says_all(problem: _pickle.UnpicklableError) -> bool:
    """Whether its reason is a sentence with a way out."""
    from remotemedia._portable import UnportableError

    return isinstance(problem, UnportableError)


def _way_out(node: Any) -> str:
    if isinstance(node, FunctionNode):
        return (
            "Make it inside the function, or in initialize() of a Node class: both run in the "
            "worker."
        )
    return "Make it in initialize(), which runs in the worker, or leave it out in __getstate__()."


def log_levels() -> dict[str, int]:
    """The levels of the loggers that have one of their own, by name; "" is the root."""
    root = logging.getLogger()
    loggers = list(root.manager.loggerDict.items())
    levels = {name: log.level for name, log in loggers if isinstance(log, logging.Logger)}
    return {name: level for name, level in {**levels, "": root.level}.items() if level}


def code_digest(node: Any) -> str:
    """A digest of the code that a node runs: the module or source of its class or function, and
    the functions that it was given.
    """
    owner = getattr(node, "code_owner", type(node))
    state = hashlib.sha256(_source(owner))
    for name, value in sorted(getattr(node, "__dict__", {}).items()):
        if isinstance(value, types.FunctionType):
            state.update(name.encode())
            _add_code(state, value.__code__)
    return f"{class_path(node)}:{state.hexdigest()}"


def code_files(node: Any) -> list[str]:
    """The files of a node's class, of the objects in its attributes, and of the program that made
    it; none if the class, or the program, is in no file.
    """
    needed = {_file(type(node).__module__), _file("__main__")}
    if None in needed:
        return []
    values = getattr(node, "__dict__", {}).values()
    owners = {getattr(value, "__module__", None) for value in values}
    owners.update(type(value).__module__ for value in values)
    return sorted(file for file in needed.union(map(_file, owners)) if file is not None)


def _file(module: object) -> str | None:
    file = getattr(sys.modules.get(module), "__file__", None) if isinstance(module, str) else None
    return str(Path(file).absolute()) if isinstance(file, str) and Path(file).is_file() else None


def _state(value: Any, depth: int = 3) -> str:
    """A value in words: a plain one as it is, the first parts of containers, else the type."""
    kind = type(value)
    if kind in (str, bytes, int, float, complex, bool, type(None)):
        return repr(value[:_LONGEST] if isinstance(value, str | bytes) else value)
    parts: list[str] = []
    if depth and kind in (list, tuple, dict):
        within = list(value.items() if kind is dict else value)[:_LONGEST]
        parts = [_state(part, depth - 1) for part in within]
    elif depth and kind in (set, frozenset):
        parts = sorted(_state(part, depth - 1) for part in value)
    return f"{kind.__module__}.{kind.__qualname__}{parts}"


def _source(kind: Any) -> bytes:
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if kind.__module__ != "__main__" and isinstance(file, str):
        try:
            return Path(file).read_bytes()
        except OSError:  # an archive, or gone by now
            pass
    try:
        return inspect.getsource(kind).encode("utf-8", "surrogatepass")
    except (OSError, TypeError):  # made by exec: the compiled code is all there is
        return _compiled(kind)


def _compiled(kind: Any) -> bytes:
    state = hashlib.sha256()
    if isinstance(kind, types.FunctionType):
        _add_code(state, kind.__code__)
    for name, value in sorted(getattr(kind, "__dict__", {}).items()):
        if isinstance(value, types.FunctionType):
            state.update(name.encode())
            _add_code(state, value.__code__)
    return state.digest()


def _add_code(state: Any, code: types.CodeType) -> None:
    state.update(code.co_code)
    state.update(repr(code.co_names).encode("utf-8", "surrogatepass"))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _add_code(state, constant)
        else:
            state.update(repr(constant).encode("utf-8", "surrogatepass"))


__all__ = ["Shipper", "code_digest", "code_files", "log_levels"]
