"""Checks whether another process of the same interpreter can import a module by name."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec


def is_importable(name: str, module: types.ModuleType) -> bool:
    """Whether a process with the same `sys.path` would import this same module by this name."""
    known = _importable.get(name)
    if known is not None and known[0] is module:
        return known[1]
    answer = _find_out_importable(name, module)
    _importable[name] = (module, answer)
    return answer


_importable: dict[str, tuple[types.ModuleType, bool]] = {}


def _find_out_importable(name: str, module: types.ModuleType) -> bool:
    """Ask the import system for the module again, without looking in ``sys.modules``."""
    if name in sys.builtin_module_names:
        return True
    parent_name, _, _ = name.rpartition(".")
    path: Sequence[str] | None = None
    if parent_name:
        parent = sys.modules.get(parent_name)
        path = getattr(parent, "__path__", None)
        if path is None:
            # The parent is no package, so it has put this module into `sys.modules`, as `os` does
            # with `os.path`.
            return parent is not None and is_importable(parent_name, parent)
        if not is_importable(parent_name, parent or module):
            return False
    spec = _find_spec(name, path)
    if spec is None:
        return getattr(module, "__spec__", None) is not None and _is_alias(module)
    ours = getattr(module, "__file__", None)
    if ours is None or spec.origin is None or not spec.has_location:
        return True
    return bool(os.path.realpath(ours) == os.path.realpath(spec.origin))


def _is_alias(module: types.ModuleType) -> bool:
    """Whether this is a second name of a module, such as ``os.path`` for ``posixpath``."""
    spec = module.__spec__
    return spec is not None and spec.name != module.__name__ and spec.name in sys.modules


def _find_spec(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec: ModuleSpec | None = find(name, path) if find is not None else None
        if spec is not None:
            return spec
    return None
