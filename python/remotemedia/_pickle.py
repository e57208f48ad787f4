"""Pickles between the processes of one user: node objects, items, changed attributes.

What a worker can import travels by reference. Classes and functions of ``__main__``, of notebooks,
of ``exec`` and of modules that a worker cannot find travel by value (cloudpickle), and every such
object has a token: all of a session are shipped once, in the one pickle of its nodes
(:class:`Shipment`), and later items refer to them by token in both directions. So an instance that
a worker sends back is an instance of the caller's own class, and ``isinstance`` holds on both
sides. The caller's script is never executed again: the worker's ``__main__`` is a stand-in module
that holds the shipped names.

Pickles are opened only between processes of the same user, interpreter and minor version; whoever
calls :func:`loads` has checked that.
"""

from __future__ import annotations

import io
import linecache
import os
import pickle
import sys
import threading
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import cloudpickle

from remotemedia._importable import is_importable
from remotemedia._unpicklable import UnpicklableError as UnpicklableError
from remotemedia._unpicklable import parts

_Shared: TypeAlias = type[Any] | types.FunctionType

PROTOCOL = 5
"""Pickle protocol of everything that travels."""


class Writable(Protocol):
    """Where a pickler writes."""

    def write(self, data: bytes, /) -> object:
        """Takes the next bytes."""


_HEAP_TYPE = 1 << 9
_SEARCH_DEPTH = 40


class _Registry:
    """The objects that have a token, in this process."""

    def __init__(self) -> None:
        self._by_token: weakref.WeakValueDictionary[str, _Shared] = weakref.WeakValueDictionary()
        self._tokens: dict[int, str] = {}
        self._bundles: dict[str, bytes] = {}
        self._received: set[str] = set()
        self.is_worker = False
        """This process is a worker: what it received is known to its peer by token."""
        self.kept: list[object] = []
        """What must live as long as the session: shipped objects, the stand-in main module."""

    def token_of(self, shared: _Shared) -> str | None:
        token = self._tokens.get(id(shared))
        return token if token is not None and self._by_token.get(token) is shared else None

    def issue(self, shared: _Shared) -> str:
        token = self.token_of(shared)
        if token is None:
            token = f"{shared.__module__}:{shared.__qualname__}:{os.urandom(16).hex()}"
            self.enter(token, shared)
        return token

    def receive(self, token: str, shared: _Shared) -> None:
        self._received.add(token)
        self.enter(token, shared)

    def enter(self, token: str, shared: _Shared) -> None:
        self._by_token[token] = shared
        self._tokens[id(shared)] = token
        weakref.finalize(shared, self._forget, id(shared), token).atexit = False

    def _forget(self, address: int, token: str) -> None:
        if self._tokens.get(address) == token:
            del self._tokens[address]
        self._received.discard(token)
        self._bundles.pop(token, None)

    def is_known_to_peer(self, token: str) -> bool:
        return self.is_worker and token in self._received

    def find(self, token: str) -> _Shared | None:
        return self._by_token.get(token)

    def bundle_of(self, shared: type[Any]) -> tuple[str, bytes]:
        """A class with all that it needs as one pickle, made once."""
        token = self.issue(shared)
        bundle = self._bundles.get(token)
        if bundle is None:
            bundle = self._bundles[token] = _dump_bundle([shared])[0]
        return token, bundle


_registry = _Registry()
_lock = threading.RLock()


def dumps(value: object) -> bytes:
    """Pickles an item for a peer that has not been shipped anything, or for the caller's process.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the culprit.
    """
    return _dump_item(value, frozenset())


def dump_into(file: Writable, value: object, foresee: Callable[[int], None]) -> None:
    """Pickles an object piece by piece, so that `file` can stop it by raising.

    So can `foresee`, which is told the size in bytes of an array or tensor inside the object
    before that is pickled: tensors make a copy of themselves then.
    """
    with _lock:
        Pickler(file, frozenset(), foresee=foresee).dump(value)


