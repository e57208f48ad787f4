"""Checks whether the native runtime can be loaded; kept for old scripts."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType


def get_runtime_version() -> str:
    """The version of the runtime, as MAJOR.MINOR.PATCH."""
    from remotemedia import __version__

    return __version__


def is_available() -> bool:
    """Whether the native runtime can be loaded."""
    return try_load_rust_runtime()[0]


def try_load_rust_runtime() -> tuple[bool, ModuleType | None, str | None]:
    """Returns `(True, module remotemedia_runtime, None)`, or `(False, None, error message)`."""
    try:
        return True, importlib.import_module("remotemedia_runtime"), None
    except ImportError as problem:
        return False, None, str(problem)


def is_rust_runtime_available() -> bool:
    """Whether the native runtime can be loaded; otherwise also warns with the reason."""
    available, _, problem = try_load_rust_runtime()
    if not available:
        warnings.warn(f"Rust runtime unavailable: {problem}", UserWarning, stacklevel=2)
    return available


def get_rust_runtime() -> ModuleType | None:
    """The module `remotemedia_runtime`, or None if it cannot be loaded."""
    return try_load_rust_runtime()[1]


__all__ = [
    "get_runtime_version",
    "get_rust_runtime",
    "is_available",
    "is_rust_runtime_available",
    "try_load_rust_runtime",
]
