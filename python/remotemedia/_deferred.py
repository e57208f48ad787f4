"""Imports that fail only where they are used.

A module of the caller may import at its top what this interpreter does not have, while the node
that runs here never uses it. So what is missing is stood for by a `Deferred`, and the ImportError
comes when something is asked of it; what the module would make of it at its top likewise. Imports
inside `try` are left alone: whoever wrote that has a way out.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

touched: list[ImportError] = []
"""What a node has asked of a `Deferred` in vain since this was cleared: a node that swallows the
ImportError goes on without what it has elsewhere, and nobody would know."""

STAR = "__remotemedia_star__"
"""Where a module keeps the error of a star that failed: it may lack any name."""

_ASKED_BY_TYPING = ("__parameters__", "__origin__", "__args__", "__unpacked__", "__qualname__")
"""What `list[x]` and its text ask of `x`: to annotate with it is not to use it."""


class Deferred:
    """Stands for a module, or a name of one, that could not be imported.

    Args:
        error: why it cannot be had.
        module: what was to be imported.
        attribute: the name that was to be taken from it; None for the module itself.
        package: what a module that begins with dots is relative to.
    """

    def __init__(
        self,
        error: ImportError,
        module: str,
        attribute: str | None = None,
        package: str | None = None,
    ) -> None:
        self.__dict__["_error"] = error
        self.__dict__["_wanted"] = module, attribute, package

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process: the import is tried again."""
        return imported_or_deferred, self.__dict__["_wanted"]

    def __getattr__(self, name: str) -> NoReturn:
        """Raises."""
        if name in _ASKED_BY_TYPING or name.startswith("__typing_"):
            raise AttributeError(name)
        _raise_again(self)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises."""
        _raise_again(self)

    def __getitem__(self, key: Any) -> NoReturn:
        """Raises."""
        _raise_again(self)

    def __iter__(self) -> NoReturn:
        """Raises."""
        _raise_again(self)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        """Raises."""
        _raise_again(self)

    def __mro_entries__(self, _bases: Any) -> NoReturn:
        """Raises: it was to be a base class."""
        _raise_again(self)

    def __instancecheck__(self, instance: Any) -> bool:
        """False: nothing here is of a class that is missing."""
        return False

    def __repr__(self) -> str:
        """Why it is not there."""
        return f"<not imported: {self.__dict__['_error']}>"


def _refuse(self: Deferred, *_others: Any) -> NoReturn:
    _raise_again(self)


_ARITHMETIC = "add sub mul matmul truediv floordiv mod pow and or xor lshift rshift"
_OTHERS = "len neg pos abs invert lt le gt ge float int index contains enter setitem delitem"
for _name in (*_ARITHMETIC.split(), *(f"r{name}" for name in _ARITHMETIC.split())):
    setattr(Deferred, f"__{_name}__", _refuse)
for _name in _OTHERS.split():
    setattr(Deferred, f"__{_name}__", _refuse)


class Unread:
    """Stands for what only annotations name, so that it need not be imported."""

    def __getattr__(self, name: str) -> Unread:
        """A name of it."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, key: Any) -> Unread:
        """It with parameters."""
        return self

    def __or__(self, other: Any) -> Unread:
        """A union with it."""
        return self

    __ror__ = __or__

    def __call__(self, *args: Any, **kwargs: Any) -> Unread:
        """What it makes."""
        return self


def imported(module: str, attribute: str | None = None, package: str | None = None) -> Any:
    """A module, or a name of one.

    Raises:
        ImportError: it is not there.
    """
    found = importlib.import_module(module, package)
    module = found.__name__
    if attribute is None:
        return found
    try:
        return getattr(found, attribute)
    except AttributeError:
        pass
    try:
        return importlib.import_module(f"{module}.{attribute}")
    except ModuleNotFoundError as error:
        if error.name != f"{module}.{attribute}":
            raise
        path = getattr(found, "__file__", None)
        message = f"cannot import name {attribute!r} from {module!r} ({path or 'unknown location'})"
        raise ImportError(message, name=module, path=path) from None


