"""Checks that a fresh process would find the same files for the modules that a worker has loaded.

With another search path or working directory, the name of a loaded module may belong to another
file. The check runs only when the path changes. For each folder from which modules were loaded, it
looks at the entries of the path that now come before that folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from typing import Any, NamedTuple


class LoadedFrom:
    """Compares the loaded modules with the search path of each session."""

    def __init__(self) -> None:
        self._entries: list[str] | None = None
        self._found: _Found | None = None

    def remember(self, path: Iterable[str]) -> None:
        """Note that the modules loaded by now were found along `path`. No other module is loaded
        before the next check.
        """
        self._entries = absolute(path)
        self._found = _find_loaded()

    def conflict(self, path: Iterable[str]) -> str | None:
        """Check the loaded modules against `path`, which must already be `sys.path`.

        Returns:
            A message about a loaded module that this path finds in another place. None if there is
            no such module; the path is then remembered for the next check.
        """
        entries = absolute(path)
        found, self._found = self._found, None
        if self._entries is not None and entries != self._entries:
            for name, spec in _suspects(found or _find_loaded(), self._entries, entries):
                moved = _moved(name, spec, None)
                if moved is not None:
                    return f"{moved} was loaded from {spec.origin}, but is no longer found there"
        self._entries = entries
        return None


at_start: LoadedFrom | None = None
"""The modules that were loaded before the first session. A zygote sets it."""


class _Found(NamedTuple):
    """The loaded top-level modules.

    Attributes:
        homes: per entry of the path, a folder or archive, those that were found in it.
        namespaces: namespace packages, which may lie in several folders.
    """

    homes: dict[str, dict[str, ModuleSpec]]
    namespaces: list[tuple[str, ModuleSpec]]


def _find_loaded() -> _Found:
    found = _Found({}, [])
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__dict__", {}).get("__spec__")
        if "." in name or not isinstance(spec, ModuleSpec) or spec.name != name:
            continue
        if spec.has_location and spec.origin is not None:
            found.homes.setdefault(_home(spec), {})[name] = spec
        elif spec.submodule_search_locations is not None:
            found.namespaces.append((name, spec))
    return found


def absolute(path: Iterable[str]) -> list[str]:
    """A search path with relative entries taken from the working directory."""
    try:
        here = os.getcwd()  # noqa: PTH109  (workers start without pathlib)
    except OSError:  # the working directory has been deleted
        here = ""
    return [os.path.normpath(os.path.join(here, entry)) for entry in path]  # noqa: PTH118


def _suspects(loaded: _Found, before: list[str], now: list[str]) -> list[tuple[str, ModuleSpec]]:
    """Loaded top-level modules that the path `now` may find in another place than `before`."""
    suspects = list(loaded.namespaces)
    listed: dict[str, set[str] | None] = {}
    for home, specs in loaded.homes.items():
        if home in before and home not in now:
            suspects += specs.items()
            continue
        ahead = set(_before(home, now)) - set(_before(home, before))
        for entry in ahead - listed.keys():
            listed[entry] = _listed(entry)
        found = (listed[entry] for entry in ahead)
        names = {n for names in found for n in (specs if names is None else names & specs.keys())}
        suspects += [(name, specs[name]) for name in names]
    return suspects


def _home(spec: ModuleSpec) -> str:
    """The entry of the path, a folder or archive, in which a module was found."""
    folder = os.path.dirname(spec.origin or "")  # noqa: PTH120
    is_package = spec.submodule_search_locations is not None
    return os.path.dirname(folder) if is_package else folder  # noqa: PTH120


def _before(home: str, path: list[str]) -> list[str]:
    return path[: path.index(home)] if home in path else path


def _listed(entry: str) -> set[str] | None:
    """The names that may be found in an entry of the path; None if any may."""
    try:
        return {name.partition(".")[0] for name in os.listdir(entry)}  # noqa: PTH208
    except NotADirectoryError:  # an archive, which may contain any name
        return None
    except OSError:
        return set()


def _moved(name: str, loaded: ModuleSpec, path: list[str] | None) -> str | None:
    """Check whether a fresh process would find a module in the place where it was loaded from.

    Returns:
        None if it would; else the name of the module or, for a namespace package, of a submodule.
    """
    found = _find(name, path)
    if found is None:
        return name
    if loaded.origin is not None:
        return None if _is_same_file(found.origin, loaded.origin) else name
    if found.origin is not None or found.submodule_search_locations is None:
        return name
    folders = list(found.submodule_search_locations)
    for child, module in list(sys.modules.items()):
        spec = getattr(module, "__dict__", {}).get("__spec__")
        if child.rpartition(".")[0] == name and isinstance(spec, ModuleSpec):
            moved = _moved(child, spec, folders)
            if moved is not None:
                return moved
    return None


def _find(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        find: Any = getattr(finder, "find_spec", None)
        try:
            found = None if find is None else find(name, path, None)
        except ImportError:  # a finder refuses to import the module
            return None
        if isinstance(found, ModuleSpec):
            return found
    return None


def _is_same_file(found: str | None, loaded: str) -> bool:
    if found == loaded:
        return True
    try:
        return found is not None and os.path.samefile(found, loaded)  # noqa: PTH121
    except OSError:
        return False