def loads(data: bytes) -> object:
    """Opens a pickle that a process of the same session wrote."""
    return pickle.loads(data)


class Shipment:
    """The node objects of a session, pickled once, and the way to pickle its items.

    Attributes:
        instances: One pickle with all node objects and every class that they need, and the levels
            of the caller's loggers.
    """

    def __init__(self, nodes: Sequence[object], log_levels: Mapping[str, int] = {}) -> None:
        """Pickles ``nodes`` as they are now.

        Args:
            nodes: The node objects.
            log_levels: Levels of loggers by name, ``""`` for the root: from there on the caller
                wants records.

        Raises:
            UnpicklableError: A node cannot be pickled; the path begins with its index.
        """
        try:
            self.instances, shipped = _dump_bundle((list(nodes), dict(log_levels)))
        except Exception as error:
            raise _culprit(list(nodes), error) from error
        self._shipped = frozenset(shipped)

    def dumps(self, value: object) -> bytes:
        """Pickles an item for the workers of this session.

        Raises:
            UnpicklableError: The object cannot be pickled; the error names the culprit.
        """
        return _dump_item(value, self._shipped)


def open_shipment(data: bytes) -> tuple[list[object], dict[str, int]]:
    """Opens a session's node objects in a worker, whose ``__main__`` becomes the caller's stand-in.

    Everything shipped for an earlier session is forgotten.

    Returns:
        The node objects, and the levels of the caller's loggers.
    """
    forget_shipment()
    nodes, log_levels = _load_bundle(data)
    return nodes, log_levels


def forget_shipment() -> None:
    """Forgets in a worker what was shipped for a session: the next may have other classes."""
    _registry.is_worker = True
    main = types.ModuleType("__main__", "Stand-in for the main module of the calling process.")
    _registry.kept = [main]
    sys.modules["__main__"] = main


class _EmptyCell:
    """Stands for one closure cell of this process while functions are pickled."""

    def __init__(self, cell: types.CellType) -> None:
        self._cell = cell  # keeps its address its own

    def __reduce__(self) -> tuple[Any, ...]:
        return types.CellType, ()


class Pickler(cloudpickle.Pickler):
    """Decides, object by object, between reference, token and value."""

    def __init__(
        self,
        file: Writable,
        shipped: frozenset[str],
        collected: dict[str, _Shared] | None = None,
        foresee: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self._foresee = foresee
        self._shipped = shipped
        self._collected = collected
        self.sources: dict[str, str] = {}
        self._cells: dict[int, _EmptyCell] = {}

    def _function_getnewargs(self, func: types.FunctionType) -> Any:
        """As cloudpickle's, but functions that share a variable go on sharing it."""
        *arguments, closure = super()._function_getnewargs(func)
        if func.__closure__ is not None:
            # The contents follow in the function's state, where they may refer to the function.
            closure = tuple(
                self._cells.setdefault(id(cell), _EmptyCell(cell)) for cell in func.__closure__
            )
        return (*arguments, closure)

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (type, types.FunctionType)):
            if _travels_by_value(obj):
                reference = self._by_value(obj)
                if reference is not None:
                    return reference
        elif self._foresee is not None and isinstance(size := getattr(obj, "nbytes", None), int):
            self._foresee(size)
        elif isinstance(obj, types.ModuleType):
            _by_value_unless_importable(obj.__name__)
            return NotImplemented
        return super().reducer_override(obj)

    def _by_value(self, shared: _Shared) -> tuple[Any, ...] | None:
        """A reference to ``shared`` where the peer knows it; ``None`` to send it by value."""
        if isinstance(shared, types.FunctionType):
            self._note_source(shared)
        token = _registry.token_of(shared)
        if token is not None and (token in self._shipped or _registry.is_known_to_peer(token)):
            return _resolve, (token,)
        if self._collected is not None:
            if isinstance(shared, type) or "<" not in shared.__qualname__:
                self._collected[_registry.issue(shared)] = shared
            return None
        if isinstance(shared, type):
            return _receive, _registry.bundle_of(shared)
        return None

    def _note_source(self, function: types.FunctionType) -> None:
        """Keeps the source of code that has no file (notebook cells), for tracebacks."""
        from pathlib import Path  # not at the start of every worker

        name = function.__code__.co_filename
        if name in self.sources or Path(name).exists():
            return
        lines = linecache.getlines(name)
        if lines:
            self.sources[name] = "".join(lines)


