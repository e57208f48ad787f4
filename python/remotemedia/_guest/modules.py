"""Finds loaded modules whose files have changed on disk between two sessions."""

from __future__ import annotations

import os
import sys


class LoadedModules:
    """Remembers the files of the caller's own modules. Modules of the interpreter and of installed
    packages are left out: they change only when they are installed again.
    """

    def __init__(self) -> None:
        # `sysconfig` is more exact, but importing it adds a millisecond to a worker's start.
        packages = ("site-packages", "dist-packages")
        roots = {os.__file__.rpartition(os.sep)[0], *(p for p in sys.path if p.endswith(packages))}
        self._installed = tuple(f"{root}{os.sep}" for root in roots)
        self._seen: set[str] = set()
        self._files: dict[str, tuple[int, int] | None] = {}

    def note(self) -> None:
        """Record the modules that have been loaded since the last call."""
        for name in sys.modules.keys() - self._seen:
            self._seen.add(name)
            path = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(path, str) and not path.startswith(self._installed):
                self._files[path] = _version(path)

    def changed(self) -> str | None:
        """Path of a file that has changed since it was loaded, or None."""
        for path, version in self._files.items():
            if _version(path) != version:
                return path
        return None


def _version(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  (workers start without pathlib)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
