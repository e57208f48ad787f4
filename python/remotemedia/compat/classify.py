"""Why RustPython cannot import a module, and what to do about it."""

from __future__ import annotations

import difflib
import importlib.machinery
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from remotemedia.compat.cases import MODULES, Difference, Target, cases
from remotemedia.compat.refused import REFUSED

C_EXTENSION = "c_extension"
STDLIB_MISSING = "stdlib_missing"
NOT_INSTALLED = "not_installed"
BLOCKED = "blocked"
UNSUPPORTED = "unsupported"

# As differences name it; its version decides nothing there.
RUSTPYTHON = Target("rustpython", (3, 14))
_ON_CPYTHON = 'runtime_hint="cpython" (fallback moves the node by itself)'


@dataclass(frozen=True)
class Lack:
    """A module that RustPython cannot import.

    `reason` is one of this module's constants, `path` the file that it cannot use (or empty).
    """

    module: str
    reason: str
    path: str
    told: str
    suggestion: str


def lack(module: str, path: Sequence[str], message: str = "") -> Lack:
    """Why `module`, looked for on `path`, does not import there; `message` is what was said."""
    root = module.partition(".")[0]
    if root in REFUSED:
        return Lack(module, BLOCKED, "", *REFUSED[root])
    recorded = _recorded(root)
    if root in sys.stdlib_module_names:
        told = recorded.reason if recorded else message or "not in its standard library"
        way = recorded.workaround if recorded and recorded.workaround else _ON_CPYTHON
        return Lack(module, STDLIB_MISSING, "", told, way)
    found = importlib.machinery.PathFinder.find_spec(root, list(path))
    if found is None:
        return Lack(module, NOT_INSTALLED, "", "not installed", _install(root))
    compiled = _compiled(found)
    if compiled:
        return Lack(module, C_EXTENSION, compiled, "written in C or another language", _ON_CPYTHON)
    return Lack(module, UNSUPPORTED, found.origin or "", message or "does not load", _ON_CPYTHON)


def _recorded(module: str) -> Difference | None:
    """The difference of the whole module on RustPython."""
    whole = (case for case in cases(MODULES) if case.module == module and case.name == module)
    return next((d for case in whole if (d := case.difference(RUSTPYTHON))), None)


def _compiled(spec: importlib.machinery.ModuleSpec) -> str:
    """The compiled file that a module is or holds; empty when it is Python alone."""
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    if spec.origin and spec.origin.endswith(suffixes):
        return spec.origin
    for folder in spec.submodule_search_locations or ():
        found = sorted(p for p in Path(folder).rglob("*.so") if p.name.endswith(suffixes))
        if found:
            return str(found[0])
    return ""


def _install(root: str) -> str:
    near = difflib.get_close_matches(root, _known(), n=1, cutoff=0.7)
    return f"did you mean {near[0]!r}?" if near else f"install what provides {root!r}"


@cache
def _known() -> list[str]:
    return sorted({*packages_distributions(), *sys.stdlib_module_names} - {"__main__"})


__all__ = [
    "BLOCKED",
    "C_EXTENSION",
    "NOT_INSTALLED",
    "RUSTPYTHON",
    "STDLIB_MISSING",
    "UNSUPPORTED",
    "Lack",
    "lack",
]
