"""Writes portable pickles."""

from __future__ import annotations

import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from remotemedia._importable import is_importable
from remotemedia._portable import opening
from remotemedia._portable.imports import import_module
from remotemedia._tokens import MAIN, registry, resolve, travels_by_name
from remotemedia._unpicklable import UnpicklableError, culprit

if TYPE_CHECKING:
    from remotemedia._pickle import LeftArrays, Writable
    from remotemedia._portable.parts import Parts

_lock = threading.RLock()


class _NeedsParts(Exception):
    """The object refers to a class or function that the receiver does not know."""


class Pickler(pickle.Pickler):
    """Decides for each object whether it travels by reference, by token, as source or as data.

    Args:
        file: where to write.
        shipped: tokens that the receiver knows.
        parts: collects and writes source; with None, an object that needs source raises
            `_NeedsParts`.
        foresee: called with the size in bytes of each array before it is pickled.
        is_trial: only find out what the object needs, without copying arrays.
        left: takes large arrays out of the pickle.
    """

    def __init__(
        self,
        file: Writable,
        shipped: frozenset[str] = frozenset(),
        parts: Parts | None = None,
        foresee: Callable[[int], None] | None = None,
        is_trial: bool = False,
        left: LeftArrays | None = None,
    ) -> None:
        super().__init__(file, protocol=opening.PROTOCOL, **_callback(left))
        self._left = left
        self._shipped = shipped
        self._parts = parts
        self._foresee = foresee
        self._is_trial = is_trial

    def reducer_override(self, obj: Any) -> Any:
        """Called by pickle for each object; returns how to write it."""
        if isinstance(obj, (type, types.FunctionType)):
            return NotImplemented if travels_by_name(obj) else self._shared(obj)
        if isinstance(obj, types.ModuleType):
            return self._module(obj)
        if isinstance(obj, types.CodeType):
            raise UnpicklableError("", "code", "another interpreter cannot run bytecode")
        if isinstance(obj, types.CellType):
            return opening.empty_cell, ()
        if self._foresee is not None and isinstance(size := getattr(obj, "nbytes", None), int):
            self._foresee(size)
        named = self._named(obj)
        return self._data(obj) if named is None else named

    def _named(self, obj: Any) -> Any:
        """How to write an object that pickle would find by its name in a module, such as a TypeVar
        or a cached function; None if the receiver can import it or it is no such object.
        """
        try:
            module = getattr(obj, "__module__", None)
            name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
        except Exception:  # attributes of a proxy object may raise
            return None
        if not (isinstance(module, str) and isinstance(name, str)):
            return None
        home = sys.modules.get(module)
        if home is None or getattr(home, name, None) is not obj:
            return None
        if module not in MAIN and is_importable(module, home):
            return None
        if not isinstance(obj.__reduce_ex__(opening.PROTOCOL), str):
            return None
        return self._needed_parts().named(home, name, obj)

    def _needed_parts(self) -> Parts:
        if self._parts is None:
            raise _NeedsParts
        return self._parts

    def _shared(self, shared: Any) -> Any:
        token = registry.token_of(shared)
        if token is not None and (token in self._shipped or registry.is_known_to_peer(token)):
            return resolve, (token,)
        return self._needed_parts().reduce(shared)

    def _module(self, module: types.ModuleType) -> Any:
        if module.__name__ != "__main__" and is_importable(module.__name__, module):
            return import_module, (module.__name__,)
        self._needed_parts()
        raise UnpicklableError("", "module", f"a worker cannot import {module.__name__}")

    def _data(self, obj: Any) -> Any:
        """How to write objects whose own pickles not every interpreter can load: arrays and
        paths.
        """
        kind = type(obj)
        home = kind.__module__
        if home == "numpy" and (numpy := sys.modules.get("numpy")) is not None:
            if kind is numpy.ndarray and not obj.dtype.hasobject and obj.dtype.names is None:
                return opening.open_array, (obj.dtype.str, obj.shape, self._bytes_of(obj))
            if isinstance(obj, numpy.generic) and not obj.dtype.hasobject:
                return opening.open_scalar, (obj.dtype.str, obj.item())
        if home == "remotemedia" and kind.__name__ == "AudioView":
            data = b"" if self._is_trial else obj.tobytes()
            return opening.open_array, (str(obj.dtype), tuple(obj.shape), data, obj.sample_rate)
        if home.startswith("pathlib") and kind.__name__.endswith("Path"):
            return opening.open_path, (kind.__name__, str(obj))
        return NotImplemented

    def _bytes_of(self, array: Any) -> Any:
        if self._is_trial:
            return b""
        if self._left is not None and array.nbytes and array.flags.c_contiguous:
            return pickle.PickleBuffer(array)
        return array.tobytes()


