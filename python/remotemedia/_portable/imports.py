"""Imports in the place of the caller's: of a module that fails here, what can be had of it."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

IS_TRIED = sys.implementation.name != "cpython"
"""CPython's own import says the last word."""


def import_module(name: str) -> ModuleType:
    """A module, or what can be had of it.

    Raises:
        ImportError: it is not there, or its source is not the caller's.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if not IS_TRIED:
            raise
        parent = name.rpartition(".")[0]
        if parent and parent not in sys.modules:
            import_module(parent)
            return import_module(name)
        from remotemedia._portable.partial import partial_module  # only where something is missing

        found = partial_module(name, error)
        if found is None:
            error.name = error.name or name  # numpy's error has none
            raise
        return found


def may_be_tried(module: str) -> bool:
    """Whether an import that nothing needs is worth a try: that of numpy fails after 50 ms here."""
    if not IS_TRIED:
        return True
    from remotemedia._guest.imports import NATIVE_PACKAGES

    return module.partition(".")[0] not in NATIVE_PACKAGES


def imported(module: str, attribute: str | None = None) -> Any:
    """A module, or a name of one.

    Raises:
        ImportError: it is not there.
    """
    found = import_module(module)
    if attribute is None:
        return found
    try:
        return getattr(found, attribute)
    except AttributeError:
        pass
    try:
        return import_module(f"{module}.{attribute}")
    except ModuleNotFoundError as error:
        if error.name != f"{module}.{attribute}":
            raise
        path = getattr(found, "__file__", None)
        message = f"cannot import name {attribute!r} from {module!r} ({path or 'unknown location'})"
        raise ImportError(message, name=module, path=path) from None


def named_as_needed(error: ImportError, module: str, name: str) -> ImportError:
    """The error about a class or function whose definition needs what failed."""
    missing = error.name or ""
    if not missing or module == missing or module.startswith(f"{missing}."):
        return error
    return ImportError(f"{module}.{name} needs {missing} to be defined", name=missing)
