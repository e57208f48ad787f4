"""Process pools in nodes: lets `multiprocessing` send functions and classes of the caller's script.

In a worker the script is a stand-in that child processes cannot import, so that they would look for
its functions without end. They travel by value instead, with their tokens: a result of such a class
is of the same class here.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any

from remotemedia import _pickle
from remotemedia._tokens import travels_by_name

_MODULE = "multiprocessing.reduction"


class ChangesPickler:
    """An import finder, first in `sys.meta_path`, that changes the pickler of `multiprocessing`
    when it is imported.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of the one module; None for all others."""
        if name != _MODULE:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Changing(spec.loader)
        return spec


class _Changing(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        """Whatever else the loader has, such as `get_source`."""
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        change_pickler(module)


def install() -> None:
    """Have the pickler changed, now or when it is imported. Only where code can travel by value."""
    if not _pickle.sends_code():
        return
    loaded = sys.modules.get(_MODULE)
    if loaded is not None:
        change_pickler(loaded)
    elif ChangesPickler not in sys.meta_path:
        sys.meta_path.insert(0, ChangesPickler)


def change_pickler(reduction: Any) -> None:
    """Have `multiprocessing` send by value what a child process cannot import."""
    reduction.ForkingPickler.reducer_override = _reduce


def _reduce(_pickler: Any, value: Any) -> Any:
    if isinstance(value, (type, FunctionType)) and not travels_by_name(value):
        from remotemedia import _for_children

        return receive, _for_children.bundle_of(value)
    return NotImplemented


def receive(token: str, bundle: bytes) -> Any:
    """The class or function, in the process that `multiprocessing` has sent it to."""
    from remotemedia import _for_children

    install()
    return _for_children.receive(token, bundle)


__all__ = ["ChangesPickler", "change_pickler", "install", "receive"]