def _callback(left: LeftArrays | None) -> dict[str, Any]:
    # RustPython's pickler does not have the argument, and never needs it.
    return {} if left is None else {"buffer_callback": left}


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


def _new_parts(shipped: frozenset[str]) -> Parts:
    # Imported late: most objects that a worker sends need no source, and the import takes time.
    from remotemedia._portable.parts import Parts

    def try_value(value: object) -> None:
        Pickler(_Nowhere(), shipped, parts, is_trial=True).dump(value)

    def dump(value: object) -> bytes:
        file = io.BytesIO()
        Pickler(file, shipped, parts).dump(value)
        return file.getvalue()

    parts = Parts(try_value, dump)
    return parts


def dumps(value: object, shipped: frozenset[str] = frozenset()) -> bytes:
    """Pickle an item for receivers that know the tokens ``shipped``.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the part at fault.
    """
    file = io.BytesIO()
    file.write(opening.PREFIX + opening.VALUE)
    try:
        with _lock:
            Pickler(file, shipped).dump(value)
    except _NeedsParts:
        return _dump_units(value, shipped)
    except Exception as error:
        raise culprit(value, error, lambda part: _problem(part, shipped)) from error
    return file.getvalue()


def dump_into(file: Writable, value: object, foresee: Callable[[int], None]) -> None:
    """Pickle piece by piece; see ``_pickle.dump_into``."""
    with _lock:
        try:
            Pickler(file, foresee=foresee).dump(value)
        except _NeedsParts:
            file.write(_dump_units(value, frozenset()))


def _dump_units(value: object, shipped: frozenset[str]) -> bytes:
    try:
        with _lock:
            parts = _new_parts(shipped)
            needs = [parts.needs_of(value)]
            return _write(opening.UNITS, shipped, parts, needs, value)
    except Exception as error:
        raise culprit(value, error, lambda part: _problem(part, shipped)) from error


def _write(
    kind: bytes,
    shipped: frozenset[str],
    parts: Parts,
    needs: list[Any],
    value: object,
    left: LeftArrays | None = None,
) -> bytes:
    file = io.BytesIO()
    file.write(opening.PREFIX + kind)
    Pickler(file, shipped, parts, left=left).dump((parts.calls(needs), value))
    return file.getvalue()


def _problem(part: object, shipped: frozenset[str]) -> Exception | None:
    try:
        with _lock:
            _new_parts(shipped).needs_of(part)
    except Exception as error:
        return error
    return None


class _Marked:
    """A node with its index, so that the receiver knows which node failed to load."""

    def __init__(self, place: int, node: object) -> None:
        self._parts = place, node

    def __reduce__(self) -> tuple[Any, ...]:
        place, node = self._parts
        return opening.node_of, (opening.Call(opening.work_for, (place,)), node)


class PortableShipment:
    """The node objects of a session, pickled once for workers of any interpreter.

    Attributes:
        instances: One pickle with all node objects and the definitions that they need, and the
            levels of the caller's loggers.
        arrays: Large arrays of the nodes that were left out of the pickle, in the pickle's order.
        shipped: Tokens that every worker of the session knows from the start.
        refused: Why a node cannot be pickled, by its index; `instances` has ``None`` in its place.
    """

    def __init__(
        self,
        nodes: Sequence[object],
        log_levels: Mapping[str, int] = {},
        left: LeftArrays | None = None,
    ) -> None:
        """Pickle ``nodes`` as they are now.

        Args:
            nodes: The node objects.
            log_levels: By logger, ``""`` for the root, the lowest level that the caller shows.
            left: Takes large arrays out of the pickle.
        """
        self.refused: dict[int, UnpicklableError] = {}
        nothing: frozenset[str] = frozenset()
        with _lock:
            parts = _new_parts(nothing)
            going: list[object] = []
            needs: list[Any] = []
            for index, node in enumerate(nodes):
                try:
                    needs.append(parts.needs_of(node))
                    going.append(_Marked(index, node))
                except Exception as error:
                    why = culprit(node, error, lambda part: _problem(part, nothing))
                    self.refused[index] = why
                    needs.append({})
                    going.append(None)
            content = (going, dict(log_levels), True)
            self.instances = _write(opening.SHIPMENT, nothing, parts, needs, content, left)
        self.arrays = [] if left is None else left.arrays
        self.shipped = frozenset(parts.tokens)

    def dumps(self, value: object) -> bytes:
        """Pickle an item for any worker of this session.

        Raises:
            UnpicklableError: The object cannot be pickled; the error names the part at fault.
        """
        return dumps(value, self.shipped)


__all__ = ["PortableShipment", "dump_into", "dumps"]
