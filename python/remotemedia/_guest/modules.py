"""Finds loaded modules whose files have changed on disk between two sessions, and those of
installed packages, which later workers may import before their first session.
"""

from __future__ import annotations

import os
import sys
from typing import Any


class LoadedModules:
    """Remembers the files of the caller's own modules. Of modules of the interpreter and of
    installed packages, which change only when they are installed again, it remembers the names.
    """

    def __init__(self) -> None:
        # `sysconfig` is more exact, but importing it adds a millisecond to a worker's start.
        packages = ("site-packages", "dist-packages")
        roots = {os.__file__.rpartition(os.sep)[0], *(p for p in sys.path if p.endswith(packages))}
        self._installed = tuple(f"{root}{os.sep}" for root in roots)
        self._first = frozenset(sys.modules)
        self._seen: set[str] = set()
        self._state: tuple[int, str | None] = (0, None)
        self._fresh: list[str] = []
        self._files: dict[str, tuple[int, int] | None] = {}

    def note(self) -> None:
        """Record the modules that have been loaded since the last call."""
        # Comparing all names would write to the memory that forked workers share.
        state = len(sys.modules), next(reversed(sys.modules), None)
        if state == self._state:
            return
        self._state = state
        unseen = sys.modules.keys() - self._seen
        for name in [name for name in sys.modules if name in unseen]:
            self._seen.add(name)
            module = sys.modules.get(name)
            path = getattr(module, "__file__", None)
            if not isinstance(path, str):
                continue
            if not path.startswith(self._installed):
                self._files[path] = _version(path)
            elif name not in self._first and _is_found_by_name(name, module):
                self._fresh.append(name)

    def take_fresh(self) -> list[str]:
        """Names of the installed modules that have been loaded since the last call, in that order.
        Those that were loaded before this object was made are left out.
        """
        self.note()
        fresh, self._fresh = self._fresh, []
        return fresh

    def changed(self) -> str | None:
        """Path of a file that has changed since it was loaded, or None."""
        for path, version in self._files.items():
            if _version(path) != version:
                return path
        return None


at_start: LoadedModules | None = None
"""The modules that were loaded before the first session. A zygote sets it."""


def _is_found_by_name(name: str, module: Any) -> bool:
    """Whether importing the name loads this module. Some packages enter modules under others."""
    return getattr(getattr(module, "__spec__", None), "name", None) == name and name != "__main__"


def _version(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  (workers start without pathlib)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
