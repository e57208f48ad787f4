"""Writes portable pickles: each object travels by reference, by token, as source or as data.

A function travels as its text, with defaults and closed-over variables as values: its decorators do
not run again. The statement of a class runs again, after everything that it reads; then the class
gets its attributes as they are now. With both travel the names that their code looks up. A
definition that reads more than code and constants might read something else there than it did here:
then `UnportableError` says so.
"""

from __future__ import annotations

import ast
import enum
import functools
import io
import logging
import pickle
import sys
import threading
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from remotemedia._importable import is_importable
from remotemedia._portable import opening
from remotemedia._portable.imports import import_module, imported
from remotemedia._portable.opening import Call
from remotemedia._portable.source import (
    DEFINITIONS,
    Names,
    Place,
    Position,
    Space,
    bound_in,
    contents_of,
    functions_of,
    names_of,
)
from remotemedia._tokens import MAIN, registry, resolve, travels_by_name
from remotemedia._unpicklable import (
    UnpicklableError,
    UnportableError,
    culprit,
    unportable,
    without_source,
)

if TYPE_CHECKING:
    from remotemedia._pickle import LeftArrays, Writable

# Names of `ast` classes, not the classes: Python 3.11 has no `ast.TypeAlias`.
_ASSIGNMENTS = ("Assign", "AnnAssign", "TypeAlias")
_CONSTANT = (bool, int, float, complex, str, bytes, type(None), types.ModuleType, logging.Logger)
_INITIALIZE = '; make it in initialize(), which runs in the worker, or set runtime_hint="cpython"'
_OWN = ("__name__", "__doc__", "__defaults__", "__kwdefaults__")
_lock = threading.RLock()
Cells = dict[str, types.CellType]


class _Later:
    """Pickles as a call that is computed when the pickler reaches it."""

    def __init__(self, compute: Callable[[], Any]) -> None:
        self._compute = compute

    def __reduce__(self) -> Any:
        return self._compute()


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


class Plan:
    """What is known about the code in the pickles of a shipment.

    Attributes:
        shipped: tokens that the receiver knows.
        tokens: tokens of all classes and functions that were written.
        plain, remade: names whose values travel as data, and those that their statements make.
        attributes: the attributes of classes that travel as data.
        checked: the objects whose definitions read only code and constants.
    """

    def __init__(self, shipped: frozenset[str] = frozenset()) -> None:
        self.shipped = shipped
        self.tokens: set[str] = set()
        self.plain: set[tuple[Space, str]] = set()
        self.remade: set[tuple[Space, str]] = set()
        self.attributes: dict[type, dict[str, Any]] = {}
        self.checked: dict[int, object] = {}
        self._spaces: list[Space] = []

    def space(self, namespace: dict[str, Any]) -> Space:
        """The space for a namespace, made on first use."""
        found = next((space for space in self._spaces if space.namespace is namespace), None)
        if found is None:
            found = Space(namespace, len(self._spaces))
            self._spaces.append(found)
        return found

    def home_of(self, shared: Any) -> Space:
        """The namespace in which an object is found under its name; otherwise the one in which its
        code looks names up.
        """
        module = sys.modules.get(shared.__module__)
        home = self.space(vars(module)) if module is not None else None
        if home is not None and home.leads_to(shared):
            return home
        functions = functions_of(shared) if isinstance(shared, type) else iter([shared])
        function = next((f for f in functions if f.__module__ == shared.__module__), None)
        if function is not None:
            return self.space(function.__globals__)
        if home is None:
            raise unportable(shared, f"its module {shared.__module__} is no longer in sys.modules")
        return home


