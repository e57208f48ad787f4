"""Where an interpreter other than the caller's finds the caller's modules, and how it reads them.

Its own standard library it has itself; the caller's would be of another version. Modules of the
caller's own are read so that an import at their top that fails here fails where it is used: the
node that runs here may not use it at all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder, SourceFileLoader
from typing import Any

_INSTALLED = ("site-packages", "dist-packages")


def usable(path: Iterable[str]) -> list[str]:
    """The entries of a caller's `sys.path` without the standard library of another interpreter."""
    return [entry for entry in path if not _is_foreign_library(entry)]


def _is_foreign_library(entry: str) -> bool:
    head, _, tail = entry.rstrip("/").rpartition("/")
    if tail == "lib-dynload":
        return _is_foreign_library(head)
    name = tail.removesuffix(".zip")
    if not name.startswith("python3") or (name == tail and not os.path.isfile(f"{entry}/os.py")):  # noqa: PTH113
        return False
    version = name.removeprefix("python3").lstrip(".").rstrip("t")
    is_own = version == str(sys.version_info.minor) and sys.implementation.name == "cpython"
    return version.isdigit() and not is_own


class OwnModules:
    """Finds the caller's own modules; installed packages are left to the usual finder."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """The spec of a module that lies on the path and not in an installed package."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or spec.origin is None:
            return None
        if any(f"/{folder}/" in spec.origin for folder in _INSTALLED):
            return None
        spec.loader = LenientLoader(spec.loader.name, spec.loader.path)
        return spec


class LenientLoader(SourceFileLoader):
    """Reads a module so that its imports fail where they are used."""

    def source_to_code(  # type: ignore[override]  # typeshed has more forms of source
        self, data: bytes, path: str, *, _optimize: int = -1
    ) -> Any:
        """The module's code."""
        import ast

        tree = ast.parse(data, path)
        tree.body = [part for statement in tree.body for part in _lenient(statement)]
        return compile(tree, path, "exec", dont_inherit=True, optimize=_optimize)


def _lenient(statement: Any) -> list[Any]:
    """A statement at the top of a module, its imports one by one and each with a way out."""
    import ast

    if isinstance(statement, ast.If):
        statement.body = [part for inner in statement.body for part in _lenient(inner)]
        statement.orelse = [part for inner in statement.orelse for part in _lenient(inner)]
        return [statement]
    is_import = isinstance(statement, ast.Import) or (
        isinstance(statement, ast.ImportFrom)
        and not statement.level
        and statement.module != "__future__"
        and statement.names[0].name != "*"
    )
    return [_guarded(statement, alias) for alias in statement.names] if is_import else [statement]


def _guarded(statement: Any, alias: Any) -> Any:
    import ast

    name = alias.asname or alias.name.partition(".")[0]
    attempt: Any = ast.parse(
        "try:\n    pass\n"
        "except ImportError as _remotemedia_error:\n"
        f"    {name} = __import__('remotemedia._deferred', fromlist=['Deferred'])"
        ".Deferred(_remotemedia_error)\n"
    ).body[0]
    if isinstance(statement, ast.Import):
        single: Any = ast.Import([alias])
    else:
        single = ast.ImportFrom(statement.module, [alias], 0)
    attempt.body = [single]
    for node in ast.walk(attempt):
        if hasattr(node, "lineno") or node is single:
            ast.copy_location(node, statement)
    return ast.fix_missing_locations(attempt)


def install() -> None:
    """Reads the caller's modules leniently, and no bytecode but its own: CPython 3.14 writes some
    under the same names. Does nothing on CPython.
    """
    if sys.implementation.name == "cpython":
        return
    sys.dont_write_bytecode = True
    sys.pycache_prefix = os.devnull
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not OwnModules]
    place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
    sys.meta_path.insert(place, OwnModules)
