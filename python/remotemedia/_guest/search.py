"""Where an interpreter other than the caller's finds the caller's modules, and how it reads them.

Its own standard library it has itself; the caller's would be of another version. Modules of the
caller's own are read so that what fails at their top for want of a module fails where it is used:
the node that runs here may not use it at all.
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
    """Finds the caller's own modules, and nodes in installed packages; other modules of these are
    left to the usual finder, for packages rely on what fails inside them.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        """The spec of a module that lies on the path."""
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None:
            return None
        is_installed = any(f"/{folder}/" in spec.origin for folder in _INSTALLED)
        if type(spec.loader) is SourceFileLoader:
            kind = NodesLoader if is_installed else LenientLoader
            spec.loader = kind(spec.loader.name, spec.loader.path)
            return spec
        if is_installed:
            return None
        if type(spec.loader).__name__ == "zipimporter" and spec.origin.endswith(".py"):
            from remotemedia._guest.archives import LenientArchive

            loader: Any = LenientArchive(spec.loader)
            spec.loader = loader
            return spec
        return None


class LenientLoader(SourceFileLoader):
    """Reads a module so that what is missing fails where it is used."""

    def source_to_code(  # type: ignore[override]  # typeshed has more forms of source
        self, data: bytes, path: str, *, _optimize: int = -1
    ) -> Any:
        """The module's code."""
        from remotemedia._guest.lenient import compiled  # not at the start of every worker

        return compiled(data, path, _optimize)


class NodesLoader(LenientLoader):
    """Reads a module so if it may hold nodes, else as usual."""

    def source_to_code(  # type: ignore[override]  # typeshed has more forms of source
        self, data: bytes, path: str, *, _optimize: int = -1
    ) -> Any:
        """The module's code."""
        if b"remotemedia" in data:
            return super().source_to_code(data, path, _optimize=_optimize)
        return compile(data, path, "exec", dont_inherit=True, optimize=_optimize)


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