def _dump_item(value: object, shipped: frozenset[str]) -> bytes:
    file = io.BytesIO()
    try:
        with _lock:
            Pickler(file, shipped).dump(value)
    except Exception as error:
        raise _culprit(value, error) from error
    return file.getvalue()


def _dump_bundle(objects: Any) -> tuple[bytes, dict[str, _Shared]]:
    """One pickle of ``objects`` with every by-value class and function that they need."""
    file = io.BytesIO()
    collected: dict[str, _Shared] = {}
    with _lock:
        pickler = Pickler(file, frozenset(), collected)
        # The order matters: the dicts fill while the objects before them are pickled.
        pickler.dump((objects, collected, pickler.sources))
    return file.getvalue(), collected


def _load_bundle(data: bytes) -> Any:
    objects, shared_by_token, sources = pickle.loads(data)
    for name, text in sources.items():
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    main = sys.modules.get("__main__")
    for token, shared in shared_by_token.items():
        if _registry.find(token) is None:
            _registry.receive(token, shared)
        if not _registry.is_worker:
            continue
        _registry.kept.append(shared)
        module, name, _ = token.split(":")
        # cloudpickle forgets where a class stood; messages and tracebacks show it.
        shared.__qualname__ = name
        if module == "__main__" and name.isidentifier():
            setattr(main, name, shared)
    return objects


def _resolve(token: str) -> _Shared:
    """Opens a reference by token."""
    shared = _registry.find(token)
    if shared is not None:
        return shared
    module, name, _ = token.split(":")
    raise pickle.UnpicklingError(
        f"{name} of {module} is not known here any more (it was redefined or deleted meanwhile)"
    )


def _receive(token: str, bundle: bytes) -> _Shared:
    """Opens a class that comes with its own pickle; the first copy to arrive is kept."""
    shared = _registry.find(token)
    if shared is None:
        (shared,) = _load_bundle(bundle)
        # The bundle's class may be one that is known already, under the token of another copy.
        shared = _registry.find(token) or shared
    return shared


def _travels_by_value(shared: _Shared) -> bool:
    """Whether a class or function cannot be found by name in another process."""
    if isinstance(shared, type) and not shared.__flags__ & _HEAP_TYPE:
        return False
    name = getattr(shared, "__module__", None)
    if not isinstance(name, str) or name in ("__main__", "__mp_main__"):
        return True
    found: object = sys.modules.get(name)
    if found is None:
        return True
    for part in shared.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is not shared or _by_value_unless_importable(name)


def _by_value_unless_importable(name: str) -> bool:
    """Tells cloudpickle to send the contents of a module that no other process can import."""
    if name in ("__main__", "__mp_main__"):
        return False
    module = sys.modules.get(name)
    if module is None or is_importable(name, module):
        return False
    cloudpickle.register_pickle_by_value(module)
    return True


def _culprit(value: object, error: Exception) -> UnpicklableError:
    """The innermost part of ``value`` that cannot be pickled, and the path to it."""
    path = ""
    for _ in range(_SEARCH_DEPTH):
        for step, part in parts(value):
            problem = _problem(part)
            if problem is not None:
                path, value, error = path + step, part, problem
                break
        else:
            break
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return UnpicklableError(path, module + kind.__qualname__, f"{type(error).__name__}: {error}")


def _problem(part: object) -> Exception | None:
    try:
        with _lock:
            Pickler(io.BytesIO(), frozenset()).dump(part)
    except Exception as error:
        return error
    return None
