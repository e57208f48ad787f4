"""Where the interpreters are that nodes run on."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_PROGRAM = "remotemedia-rustpython"
_VARIABLE = "REMOTEMEDIA_RUSTPYTHON"


def rustpython() -> str | None:
    """The RustPython worker's program: as REMOTEMEDIA_RUSTPYTHON names it, beside the interpreter
    that runs, or on PATH.
    """
    named = os.environ.get(_VARIABLE)
    if named:
        return shutil.which(named)
    return shutil.which(_PROGRAM, path=str(Path(sys.executable).parent)) or shutil.which(_PROGRAM)


HOW_TO_INSTALL = (
    f"{_PROGRAM} was not found beside {sys.executable} or on PATH: install it with "
    f"`pip install ./worker-shim`, or name it in {_VARIABLE}"
)

__all__ = ["HOW_TO_INSTALL", "rustpython"]
