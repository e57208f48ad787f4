"""Loads a node class as a worker does, in the interpreter that is measured. Becomes the code of a
case; `remotemedia._guest` is there, because the runner prepares what a worker has.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Sequence
from typing import Any

from remotemedia._portable.imports import import_module


def _module(name: str, file: str, is_script: bool) -> Any:
    if not is_script:
        return import_module(name)
    from remotemedia._portable.partial import partial_of

    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise ImportError(f"{file} is not Python source", name=name)
    return partial_of(spec)


def load(
    path: Sequence[str], module: str, file: str, name: str, needs: Collection[int] | None
) -> str:
    """Import `module` with `path` in front of sys.path, and take the class `name`.

    `needs`: not None for a script, which lies in `file`: only what the node needs of it is run.
    """
    before = list(sys.path)
    sys.path[:0] = path
    try:
        found = getattr(_module(module, file, needs is not None), name)
        if not callable(getattr(found, "process", None)):
            raise TypeError(f"{name} has no method process(data)")
        return "loaded"
    finally:
        # Each node is loaded as if it were the only one.
        sys.path[:] = before
        root = module.partition(".")[0]
        for known in [m for m in sys.modules if m.partition(".")[0] == root]:
            del sys.modules[known]
