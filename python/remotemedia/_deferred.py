"""Imports that fail only where they are used.

A module of the caller may import at its top what this interpreter does not have, while the node
that runs here never uses it. So what is missing is stood for by a `Deferred`, and the ImportError
comes when something is asked of it. Imports inside `try` are left alone: whoever wrote that has a
way out.
"""

from __future__ import annotations

import importlib
from typing import Any, NoReturn

touched: list[ImportError] = []
"""What a node has asked of a `Deferred` in vain since this was cleared: a node that swallows the
ImportError goes on without what it has elsewhere, and nobody would know."""


class Deferred:
    """Stands for a module, or a name of one, that could not be imported.

    Args:
        error: why it cannot be had.
        module: what was to be imported.
        attribute: the name that was to be taken from it; None for the module itself.
    """

    def __init__(self, error: ImportError, module: str, attribute: str | None = None) -> None:
        self.__dict__["_error"] = error
        self.__dict__["_wanted"] = module, attribute

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process: the import is tried again."""
        return imported_or_deferred, self.__dict__["_wanted"]

    def __getattr__(self, name: str) -> NoReturn:
        """Raises."""
        _raise_again(self.__dict__["_error"])

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises."""
        _raise_again(self.__dict__["_error"])

    def __getitem__(self, key: Any) -> NoReturn:
        """Raises."""
        _raise_again(self.__dict__["_error"])

    def __iter__(self) -> NoReturn:
        """Raises."""
        _raise_again(self.__dict__["_error"])

    def __mro_entries__(self, _bases: Any) -> NoReturn:
        """Raises: it was to be a base class."""
        _raise_again(self.__dict__["_error"])

    def __instancecheck__(self, instance: Any) -> bool:
        """False: nothing here is of a class that is missing."""
        return False

    def __repr__(self) -> str:
        """Why it is not there."""
        return f"<not imported: {self.__dict__['_error']}>"


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


def imported(module: str, attribute: str | None = None) -> Any:
    """A module, or a name of one.

    Raises:
        ImportError: it is not there.
    """
    found = importlib.import_module(module)
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


def imported_or_deferred(module: str, attribute: str | None = None) -> Any:
    """As `imported`; what is not there raises when it is used."""
    try:
        return imported(module, attribute)
    except ImportError as error:
        return Deferred(error, module, attribute)


def _raise_again(error: ImportError) -> NoReturn:
    touched.append(error)
    kind = ModuleNotFoundError if isinstance(error, ModuleNotFoundError) else ImportError
    again = kind(*error.args)
    again.name, again.path = error.name, error.path
    raise again from error


__all__ = ["Deferred", "Unread", "imported", "imported_or_deferred", "touched"]
