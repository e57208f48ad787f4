"""Classes and functions of nodes that travel by value, pickled once for many runs.

The pickle of such a class takes longer than the rest of a small run. It is kept while nothing in it
can have changed: every part is immutable, or is compared with what it was, object by object. If a
part is neither, such as a list among the class's attributes, nothing is kept.
"""

from __future__ import annotations

import abc
import sys
import types
from collections.abc import Callable, Collection, Iterable, Mapping
from operator import attrgetter, is_
from typing import Any, NamedTuple

import cloudpickle

from remotemedia import _main_module
from remotemedia._importable import is_importable
from remotemedia._tokens import Shared, registry, travels_by_name

_code_globals: Any = cloudpickle.cloudpickle._extract_code_globals
_is_sent: Any = cloudpickle.cloudpickle._is_registered_pickle_by_value

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
_MISSING = object()
_of_function = attrgetter(
    *("__code__", "__defaults__", "__kwdefaults__", "__closure__", "__globals__"),
    *("__name__", "__qualname__", "__module__", "__doc__"),
)
_of_class = attrgetter("__class__", "__bases__", "__name__", "__qualname__")
_OF_MODULE = ("__package__", "__name__", "__path__", "__file__")
"""Variables that a pickle by value has of the module of each function."""
_WITH_BUNDLE = b"B"
"""Begins the pickle of nodes behind a bundle."""
_SIZE_BYTES = 8
_DERIVED = "__slotnames__"
"""Set by `pickle` on the class of an object that it has pickled."""

Check = Callable[[], bool]


class _CannotKeepError(Exception):
    pass


class Bundle(NamedTuple):
    """A pickle of classes and functions, and their tokens."""

    data: bytes
    tokens: frozenset[str]

    def before(self, pickled: bytes) -> bytes:
        """The bundle and a pickle of nodes that refer to it, for `split`."""
        size = len(self.data).to_bytes(_SIZE_BYTES, "little")
        return b"".join((_WITH_BUNDLE, size, self.data, pickled))

    @staticmethod
    def split(data: bytes) -> tuple[Any, Any]:
        """The pickle in a bundle, empty if there is none, and the pickle of nodes."""
        if not data.startswith(_WITH_BUNDLE):
            return b"", data
        begin = len(_WITH_BUNDLE) + _SIZE_BYTES
        end = begin + int.from_bytes(data[len(_WITH_BUNDLE) : begin], "little")
        return data[begin:end], memoryview(data)[end:]


class _Kept(NamedTuple):
    roots: tuple[Shared, ...]
    bundle: Bundle | None
    checks: Collection[Check]


class Definitions:
    """The classes and functions by value of one pipeline's nodes, from run to run."""

    def __init__(self) -> None:
        self._kept = _Kept((), None, ())

    def bundle(
        self,
        roots: Iterable[Shared],
        dump: Callable[[list[Shared]], tuple[bytes, dict[str, Shared]]],
    ) -> Bundle | None:
        """A pickle of these classes and functions, as they are now; None if it cannot be kept.

        Args:
            roots: those that nodes refer to.
            dump: pickles a list of them; returns with the pickle all that it contains, by token.
        """
        wanted = tuple(dict.fromkeys(root for root in roots if not _goes_by_name(root)))
        kept = self._kept
        is_same = len(kept.roots) == len(wanted) and all(map(is_, kept.roots, wanted))
        if is_same and all(check() for check in kept.checks):
            return kept.bundle
        self._kept = _Kept(wanted, *_made(wanted, dump))
        return self._kept.bundle

    def give_up(self) -> None:
        """Keep nothing of the present classes and functions: other code travels with them, and
        shares the variables of their modules.
        """
        self._kept = _Kept(self._kept.roots, None, ())


def _made(
    roots: tuple[Shared, ...], dump: Callable[[list[Shared]], tuple[bytes, dict[str, Shared]]]
) -> tuple[Bundle | None, Collection[Check]]:
    if not roots:
        return None, ()
    walk = _Walk()
    try:
        for root in roots:
            walk.add(root)
    except _CannotKeepError:
        return None, ()
    data, tokens = dump(list(roots))
    if {id(shared) for shared in tokens.values()} != walk.by_value.keys():
        return None, ()
    walk.checks += [_token_check(token, shared) for token, shared in tokens.items()]
    return Bundle(data, frozenset(tokens)), walk.checks


