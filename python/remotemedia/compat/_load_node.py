"""Loads a node class as a worker does, in the interpreter that is measured. Becomes the code of a
case; `remotemedia._guest` is there, because the runner prepares what a worker has.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Collection, Sequence
from typing import Any

from remotemedia._guest.search import LenientLoader


class _PartLoader(LenientLoader):
    """Loads the statements of a script that a node needs, as if these were shipped to a worker."""

    needs: Collection[int] = ()

    def source_to_code(  # type: ignore[override]  # typeshed has more forms of source
        self, data: bytes, path: str, *, _optimize: int = -1
    ) -> Any:
        """The code of the imports and of the statements that begin in one of the lines."""
        tree = ast.parse(data, path)
        tree.body = _needed(tree.body, self.needs)
        return super().source_to_code(ast.unparse(tree).encode(), path, _optimize=_optimize)


def _needed(body: list[Any], needs: Collection[int]) -> list[Any]:
    kept = []
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            inner = [s for part in ("body", "orelse") for s in getattr(statement, part)]
            if _needed(inner, needs):
                kept.append(statement)
        elif isinstance(statement, ast.Import | ast.ImportFrom) or statement.lineno in needs:
            kept.append(statement)
    return kept


def _module(name: str, file: str, needs: Collection[int] | None) -> Any:
    if needs is None:
        return importlib.import_module(name)
    loader = _PartLoader(name, file)
    loader.needs = needs
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    if spec is None:
        raise ImportError(f"{file} is not Python source", name=name)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def load(
    path: Sequence[str], module: str, file: str, name: str, needs: Collection[int] | None
) -> str:
    """Import `module` with `path` in front of sys.path, and take the class `name`.

    `needs`: of a script, which lies in `file`, only the statements that begin in these lines.
    """
    before = list(sys.path)
    sys.path[:0] = path
    try:
        found = getattr(_module(module, file, needs), name)
        if not callable(getattr(found, "process", None)):
            raise TypeError(f"{name} has no method process(data)")
        return "loaded"
    finally:
        # Each node is loaded as if it were the only one.
        sys.path[:] = before
        root = module.partition(".")[0]
        for known in [m for m in sys.modules if m.partition(".")[0] == root]:
            del sys.modules[known]
