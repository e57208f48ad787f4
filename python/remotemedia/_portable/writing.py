"""Writes portable pickles: each object travels by reference, by token, as source or as data.

A function travels as its text, with defaults and closed-over variables as values: its decorators do
not run again. The statement of a class runs again, after what it reads; then the class gets its
attributes as they are now. With both travel the names that their code looks up. A definition that
reads more than code and constants might read something else there than it did here: then
`UnportableError` says so.
"""

from __future__ import annotations

import ast
import functools
import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from remotemedia._importable import is_importable
from remotemedia._portable import opening, source, spaces
from remotemedia._portable.imports import import_module
from remotemedia._portable.opening import Later
from remotemedia._portable.source import Names, Place, functions_of, names_of
from remotemedia._portable.spaces import Cells, Findings, Space
from remotemedia._tokens import NO_NUMBERS, Numbers, numbered, registry, resolve, travels_by_name
from remotemedia._unpicklable import (
    UnpicklableError,
    UnportableError,
    culprit,
    unportable,
    without_source,
)

if TYPE_CHECKING:
    from remotemedia._pickle import LeftArrays, Writable

lock = threading.RLock()
_OWN = ("__name__", "__doc__", "__defaults__", "__kwdefaults__")


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


class Pickler(pickle.Pickler):
    """Decides for each object how it travels.

    Args:
        file: where to write.
        known: tokens that the receiver knows.
        found: what other pickles of the shipment have found out.
        foresee: called with the size in bytes of each array before it is pickled.
        left: takes large arrays out of the pickle.
        is_trial: whether the pickle is not used, so that arrays need not be copied.
    """

    def __init__(
        self,
        file: Writable,
        known: frozenset[str] | None = frozenset(),
        found: Findings | None = None,
        foresee: Callable[[int], None] | None = None,
        left: LeftArrays | None = None,
        is_trial: bool = False,
    ) -> None:
        # RustPython's pickler does not have the argument, and never needs it.
        callback: Any = {} if left is None else {"buffer_callback": left}
        super().__init__(file, protocol=opening.PROTOCOL, **callback)
        self._known = known  # None: the receiver is the caller of this worker
        self._found = found or Findings()
        self._foresee = foresee
        self._left = left
        self._is_trial = is_trial
        self.numbers: Numbers = NO_NUMBERS
        """Objects that the receiver has, with their numbers."""
        self._tried: frozenset[str] = frozenset()
        self._running: list[Any] = []
        """The objects whose statements will run once what they read has been written."""
        self._remade: dict[tuple[Space, str], Later] = {}

    def members(self) -> list[object]:
        """The objects that were met, and the variables of functions."""
        return [met for _, met in self.memo.copy().values()]

    def _try(self, value: object, token: str = "") -> None:
        """Pickle a value and drop the result; `token`: what the receiver will know by then."""
        trial = Pickler(_Nowhere(), self._known, self._found, is_trial=True)
        trial.numbers = self.numbers
        trial._tried = self._tried | {token}
        trial._running = [*self._running]
        trial.dump(value)

    def _is_known(self, token: str) -> bool:
        known = self._known
        by_caller = known is None and registry.is_known_to_caller(token)
        return token in self._tried or by_caller or token in (known or ())

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
                return self._found.space_of(vars(obj)).module.__reduce__()
            raise UnpicklableError("", "module", f"a worker cannot import {obj.__name__}")
        if isinstance(obj, types.CodeType):
            raise UnpicklableError("", "code", "another interpreter cannot run bytecode")
        if isinstance(obj, types.CellType):
            return opening.empty_cell, ()
        if self._foresee is not None and isinstance(size := getattr(obj, "nbytes", None), int):
            self._foresee(size)
        named = spaces.global_name(obj)
        if named is not None:
            return self._statement(self._found.space_of(named[0]), named[1], obj)
        return self._data(obj)

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

    # Classes and functions that the receiver cannot import.

    def _shared(self, shared: Any) -> Any:
        token = registry.token_of(shared)
        if token is not None and self._is_known(token):
            return resolve, (token,)
        home = self._found.home_of(shared)
        if home.leads_to(shared):
            outer, _, path = shared.__qualname__.partition(".")
            owner = functools.reduce(getattr, path.split(".")[:-1], home.namespace[outer])
            if path and (isinstance(shared, type) or shared in functions_of(owner)):
                return opening.nested, (home.namespace[outer], path, self._token(shared))
            names = shared.__globals__ if isinstance(shared, types.FunctionType) else home.namespace
            if names is vars(functools) and hasattr(shared, "registry"):
                made, functions = (self._token(shared),), list(shared.registry.items())
                return opening.make_dispatch, made, functions, None, None, opening.set_dispatch
            if names is not home.namespace and not path:
                return self._statement(home, outer, shared)  # made by a library's decorator
        if isinstance(shared, types.FunctionType):
            return self._function(shared, home)
        return self._class(shared, home)

    def _token(self, shared: Any) -> str:
        token = registry.issue(shared)
        if not self._is_trial:
            self._found.tokens.add(token)
        return token

    def _function(self, function: types.FunctionType, home: Space) -> Any:
        code, space = function.__code__, self._found.space_of(function.__globals__)
        place = space.function_place(function).unread()
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        contents = source.contents_of(cells.values())
        attributes = {name: getattr(function, name) for name in _OWN} | vars(function)
        kinds = {n: getattr(kind, "__name__", kind) for n, kind in function.__annotations__.items()}
        attributes["__annotations__"] = {name: str(kind) for name, kind in kinds.items()}
        names = names_of(place.text, code.co_freevars)
        token, wanted = None, names.late - cells.keys()
        if home.leads_to(function):  # only these get tokens, as in `_by_value`
            token, wanted = self._token(function), wanted | {function.__name__}
        # In a class, names such as `__name` stand for others.
        path = getattr(code, "co_qualname", function.__qualname__).split(".")[-2:-1]
        owner = path[0] if path and path[0].isidentifier() and "__" in place.text else ""
        called = (code.co_name, function.__qualname__, token)
        bound = self._names(space, function, names, wanted)
        made = (space.module, tuple(place), called, cells, owner)
        state = (space.module, bound, contents, attributes)
        return opening.make_function, made, state, None, None, opening.set_state

    def _class(self, shared: type, space: Space) -> Any:
        statement = space.class_statement(shared)
        if statement is None:
            bindings = space.bindings(shared.__name__)
            if space.leads_to(shared) and bindings and isinstance(bindings[-1][1], ast.Assign):
                return self._statement(space, shared.__name__, shared)  # for instance a namedtuple
            files = (function.__code__.co_filename for function in functions_of(shared))
            raise without_source(shared, next(files, None))
        place, node = statement
        is_inner = "<locals>" in shared.__qualname__
        if not (is_inner or space.leads_to(shared)) and node.decorator_list:
            raise unportable(shared, "its decorator has replaced it with another object")
        cells, names = None, names_of(place.text) if not is_inner else None
        if names is None:
            cells, names = space.variables(shared, place.text, node)
        fields = space.annotating(names)
        if not names.fields or len(fields) < len(space.known(names.fields)):
            place = place.unread()
        if shared not in self._found.attributes:
            self._found.attributes[shared] = self._attributes_of(shared, node)
        called = (shared.__name__, shared.__qualname__, self._token(shared))
        names = names._replace(fields=frozenset(fields))
        return self._run(shared, space, place, names, called, cells)

    def _statement(self, space: Space, name: str, value: Any) -> Any:
        """How to write an object by running the statement of its module that makes it."""
        bindings = space.bindings(name)
        if not bindings:
            raise without_source(value, None)
        text, node = bindings[-1]
        # Not by class: Python 3.11 has no `ast.TypeAlias`.
        is_assignment = type(node).__name__ in ("Assign", "AnnAssign", "TypeAlias")
        if not is_assignment and not isinstance(node, source.DEFINITIONS):
            raise unportable(value, f"no single statement defines {name}")
        place = text.place(node).unread()
        is_own = isinstance(value, (type, types.FunctionType)) and space.leads_to(value)
        called = (name, name, self._token(value) if is_own else None)
        return self._run(value, space, place, names_of(place.text), called, None)

    def _run(
        self,
        made: Any,
        space: Space,
        place: Place,
        names: Names,
        called: tuple[str, str, str | None],
        cells: Cells | None,
    ) -> Any:
        """How to write an object that a statement makes: first what the statement reads, then the
        statement, then what its code looks up later and what has been set since.
        """
        if any(running is made for running in self._running):
            raise unportable(made, "its definition reads an object that already contains it")
        self._running.append(made)
        inside = cells or {}
        first = {name: inside[name] for name in inside if name in names.early}
        last = [inside[name] for name in inside if name not in first]
        self._found.check(made, space, place, names, first)
        before = self._names(space, made, names, (names.early | names.fields) - inside.keys())

        def state() -> Any:
            self._running.pop()
            own = {called[0]} if space.namespace.get(called[0]) is made else set()
            bound = self._names(space, made, names, (names.late | own) - inside.keys())
            attributes = self._found.attributes.get(made, {}) if isinstance(made, type) else {}
            return tuple, ((space.module, bound, source.contents_of(last), attributes),)

        contents = source.contents_of(first.values())
        arguments = (space.module, tuple(place), called, cells, contents, before)
        return opening.run, arguments, Later(state), None, None, opening.set_state

    # What code looks up.

    def _names(
        self, space: Space, shared: Any, names: Names, wanted: Iterable[str]
    ) -> dict[str, Any]:
        """The names that code looks up in its module, with what is written for them.

        Raises:
            UnportableError: the code computes names, as with `eval`, so they are unknown.
        """
        if names.by_text is not None:
            raise unportable(shared, f"it looks names up by text, with {names.by_text}()")
        bound: dict[str, Any] = {}
        for name in [] if space.is_imported else space.known(wanted):
            imported, value = space.import_for(name, names.attributes), space.namespace[name]
            if imported is not None:
                bound[name] = imported
            elif not any(running is value for running in self._running):
                bound[name] = self._value(space, name, value)
        return bound

    def _value(self, space: Space, name: str, value: Any) -> Any:
        """What is written for a name: its value, or a placeholder for the statement that makes it
        if the value cannot be pickled, such as a lock.
        """
        key, is_data = (space, name), self._found.is_data
        is_plain = isinstance(value, (*spaces.CONSTANT, type, types.FunctionType))
        if key not in is_data and not is_plain:
            is_data[key] = True  # meanwhile
            try:
                self._try(value)
            except UnportableError:
                del is_data[key]
                raise
            except Exception:
                is_data[key] = False
        if is_data.get(key, True):
            return value
        later = Later(lambda: self._statement(space, name, value))
        return self._remade.setdefault(key, later)

    def _attributes_of(self, shared: type, node: ast.ClassDef) -> dict[str, Any]:
        """The current attributes of a class that are sent: those that can be pickled. The others
        keep the values that the class statement makes.
        """
        found: dict[str, Any] = {}
        for name, value in spaces.attributes_of(shared, node).items():
            try:
                self._try(value, token=registry.issue(shared))
                found[name] = value
            except UnportableError:
                raise
            except Exception:
                continue
        return found


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
        with lock:
            pickler = Pickler(file, shipped)
            pickler.numbers = numbers
            pickler.dump(value)
    except Exception as error:
        raise culprit(value, error, lambda part: problem_with(part, shipped)) from error
    return file.getvalue()


def dump_into(
    file: Writable, value: object, foresee: Callable[[int], None], numbers: Numbers
) -> Callable[[], list[object]]:
    """Pickle piece by piece; see ``_pickle.dump_into``."""
    with lock:
        pickler = Pickler(file, None, foresee=foresee)
        pickler.numbers = numbers
        pickler.dump(value)
    return pickler.members


def problem_with(
    part: object, shipped: frozenset[str] | None = frozenset(), found: Findings | None = None
) -> Exception | None:
    """Why an object cannot be pickled; None if it can."""
    try:
        with lock:
            Pickler(_Nowhere(), shipped, found, is_trial=True).dump(part)
    except Exception as error:
        return error
    return None


__all__ = ["Pickler", "dump_into", "dumps"]