class _Walk:
    """Visits everything that the pickle of a class or function by value contains.

    Attributes:
        by_value: the classes and functions that travel by value, by `id`.
        checks: whether each part that can change is as it was.
    """

    def __init__(self) -> None:
        self.by_value: dict[int, Shared] = {}
        self.checks: list[Check] = []
        self._seen: dict[int, object] = {}

    def add(self, value: Any) -> None:
        """Visit a value.

        Raises:
            _CannotKeepError: it can change, and that cannot be seen.
        """
        if type(value) in _ATOMS or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, type | types.FunctionType):
            self._add_shared(value)
        elif type(value) in (tuple, frozenset):
            self._add_all(value)
        elif type(value) in (staticmethod, classmethod):
            self.add(value.__func__)
        elif type(value) is property:
            parts = value.fget, value.fset, value.fdel, value.__doc__
            self._add_all(parts)
            self.checks.append(lambda: value.__doc__ is parts[3])
        elif type(value) in (types.GenericAlias, types.UnionType):
            self._add_all((getattr(value, "__origin__", None), *value.__args__))
        elif isinstance(value, types.ModuleType):
            self._add_module(value)
        elif not _is_of_module(value):
            raise _CannotKeepError

    def _add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def _add_shared(self, shared: Shared) -> None:
        if _goes_by_name(shared):
            self.checks.append(lambda: _goes_by_name(shared))
            return
        if "<" in shared.__qualname__:  # it has no token of its own
            raise _CannotKeepError
        self.by_value[id(shared)] = shared
        if isinstance(shared, type):
            self._add_class(shared)
        else:
            self._add_function(shared)

    def _add_class(self, kind: type[Any]) -> None:
        fields, own = _of_class(kind), {**vars(kind)}
        own.pop(_DERIVED, None)
        if type(kind) not in (type, abc.ABCMeta) or "__slots__" in own or not _has_no_others(kind):
            raise _CannotKeepError
        self._add_all(fields)
        for name, value in own.items():
            if name == "__annotations__":
                self._add_dict(value)
            elif name not in ("__dict__", "__weakref__", "_abc_impl"):
                self.add(value)

        def is_same() -> bool:
            now = vars(kind)
            return (
                len(now) - (_DERIVED in now) == len(own)
                and _is_as(now, own)
                and all(map(is_, _of_class(kind), fields))
                and _has_no_others(kind)
            )

        self.checks.append(is_same)

    def _add_function(self, function: types.FunctionType) -> None:
        fields, code, space = _of_function(function), function.__code__, function.__globals__
        used = {name: space.get(name, _MISSING) for name in (*_OF_MODULE, *_code_globals(code))}
        is_plain = not (function.__dict__ or function.__kwdefaults__)
        if (
            not is_plain
            or _main_module.names_in(code)
            or getattr(function, "__type_params__", None)
        ):
            raise _CannotKeepError
        self._add_all(value for value in used.values() if value is not _MISSING)
        self._add_all((*fields[5:], *(function.__defaults__ or ())))
        self._add_dict(function.__annotations__)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self._add_class_cell(name, cell)
        self.checks.append(
            lambda: (
                all(map(is_, _of_function(function), fields))
                and not function.__dict__
                and all(space.get(name, _MISSING) is value for name, value in used.items())
            )
        )

    def _add_class_cell(self, name: str, cell: types.CellType) -> None:
        """The variable of `super()`; others may be changed by any function that has them."""
        try:
            kind = cell.cell_contents
        except ValueError:  # it has no value yet
            raise _CannotKeepError from None
        if name != "__class__" or id(kind) not in self.by_value:
            raise _CannotKeepError
        self.checks.append(lambda: cell.cell_contents is kind)

    def _add_dict(self, values: dict[str, Any]) -> None:
        before = {**values}
        self._add_all(before.values())
        self.checks.append(lambda: len(values) == len(before) and _is_as(values, before))

    def _add_module(self, module: types.ModuleType) -> None:
        if not _is_found(module):
            raise _CannotKeepError
        # The pickle names the loaded submodules too.
        name, modules = module.__name__, sys.modules
        loaded = len(modules), next(reversed(modules))
        self.checks.append(
            lambda: (
                modules.get(name) is module and loaded == (len(modules), next(reversed(modules)))
            )
        )


def _goes_by_name(shared: Shared) -> bool:
    """Whether a class or function is pickled by its name."""
    if not travels_by_name(shared):
        return False
    module = sys.modules.get(shared.__module__)
    return module is None or not _is_sent(module)  # those that the program has named to cloudpickle


def _is_found(module: types.ModuleType) -> bool:
    """Whether a module is pickled by its name."""
    name = module.__name__
    is_loaded = sys.modules.get(name) is module and not _is_sent(module)
    return is_loaded and is_importable(name, module)


def _is_of_module(value: object) -> bool:
    """Whether a value is a function of an extension module, which is found by its name."""
    return isinstance(value, types.BuiltinFunctionType) and isinstance(
        value.__self__, types.ModuleType
    )


def _has_no_others(kind: type[Any]) -> bool:
    """Whether no class was registered with an abstract class as its own."""
    return not isinstance(kind, abc.ABCMeta) or not abc._get_dump(kind)[0]  # type: ignore[attr-defined]


def _is_as(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether names stand for the same objects as before."""
    return all(now.get(name, _MISSING) is value for name, value in before.items())


def _token_check(token: str, shared: Shared) -> Check:
    return lambda: registry.token_of(shared) == token