def imported_or_deferred(
    module: str, attribute: str | None = None, package: str | None = None
) -> Any:
    """As `imported`; what is not there raises when it is used."""
    try:
        return imported(module, attribute, package)
    except ImportError as error:
        return Deferred(error, module, attribute, package)


def leave_out(
    namespace: dict[str, Any],
    error: ImportError,
    bound: Sequence[str],
    changed: Sequence[str],
) -> bool:
    """Lets a module be loaded without what one of its statements was to make.

    Args:
        namespace: the module's names.
        error: what the statement failed with.
        bound: names that it was to bind.
        changed: names whose objects it was to change: these are not complete now.

    Returns:
        False when the error speaks of no missing module; whoever raised that means it.
    """
    is_deferred = error.__cause__ is not None and any(e is error.__cause__ for e in touched)
    if not is_deferred and error.name is None:
        return False
    if is_deferred:
        touched.pop()  # nothing has gone on without it
    incomplete = [n for n in changed if n in namespace and not isinstance(namespace[n], ModuleType)]
    for name in (*bound, *incomplete):
        namespace[name] = Deferred(error, namespace["__name__"], name)
    return True


def starred(
    namespace: dict[str, Any],
    module: str,
    looked_up: Sequence[str],
    error: ImportError | None = None,
) -> None:
    """Stands for what `from module import *` was to bring, so far as anybody asks for it.

    Args:
        namespace: the module's names.
        module: whose names were asked for, with leading dots.
        looked_up: names that the module looks up and does not bind itself.
        error: what the import failed with; None when it came. Then only a star in `module` itself
            may have failed.
    """
    from importlib.util import resolve_name

    package = namespace.get("__package__")
    given: set[str] = set()
    if error is None:
        found = sys.modules.get(resolve_name(module, package))
        error = vars(found).get(STAR) if found is not None else None
        if error is None:
            return
    else:
        given = names_in_source(module)
    failed = namespace[STAR] = error

    def other(name: str) -> Any:
        # For those who import from here.
        if name.startswith("_"):
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        return Deferred(failed, module, name, package)

    namespace.setdefault("__getattr__", other)
    for name in looked_up:
        # numpy has a `sum` of its own, and not to use that would give another result.
        if name in given or not (name in namespace or hasattr(builtins, name)):
            namespace[name] = Deferred(error, module, name, package)


def names_in_source(module: str) -> set[str]:
    """The names that a module seems to offer, as far as there is a text that tells."""
    import ast
    from importlib.util import find_spec

    from remotemedia._portable.names import offered_names

    try:
        spec = None if module.startswith(".") else find_spec(module)
        origin = spec.origin if spec is not None else None
        if origin is None or not origin.endswith(".py"):
            return set()
        with open(origin, "rb") as file:  # noqa: PTH123  (workers start without pathlib)
            return offered_names(ast.parse(file.read()))
    except (ImportError, OSError, SyntaxError, ValueError):
        return set()


def demand(value: Any, name: str) -> None:
    """Does nothing, unless the value of this name is a `Deferred`.

    Raises:
        ImportError: it is; this is why.
    """
    if type(value) is Deferred:
        error: ImportError = value.__dict__["_error"]
        missing = error.name or "what its module imports"
        raise ImportError(f"{name} needs {missing} to be defined", name=error.name) from error


def check_untouched() -> None:
    """Does nothing, unless something was asked of a `Deferred` since `touched` was cleared.

    Raises:
        ImportError: what it was asked in vain for.
    """
    if touched:
        error = touched[0]
        touched.clear()
        raise _like(error) from error


def _raise_again(deferred: Deferred) -> NoReturn:
    error: ImportError = deferred.__dict__["_error"]
    touched.append(error)
    again = _like(error)
    again.name = error.name or deferred.__dict__["_wanted"][0]
    raise again from error


def _like(error: ImportError) -> ImportError:
    kind = ModuleNotFoundError if isinstance(error, ModuleNotFoundError) else ImportError
    again = kind(*error.args)
    again.name, again.path = error.name, error.path
    return again


__all__ = [
    "STAR",
    "Deferred",
    "Unread",
    "check_untouched",
    "demand",
    "imported",
    "imported_or_deferred",
    "leave_out",
    "names_in_source",
    "starred",
    "touched",
]
