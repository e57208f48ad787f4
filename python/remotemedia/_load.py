"""Access to the native module, loaded at first use.

Importing the package must work without it: in workers of other interpreters, and to read a
pipeline's manifest.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def native() -> ModuleType:
    """The module `remotemedia._native`.

    Raises:
        ImportError: it is not built for this interpreter; the message says what to do.
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