class Pickler(pickle.Pickler):
    """Decides for each object how it travels.

    Args:
        file: where to write.
        plan: what earlier pickles of the shipment have found out.
        foresee: called with the size in bytes of each array before it is pickled.
        left: takes large arrays out of the pickle.
        outer: the pickler that tries a value with this one, which then copies no arrays.
        known: token of a class that the receiver has when it loads the value.
        reader: an object and the position of its definition, which reads the value.
    """

    def __init__(
        self,
        file: Writable,
        plan: Plan,
        *,
        foresee: Callable[[int], None] | None = None,
        left: LeftArrays | None = None,
        outer: Pickler | None = None,
        known: str = "",
        reader: tuple[Any, Space, Position] | None = None,
    ) -> None:
        # RustPython's pickler does not have the argument, and never needs it.
        callback: Any = {} if left is None else {"buffer_callback": left}
        super().__init__(file, protocol=opening.PROTOCOL, **callback)
        self._plan = plan
        self._foresee = foresee
        self._left = left
        self._is_trial = outer is not None
        self._known: frozenset[str] = (plan.shipped if outer is None else outer._known) | {known}
        self._reader: tuple[Any, Space, Position] | None = reader
        if outer is not None and reader is None:
            self._reader = outer._reader
        self._running: list[Any] = [] if outer is None else list(outer._running)
        """The objects whose statements will run once what they read has been written."""
        self._remade: dict[tuple[Space, str], _Later] = {}

    def _try(self, value: object, **options: Any) -> None:
        """Pickle a value and drop the result."""
        Pickler(_Nowhere(), self._plan, outer=self, **options).dump(value)

    def reducer_override(self, obj: Any) -> Any:
        """Called by pickle for each object; returns how to write it."""
        if isinstance(obj, (type, types.FunctionType)):
            return NotImplemented if travels_by_name(obj) else self._shared(obj)
        if isinstance(obj, types.ModuleType):
            if obj.__name__ != "__main__" and is_importable(obj.__name__, obj):
                return import_module, (obj.__name__,)
            raise UnpicklableError("", "module", f"a worker cannot import {obj.__name__}")
        if isinstance(obj, types.CodeType):
            raise UnpicklableError("", "code", "another interpreter cannot run bytecode")
        if isinstance(obj, types.CellType):
            return opening.empty_cell, ()
        if self._foresee is not None and isinstance(size := getattr(obj, "nbytes", None), int):
            self._foresee(size)
        found = _global_name(obj)
        if found is not None:
            return self._statement(self._plan.space(found[0]), found[1], obj)
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
        if token is not None and (token in self._known or registry.is_known_to_peer(token)):
            return resolve, (token,)
        home = self._plan.home_of(shared)
        if home.leads_to(shared):
            outer, _, path = shared.__qualname__.partition(".")
            if path:
                return opening.nested, (home.namespace[outer], path, self._token(shared))
            names = shared.__globals__ if isinstance(shared, types.FunctionType) else home.namespace
            if names is vars(functools) and hasattr(shared, "registry"):
                made, functions = (self._token(shared),), list(shared.registry.items())
                return opening.make_dispatch, made, functions, None, None, opening.set_dispatch
            if names is not home.namespace:
                return self._statement(home, outer, shared)  # made by a library's decorator
        if isinstance(shared, types.FunctionType):
            return self._function(shared, home)
        return self._class(shared, home)

    def _token(self, shared: Any) -> str:
        token = registry.issue(shared)
        if not self._is_trial:
            self._plan.tokens.add(token)
        return token

    def _function(self, function: types.FunctionType, home: Space) -> Any:
        code, space = function.__code__, self._plan.space(function.__globals__)
        place = _unread(space.function_place(function))
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        contents = contents_of(cells.values())
        attributes = {name: getattr(function, name) for name in _OWN} | vars(function)
        kinds = function.__annotations__.items()
        attributes["__annotations__"] = {
            n: k if isinstance(k, str) else getattr(k, "__name__", repr(k)) for n, k in kinds
        }
        held = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        self._hold(function, [*held, *(value for _, value in contents), *vars(function).values()])
        names = names_of(place.text, code.co_freevars)
        token, wanted = None, names.late - cells.keys()
        if home.leads_to(function):  # only these get tokens, as in `_by_value`
            token, wanted = self._token(function), wanted | {function.__name__}
        called = (code.co_name, function.__qualname__, token)
        bound = self._names(space, function, names, wanted)
        made = (space.module, tuple(place), called, cells)
        state = (space.module, bound, contents, attributes)
        return opening.make_function, made, state, None, None, opening.set_state

    def _class(self, shared: type, space: Space) -> Any:
        found = space.class_statement(shared)
        if found is None:
            bindings = space.bindings(shared.__name__)
            if space.leads_to(shared) and bindings and isinstance(bindings[-1].node, ast.Assign):
                return self._statement(space, shared.__name__, shared)  # for instance a namedtuple
            files = (function.__code__.co_filename for function in functions_of(shared))
            raise without_source(shared, next(files, None))
        place, node, position = found
        is_inner = "<locals>" in shared.__qualname__
        if not (is_inner or space.leads_to(shared)) and node.decorator_list:
            raise unportable(shared, "its decorator has replaced it with another object")
        if is_inner:
            cells, names = space.variables(shared, place.text, node)
        else:
            cells, names = None, names_of(place.text)
        fields = _fields(space, names)
        if fields is None or len(fields) < len(space.known(names.fields)):
            place = _unread(place)
        names = names._replace(fields=frozenset(fields or ()))
        if shared not in self._plan.attributes:
            self._plan.attributes[shared] = self._attributes_of(shared, node)
        self._hold(shared, self._plan.attributes[shared].values())
        called = (shared.__name__, shared.__qualname__, self._token(shared))
        return self._run(shared, (space, position), place, names, called, cells)

    def _statement(self, space: Space, name: str, value: Any) -> Any:
        """How to write an object by running the statement of its module that makes it."""
        bindings = space.bindings(name)
        if not bindings:
            raise without_source(value, None)
        position, text, node = bindings[-1]
        if not isinstance(node, DEFINITIONS) and type(node).__name__ not in _ASSIGNMENTS:
            raise unportable(value, f"no single statement defines {name}")
        place = _unread(text.place(node))
        is_own = isinstance(value, (type, types.FunctionType)) and space.leads_to(value)
        called = (name, name, self._token(value) if is_own else None)
        return self._run(value, (space, position), place, names_of(place.text), called, None)

    def _run(
        self,
        made: Any,
        at: tuple[Space, Position],
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
        space, inside, early = at[0], cells or {}, names.early
        first = [cell for name, cell in inside.items() if name in early]
        last = [cell for name, cell in inside.items() if name not in early]
        self._check(made, at, names, inside)
        before = self._names(space, made, names, (early | names.fields) - inside.keys())

        def end() -> Any:
            self._running.pop()
            return tuple, ()

        def state() -> Any:
            own = {called[0]} if space.namespace.get(called[0]) is made else set()
            bound = self._names(space, made, names, (names.late | own) - inside.keys())
            attributes = self._plan.attributes.get(made, {}) if isinstance(made, type) else {}
            return tuple, ((space.module, bound, contents_of(last), attributes),)

        given = (called, cells, contents_of(first), before, _Later(end))
        arguments = (space.module, tuple(place), *given)
        return opening.run, arguments, _Later(state), None, None, opening.set_state

    def _check(self, made: Any, at: tuple[Space, Position], names: Names, inside: Cells) -> None:
        """Make sure that a statement and the code that it calls read only what cannot be something
        else at the receiver: imports, code and constants.

        Raises:
            UnportableError: they read more.
        """
        space, position = at
        bases = made.__bases__ if isinstance(made, type) else ()
        values = space.namespace | {n: v for n in inside for _, v in contents_of([inside[n]])}
        reads: dict[str, Any] = {}
        for name in names.early & values.keys():
            value, is_inside = values[name], name in inside
            if not is_inside and space.import_of(name) is not None:
                continue
            is_base = name not in names.body and any(value is base for base in bases)
            is_set = space.sets(name) and not is_base
            if not is_inside and (is_set or space.binds_after(name, position)):
                raise unportable(made, f"its definition reads {name}, which changes after it")
            if not _is_settled(value):
                raise unportable(made, f"its definition reads {name}, which may have changed since")
            if not isinstance(value, _CONSTANT) and not (is_base and not _has_hooks(value)):
                reads[name] = value
        if reads and id(made) not in self._plan.checked:
            self._try(reads, reader=(made, *at))
            self._plan.checked[id(made)] = made

    def _hold(self, holder: Any, values: Iterable[Any]) -> None:
        """Make sure that a definition does not use values that may have changed since."""
        if self._reader is not None and not _is_settled(tuple(values)):
            what = getattr(holder, "__qualname__", type(holder).__qualname__)
            told = f"its definition uses {what}, whose values may have changed since"
            raise unportable(self._reader[0], told)

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
        found: dict[str, Any] = {}
        for name in [] if space.is_imported else space.known(wanted):
            source, value = space.import_of(name), space.namespace[name]
            if source is not None:
                found[name] = _import(*source, names.attributes)
            elif not any(running is value for running in self._running):
                found[name] = self._value(space, name, value)
                self._check_name(space, name, value)
        return found

    def _check_name(self, space: Space, name: str, value: Any) -> None:
        if self._reader is None:
            return
        made, home, position = self._reader
        if space is home and space.binds_after(name, position):
            raise unportable(made, f"its definition reads {name}, which changes after it")
        if not _is_settled(value) and (space, name) not in self._plan.remade:
            raise unportable(made, f"its definition reads {name}, which may have changed since")

    def _value(self, space: Space, name: str, value: Any) -> Any:
        """What is written for a name: its value, or a placeholder for the statement that makes it
        if the value cannot be pickled, such as a lock.
        """
        key, plan = (space, name), self._plan
        if key in plan.remade:
            made = _Later(lambda: self._statement(space, name, value))
            return self._remade.setdefault(key, made)
        if key in plan.plain or _is_settled(value):
            return value
        plan.plain.add(key)
        try:
            self._try(value)
            return value
        except UnportableError as problem:
            plan.plain.discard(key)
            if problem.reason.endswith("needs it)"):
                raise
            told = f"{problem.reason} ({name} of {space.name} needs it)"
            raise UnportableError("", problem.type_name, told) from problem
        except Exception as problem:
            plan.plain.discard(key)
            bindings = space.bindings(name)
            if bindings and type(bindings[-1].node).__name__ in _ASSIGNMENTS:
                plan.remade.add(key)
                return self._value(space, name, value)
            reason = getattr(problem, "reason", f"{type(problem).__name__}: {problem}")
            told = f"{name} of {space.name} cannot travel to another interpreter: {reason}"
            raise UnportableError("", type(problem).__qualname__, told + _INITIALIZE) from problem

    def _attributes_of(self, shared: type, node: ast.ClassDef) -> dict[str, Any]:
        """The current attributes of a class, without those that the class statement certainly
        makes; `...` stands for a deleted attribute.
        """
        bound = bound_in(node.body)
        found = {name: ... for name in bound if name not in vars(shared) and name[:2] != "__"}
        for name, value in {} if issubclass(shared, enum.Enum) else vars(shared).items():
            if name in ("_abc_impl", "_field_defaults") or (name[:2] == "__" and name[-2:] == "__"):
                continue
            if isinstance(value, types.FunctionType):
                is_made = name in bound or value.__qualname__.endswith(f"{shared.__name__}.{name}")
            else:
                is_class = name in bound and isinstance(value, type)
                is_made = is_class or hasattr(type(value), "__get__")
            try:
                if not is_made:
                    self._try(value, known=registry.issue(shared))
                    found[name] = value
            except UnportableError:
                raise
            except Exception:  # the attribute keeps the value that the class statement makes
                continue
        return found


def _is_settled(value: Any) -> bool:
    """Whether a value is code or a constant, which does not change."""
    if isinstance(value, (tuple, frozenset)):
        return all(map(_is_settled, value))
    kinds = (*_CONSTANT, type, types.FunctionType, enum.Enum)
    return value is ... or isinstance(value, kinds) or _global_name(value) is not None


def _global_name(value: Any) -> tuple[dict[str, Any], str] | None:
    """The namespace and name by which pickle would find an object such as a TypeVar or a cached
    function; None if the receiver can import it or it is no such object.
    """
    try:
        module = getattr(value, "__module__", None)
        name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    except Exception:  # attributes of a proxy object may raise
        return None
    home = sys.modules.get(module) if isinstance(module, str) else None
    if home is None or not isinstance(name, str) or getattr(home, name, None) is not value:
        return None
    if module not in MAIN and is_importable(home.__name__, home):
        return None
    return (vars(home), name) if isinstance(value.__reduce_ex__(opening.PROTOCOL), str) else None


def _has_hooks(shared: type) -> bool:
    """Whether code of the caller runs when the class gets a subclass."""
    own = [kind for kind in shared.__mro__ if not travels_by_name(kind)]
    is_own_meta = not travels_by_name(type(shared))
    return is_own_meta or any("__init_subclass__" in vars(kind) for kind in own)


def _import(module: str, attribute: str | None, uses: frozenset[str]) -> Call:
    """The import of a module, or of a name in it, for code that uses these attributes."""
    below = [name for name in sys.modules if name.startswith(f"{module}.")]
    used = [name for name in below if uses.issuperset(name[len(module) + 1 :].split("."))]
    return Call(imported, module, attribute, sorted(uses), [] if attribute else used)


def _unread(place: Place) -> Place:
    """The same place with `from __future__ import annotations`, so annotations stay text."""
    return Place(*place[:3], [*place.features, "annotations"])


def _fields(space: Space, names: Names) -> list[str] | None:
    """The names in annotations of a class that the receiver surely has; None if there are none."""
    found = []
    for name in space.known(names.fields):
        source = space.import_of(name)
        root = "" if source is None else source[0].partition(".")[0]
        if root in {"", *sys.stdlib_module_names, "remotemedia"}:
            found.append(name)
    return found if names.fields else None


def dumps(value: object, shipped: frozenset[str] = frozenset()) -> bytes:
    """Pickle an item for receivers that know the tokens ``shipped``.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the part at fault.
    """
    file = io.BytesIO()
    file.write(opening.PREFIX + opening.VALUE)
    try:
        with _lock:
            Pickler(file, Plan(shipped)).dump(value)
    except Exception as error:
        raise culprit(value, error, lambda part: _problem(part, Plan(shipped))) from error
    return file.getvalue()


def dump_into(file: Writable, value: object, foresee: Callable[[int], None]) -> None:
    """Pickle piece by piece; see ``_pickle.dump_into``."""
    with _lock:
        Pickler(file, Plan(), foresee=foresee).dump(value)


def _problem(part: object, plan: Plan) -> Exception | None:
    """Why an object cannot be pickled; None if it can."""
    try:
        with _lock:
            outer = Pickler(_Nowhere(), plan)
            Pickler(_Nowhere(), plan, outer=outer).dump(part)
    except Exception as error:
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
    ) -> None:
        """Pickle ``nodes`` as they are now.

        Args:
            nodes: The node objects.
            log_levels: By logger, ``""`` for the root, the lowest level that the caller shows.
            left: Takes large arrays out of the pickle.
        """
        self.refused: dict[int, UnpicklableError] = {}
        plan, going = Plan(), list[object]()
        file = io.BytesIO()
        file.write(opening.PREFIX + opening.SHIPMENT)
        with _lock:
            for index, node in enumerate(nodes):
                error = _problem(node, plan)
                if error is not None:
                    self.refused[index] = culprit(node, error, lambda part: _problem(part, Plan()))
                # So that the receiver knows for which node the next definitions are made.
                going += [Call(opening.work_for, (index,)), node if error is None else None]
            Pickler(file, plan, left=left).dump((going, dict(log_levels), True))
        self.instances = file.getvalue()
        self.arrays = [] if left is None else left.arrays
        self.shipped = frozenset(plan.tokens)

    def dumps(self, value: object) -> bytes:
        """Pickle an item for any worker of this session.

        Raises:
            UnpicklableError: The object cannot be pickled; the error names the part at fault.
        """
        return dumps(value, self.shipped)


__all__ = ["PortableShipment", "dump_into", "dumps"]
