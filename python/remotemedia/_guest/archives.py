"""Reads modules in archives on the path as `search` reads those in folders."""

from __future__ import annotations

from typing import Any

from remotemedia._guest.lenient import compiled


class LenientArchive:
    """The loader of an archive, but for how it compiles.

    Args:
        archive: the one that found the module.
    """

    def __init__(self, archive: Any) -> None:
        self._archive = archive

    def __getattr__(self, name: str) -> Any:
        """Whatever else the archive's loader offers."""
        if name == "_archive":
            raise AttributeError(name)
        return getattr(self._archive, name)

    def create_module(self, _spec: Any) -> None:
        """As usual."""

    def get_code(self, name: str) -> Any:
        """The module's code."""
        return compiled(self._archive.get_source(name), self._archive.get_filename(name))

    def exec_module(self, module: Any) -> None:
        """Runs the module."""
        exec(self.get_code(module.__name__), vars(module))
