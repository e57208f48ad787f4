"""Pickles with code inside, for interpreters of one implementation and minor version.

What a worker can import travels by reference, the rest by value (cloudpickle): classes and
functions of ``__main__``, of notebooks, of ``exec`` and of modules that a worker cannot find. All
of a session are shipped once, in the one pickle of its nodes, each with a token.

Callers of :func:`loads` have checked that the writer was such an interpreter.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import cloudpickle

from remotemedia import _sources
from remotemedia._importable import is_importable
from remotemedia._tokens import MAIN, Shared, registry, resolve, travels_by_name
from remotemedia._unpicklable import culprit

PROTOCOL = 5
"""Pickle protocol of everything that travels."""


class Writable(Protocol):
    """Where a pickler writes."""

    def write(self, data: bytes, /) -> object:
        """Takes the next bytes."""


_lock = threading.RLock()


def dumps(value: object, shipped: frozenset[str] = frozenset()) -> bytes:
    """Pickles an item for peers that know the tokens ``shipped``.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the culprit.
    """
    file = io.BytesIO()
    try:
        with _lock:
            Pickler(file, shipped).dump(value)
    except Exception as error:
        raise culprit(value, error, _problem) from error
    return file.getvalue()


def dump_into(file: Writable, value: object, foresee: Callable[[int], None]) -> None:
    """As ``_pickle.dump_into``."""
    with _lock:
        Pickler(file, frozenset(), foresee=foresee).dump(value)


def loads(data: bytes) -> object:
    """Opens a pickle that a process of the same session and kind wrote."""
    return pickle.loads(data)


def open_nodes(data: bytes, buffers: Sequence[Any]) -> Any:
    """What ``dump_nodes`` pickled, in the form of ``_pickle.open_shipment``."""
    for classes in ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS"):
        # Otherwise cloudpickle gives the class of an earlier session, with what was put on it.
        getattr(cloudpickle.cloudpickle, classes, {}).clear()
    return _load_bundle(data, buffers)


def dump_nodes(
    nodes: Sequence[object],
    log_levels: Mapping[str, int],
    portable_items: bool,
    keep_in: Callable[[pickle.PickleBuffer], bool] | None,
) -> tuple[bytes, frozenset[str]]:
    """The node objects of a session with all that they need, and the tokens of that.

    Args:
        nodes: the objects.
        log_levels: as for `_pickle.Shipment`.
        portable_items: as there.
        keep_in: told each buffer that could travel beside the pickle; whether it stays in it.

    Raises:
        UnpicklableError: A node cannot be pickled; the path begins with its index.
    """
    try:
        data, shipped = _dump_bundle((list(nodes), dict(log_levels), portable_items), keep_in)
    except Exception as error:
        raise culprit(list(nodes), error, _problem) from error
    return data, frozenset(shipped)


def holds_code(data: bytes) -> bool:
    """Whether another interpreter could not open this pickle; in doubt it could not."""
    return b"cloudpickle" in data or b"_by_value" in data


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
        collected: dict[str, Shared] | None = None,
        foresee: Callable[[int], None] | None = None,
        keep_in: Callable[[pickle.PickleBuffer], bool] | None = None,
    ) -> None:
        super().__init__(file, protocol=PROTOCOL, buffer_callback=keep_in)
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
        elif isinstance(obj, _Cached):
            function: Any = obj.__wrapped__
            if _travels_by_value(function):
                return _cached, (function, obj.cache_parameters())
        elif isinstance(obj, types.CodeType):
            return _sources.reduce_code(obj, self.dispatch_table[types.CodeType])
        elif isinstance(obj, types.ModuleType):
            _by_value_unless_importable(obj.__name__)
            return NotImplemented
        return super().reducer_override(obj)

    def _by_value(self, shared: Shared) -> tuple[Any, ...] | None:
        """A reference to ``shared`` where the peer knows it; ``None`` to send it by value."""
        if isinstance(shared, types.FunctionType):
            self._note_source(shared)
        token = registry.token_of(shared)
        if token is not None and (token in self._shipped or registry.is_known_to_peer(token)):
            return resolve, (token,)
        if self._collected is not None:
            if isinstance(shared, type) or "<" not in shared.__qualname__:
                self._collected[registry.issue(shared)] = shared
            return None
        if isinstance(shared, type):
            return _receive, _bundle_of(shared)
        return None

    def _note_source(self, function: types.FunctionType) -> None:
        """Keeps the source of code that has no file (notebook cells), for tracebacks."""
        name = function.__code__.co_filename
        if name not in self.sources and (text := _sources.text_of(function)) is not None:
            self.sources[name] = text


_Cached = type(functools.lru_cache(len))


def _cached(function: Any, parameters: dict[str, Any]) -> Any:
    """A function with an empty cache, as cloudpickle knows only its name."""
    return functools.lru_cache(**parameters)(function)


def _dump_bundle(
    objects: Any, keep_in: Callable[[pickle.PickleBuffer], bool] | None = None
) -> tuple[bytes, dict[str, Shared]]:
    """One pickle of ``objects`` with every by-value class and function that they need."""
    file = io.BytesIO()
    collected: dict[str, Shared] = {}
    with _lock:
        pickler = Pickler(file, frozenset(), collected, keep_in=keep_in)
        # The order matters: the dicts fill while the objects before them are pickled.
        pickler.dump((objects, collected, pickler.sources))
    return file.getvalue(), collected


def _load_bundle(data: bytes, buffers: Sequence[Any] = ()) -> Any:
    objects, shared_by_token, sources = pickle.loads(data, buffers=buffers)
    _sources.enter(sources, replace=registry.is_worker)
    main = sys.modules.get("__main__")
    for token, shared in shared_by_token.items():
        if registry.find(token) is None:
            registry.receive(token, shared)
        if not registry.is_worker:
            continue
        registry.kept.append(shared)
        module, name, _ = token.split(":")
        # cloudpickle forgets where a class stood; messages and tracebacks show it.
        shared.__qualname__ = name
        if module == "__main__" and name.isidentifier():
            setattr(main, name, shared)
    return objects


def _bundle_of(shared: type[Any]) -> tuple[str, bytes]:
    """A class with all that it needs as one pickle, made once."""
    token = registry.issue(shared)
    bundle = registry.bundle(token)
    if bundle is None:
        bundle = _dump_bundle([shared])[0]
        registry.keep_bundle(token, bundle)
    return token, bundle


def _receive(token: str, bundle: bytes) -> Shared:
    """Opens a class that comes with its own pickle; the first copy to arrive is kept."""
    shared = registry.find(token)
    if shared is None:
        (shared,) = _load_bundle(bundle)
        # The bundle's class may be one that is known already, under the token of another copy.
        shared = registry.find(token) or shared
    return shared


def _travels_by_value(shared: Shared) -> bool:
    """Whether a class or function cannot be found by name in another process."""
    if travels_by_name(shared):
        return False
    name = getattr(shared, "__module__", None)
    if isinstance(name, str):
        _by_value_unless_importable(name)
    return True


def _by_value_unless_importable(name: str) -> bool:
    """Tells cloudpickle to send the contents of a module that no other process can import."""
    if name in MAIN:
        return False
    module = sys.modules.get(name)
    if module is None or is_importable(name, module):
        return False
    cloudpickle.register_pickle_by_value(module)
    return True


def _problem(part: object) -> Exception | None:
    try:
        with _lock:
            Pickler(io.BytesIO(), frozenset()).dump(part)
    except Exception as error:
        return error
    return None
