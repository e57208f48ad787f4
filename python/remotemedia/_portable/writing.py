"""Writes portable pickles: each object travels by reference, by token, as source or as data.

No definition that has run here runs again at the receiver. A function travels as its text, with its
defaults and the variables that it closes over. A class travels as its bases and attributes. With
each function travel the names that its code looks up: imports as imports, others with the values
that they have now. Only for a value that no pickle takes its assignment runs again.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from remotemedia import _unmade
from remotemedia._importable import is_importable
from remotemedia._portable import described, opening
from remotemedia._portable.imports import import_module
from remotemedia._portable.opening import Call, Later
from remotemedia._portable.source import names_of
from remotemedia._portable.spaces import CONSTANT, Space, Spaces
from remotemedia._tokens import (
    NO_NUMBERS,
    Numbers,
    numbered,
    registry,
    resolve,
    travels_by_name,
)
from remotemedia._unpicklable import UnpicklableError, UnportableError, culprit, unportable

if TYPE_CHECKING:
    from remotemedia._pickle import LeftArrays, Writable

_lock = threading.RLock()
_OWN = ("__name__", "__doc__", "__defaults__", "__kwdefaults__")
_PLAIN = (*CONSTANT, type, types.FunctionType, property, classmethod, staticmethod)


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


class Pickler(pickle.Pickler):
    """Decides for each object how it travels.

    Args:
        file: where to write.
        known: tokens that the receiver knows; None for the caller of this worker.
        spaces: the namespaces of the shipment.
        foresee: called with the size in bytes of each array before it is pickled.
        left: takes large arrays out of the pickle.
        is_trial: whether the pickle is not used, so that arrays need not be copied.
    """

    def __init__(
        self,
        file: Writable,
        known: frozenset[str] | None = frozenset(),
        spaces: Spaces | None = None,
        foresee: Callable[[int], None] | None = None,
        left: LeftArrays | None = None,
        is_trial: bool = False,
    ) -> None:
        # RustPython's pickler does not have the argument, and never needs it.
        callback: Any = {} if left is None else {"buffer_callback": left}
        super().__init__(file, protocol=opening.PROTOCOL, **callback)
        self._known = known
        self._spaces = spaces or Spaces()
        self._foresee = foresee
        self._left = left
        self._is_trial = is_trial
        self.numbers: Numbers = NO_NUMBERS
        """Objects that the receiver has, with their numbers."""
        self.tokens: set[str] = set()
        """Tokens of all classes and functions that were written."""
        self._shares = 0
        """Whether names of modules or classes lead to what is being written: how many."""
        self._assigning: list[Any] = []
        """The values whose assignments will run once what they read has been written."""
        self._assigned: dict[tuple[Space, str], Later] = {}

    def members(self) -> list[object]:
        """The objects that were met, and the variables of functions."""
        return [met for _, met in self.memo.copy().values()]

    def reducer_override(self, obj: Any) -> Any:
        """Called by pickle for each object; returns how to write it."""
        if id(obj) in self.numbers:
            return numbered, (self.numbers[id(obj)],)
        if isinstance(obj, (type, types.FunctionType)):
            return NotImplemented if travels_by_name(obj) else self._shared(obj)
        if isinstance(obj, types.ModuleType):
            if obj.__name__ != "__main__" and is_importable(obj.__name__, obj):
                return import_module, (obj.__name__,)
            if obj is sys.modules.get("__main__"):
                return self._spaces.of(vars(obj)).module.__reduce__()
            raise UnpicklableError("", "module", f"a worker cannot import {obj.__name__}")
        if isinstance(obj, types.CodeType):
            raise UnpicklableError("", "code", "another interpreter cannot run bytecode")
        if isinstance(obj, types.CellType):
            content = tuple(described.values_of(lambda: obj.cell_contents))
            return opening.empty_cell, (), content, None, None, opening.fill_cell
        if self._foresee is not None and isinstance(size := getattr(obj, "nbytes", None), int):
            self._foresee(size)
        special = described.part_of_class(obj) or (self._shares and described.renewed(obj))
        return special or self._data(obj)

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
        if described.is_named(obj):
            raise unportable(obj, "it is pickled by its name, which only this process has")
        return _unmade.reduction(obj) or NotImplemented

    def _bytes_of(self, array: Any) -> Any:
        if self._is_trial:
            return b""
        if self._left is not None and array.nbytes and array.flags.c_contiguous:
            return pickle.PickleBuffer(array)
        return array.tobytes()

    # Classes and functions that the receiver cannot import.

    def _shared(self, shared: Any) -> Any:
        token = registry.token_of(shared)
        by_caller = self._known is None and registry.is_known_to_caller(token or "")
        if token is not None and (by_caller or token in (self._known or ())):
            return resolve, (token,)
        home = self._spaces.home_of(shared)
        is_found = home.leads_to(shared)
        if isinstance(shared, type):
            return self._class(shared, home)
        # Only these get tokens, as in `_by_value`.
        is_top = is_found and "." not in shared.__qualname__
        if shared.__globals__ is vars(functools) and hasattr(shared, "registry"):
            made = (self._token(shared) if is_top else None,)
            functions = list(shared.registry.items())
            return opening.make_dispatch, made, functions, None, None, opening.set_dispatch
        return self._function(shared, home.module if is_top else None)

    def _token(self, shared: Any) -> str:
        token = registry.issue(shared)
        self.tokens.add(token)
        return token

    def _function(self, function: types.FunctionType, home: Call | None) -> Any:
        """How to write a function; `home` is the module that leads to it, if any does."""
        code, space = function.__code__, self._spaces.of(function.__globals__)
        place = space.place_of(function)
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        attributes = {name: getattr(function, name) for name in _OWN} | vars(function)
        kinds = {n: getattr(kind, "__name__", kind) for n, kind in function.__annotations__.items()}
        attributes["__annotations__"] = {name: str(kind) for name, kind in kinds.items()}
        names = names_of(place.text, code.co_freevars)
        if names.by_text is not None:
            raise unportable(function, f"it looks names up by text, with {names.by_text}()")
        token = self._token(function) if home is not None else None
        # In a class, names such as `__name` stand for others.
        path = code.co_qualname.split(".")[-2:-1]
        owner = path[0] if path and path[0].isidentifier() and "__" in place.text else ""
        called = (code.co_name, function.__qualname__, token)
        known = space.known(names.used)
        values = {n: space.namespace[n] for n in known if not space.is_imported}
        # What is being assigned is bound when its assignment has run.
        bound = [n for n, v in values.items() if not any(v is one for one in self._assigning)]
        names_bound = {n: self._looked_up(space, n, names.attributes) for n in bound}
        made = (space.module, tuple(place), called, cells, owner)
        state = (space.module, known if space.is_imported else names_bound, home, attributes)
        return opening.make_function, made, state, None, None, opening.set_function

    def _class(self, shared: type, home: Space) -> Any:
        is_top = home.leads_to(shared) and "." not in shared.__qualname__
        called = (shared.__name__, shared.__qualname__, self._token(shared))
        own = described.attributes_of(shared)
        attributes = {n: self._named(home, f"{shared.__qualname__}.{n}", own[n]) for n in own}
        state = (home.module if is_top else None, attributes, *described.state_of(shared))
        made = (called, *described.creation_of(shared))
        return opening.make_class, made, state, None, None, opening.set_class

    def _looked_up(self, space: Space, name: str, uses: frozenset[str]) -> Any:
        """What is written for a name that code with these attributes looks up."""
        return space.import_of(name, uses) or self._named(space, name, space.namespace[name])

    def _named(self, space: Space, path: str, value: Any) -> Any:
        """What is written for the value of a qualified name: the value, or a placeholder for its
        assignment if no pickle takes it.
        """
        if isinstance(value, _PLAIN):
            return value if isinstance(value, CONSTANT) else self._shared_value(value)
        if path not in space.is_data:
            space.is_data[path] = True  # meanwhile
            trial = Pickler(_Nowhere(), self._known, self._spaces, is_trial=True)
            trial.numbers, trial._shares, trial._assigning = self.numbers, 1, [*self._assigning]
            try:
                trial.dump(value)
            except UnportableError:
                del space.is_data[path]
                raise
            except Exception:
                space.is_data[path] = False
        if space.is_data.get(path, True):
            return self._shared_value(value)
        later = Later(lambda: self._assignment(space, path, value))
        return self._assigned.setdefault((space, path), later)

    def _assignment(self, space: Space, path: str, value: Any) -> Any:
        """How to write a value by the assignment that made it, after what that reads."""
        place = space.assignment(path, value)

        def before() -> Any:
            self._assigning.append(value)
            names = names_of(place.text, is_run=True)
            known = space.known(names.used)
            return dict, ({n: self._looked_up(space, n, names.attributes) for n in known},)

        def after() -> Any:
            self._assigning.pop()
            return tuple, ()

        name = path.rpartition(".")[2]
        return opening.run, (space.module, tuple(place), name, Later(before), Later(after))

    def _shared_value(self, value: Any) -> Any:
        """A value to which a name of a module or class leads: what no pickle takes is renewed."""

        def count(step: int) -> Any:
            self._shares += step
            return tuple, ()

        return Call(opening.middle, Later(lambda: count(1)), value, Later(lambda: count(-1)))


def dumps(
    value: object, shipped: frozenset[str] | None = None, numbers: Numbers = NO_NUMBERS
) -> bytes:
    """Pickle an item for receivers that know the tokens ``shipped``; None stands for the caller of
    this worker. With ``numbers``, see ``_pickle.dumps_state``.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the part at fault.
    """
    file = io.BytesIO()
    file.write(opening.PREFIX + opening.VALUE)
    try:
        with _lock:
            pickler = Pickler(file, shipped)
            pickler.numbers = numbers
            pickler.dump(value)
    except BaseException as error:  # a `__reduce__` can raise any exception, even SystemExit
        raise culprit(value, error, lambda part: _problem_with(part, shipped)) from error
    return file.getvalue()


def dump_into(
    file: Writable, value: object, foresee: Callable[[int], None], numbers: Numbers
) -> Callable[[], list[object]]:
    """Pickle piece by piece; see ``_pickle.dump_into``."""
    with _lock:
        pickler = Pickler(file, None, foresee=foresee)
        pickler.numbers = numbers
        pickler.dump(value)
    return pickler.members


def _problem_with(
    part: object, shipped: frozenset[str] | None = frozenset(), spaces: Spaces | None = None
) -> BaseException | None:
    """Why an object cannot be pickled; None if it can."""
    try:
        with _lock:
            Pickler(_Nowhere(), shipped, spaces, is_trial=True).dump(part)
    except BaseException as error:
        return error
    return None


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
        others: Mapping[int, object] = {},
    ) -> None:
        """Pickle ``nodes`` as they are now.

        Args:
            nodes: The node objects.
            log_levels: By logger, ``""`` for the root, the lowest level that the caller shows.
            left: Takes large arrays out of the pickle.
            others: By index, nodes that run elsewhere. Those to which ``nodes`` refer go with them.
        """
        self.refused: dict[int, UnpicklableError] = {}
        spaces, going = Spaces(), list[object]()
        file = io.BytesIO()
        file.write(opening.PREFIX + opening.SHIPMENT)
        with _lock:
            for index, node in enumerate(nodes):
                error = _problem_with(node, spaces=spaces)
                if error is not None:
                    self.refused[index] = culprit(node, error, _problem_with)
                # So that the receiver knows for which node the next definitions are made.
                going += [Call(opening.work_for, (index,)), node if error is None else None]
            pickler = Pickler(file, spaces=spaces, left=left)
            with_them = Later(lambda: (tuple, (_met(pickler, others),)))
            # The order matters: the nodes have been pickled when `with_them` is.
            pickler.dump((going, dict(log_levels), True, with_them))
        self.instances = file.getvalue()
        self.arrays = [] if left is None else left.arrays
        self.shipped = frozenset(pickler.tokens)

    def dumps(self, value: object) -> bytes:
        """Pickle an item for any worker of this session.

        Raises:
            UnpicklableError: The object cannot be pickled; the error names the part at fault.
        """
        return dumps(value, self.shipped)


def _met(pickler: Pickler, objects: Mapping[int, object]) -> list[tuple[int, object]]:
    """The objects that have been pickled already, with their keys."""
    met = {id(one) for one in pickler.members()}
    return [(key, one) for key, one in objects.items() if id(one) in met]


__all__ = ["Pickler", "PortableShipment", "dump_into", "dumps"]
