"""Is the native runtime there? For code that decides by that, as old scripts do."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType


def try_load_rust_runtime() -> tuple[bool, ModuleType | None, str | None]:
    """`(True, module remotemedia_runtime, None)`, or `(False, None, what is wrong)`."""
    try:
        return True, importlib.import_module("remotemedia_runtime"), None
    except ImportError as problem:
        return False, None, str(problem)


def is_rust_runtime_available() -> bool:
    """Whether pipelines can run; warns with the reason when they cannot."""
    available, _, problem = try_load_rust_runtime()
    if not available:
        warnings.warn(f"Rust runtime unavailable: {problem}", UserWarning, stacklevel=2)
    return available


def get_rust_runtime() -> ModuleType | None:
    """The module `remotemedia_runtime`, or None when it cannot be loaded."""
    return try_load_rust_runtime()[1]


__all__ = ["get_rust_runtime", "is_rust_runtime_available", "try_load_rust_runtime"]
