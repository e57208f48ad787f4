"""Access to the native module, loaded on first use.

Importing the package must work without the native module: RustPython workers do not have it, and
writing a pipeline's manifest does not need it.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def native() -> ModuleType:
    """The module `remotemedia._native`.

    Raises:
        ImportError: the module is not built for this interpreter; the message says what to do.
    """
    try:
        return importlib.import_module("remotemedia._native")
    except ImportError as problem:
        raise ImportError(
            f"the native part of remotemedia cannot be loaded ({problem}). "
            "Install the package into this interpreter: pip install ./python",
            name="remotemedia._native",
        ) from problem


__all__ = ["native"]
