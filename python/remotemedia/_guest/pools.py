"""Process pools in nodes: lets `multiprocessing` send functions and classes of the caller's script,
and keeps it from running that script again.

In a worker the script is a stand-in that child processes cannot import, so that they would look for
its functions without end. They travel by value instead, with their tokens: a result of such a class
is of the same class here.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any, Protocol

from remotemedia import _pickle
from remotemedia._tokens import travels_by_name

_MODULES = ("multiprocessing.reduction", "multiprocessing.spawn")


class ChangesPickler:
    """An import finder, first in `sys.meta_path`, that changes the pickler of `multiprocessing`,
    and what its children are told, when these are imported.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of one of the modules; None for all others."""
        if name not in _MODULES:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            changing: Any = _Changing(spec.loader)
            spec.loader = changing
        return spec


class _Loader(Protocol):
    def create_module(self, spec: ModuleSpec, /) -> ModuleType | None: ...
    def exec_module(self, module: ModuleType, /) -> None: ...


class _Changing:
    """A loader that changes the module. It has no base class: `importlib.abc` imports much."""

    def __init__(self, loader: _Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        """Whatever else the loader has, such as `get_source`."""
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _change(module)


def install() -> None:
    """Have the pickler changed, now or when it is imported. Only where code can travel by value."""
    if not _pickle.sends_code():
        return
    for name in _MODULES:
        loaded = sys.modules.get(name)
        if loaded is not None:
            _change(loaded)
        elif ChangesPickler not in sys.meta_path:
            sys.meta_path.insert(0, ChangesPickler)


def _change(module: Any) -> None:
    if module.__name__ == _MODULES[0]:
        change_pickler(module)
    elif module.get_preparation_data is not _preparation_data:
        _prepared[:] = [module.get_preparation_data]
        module.get_preparation_data = _preparation_data


_prepared: list[Any] = []
"""The function that `_preparation_data` stands for."""


def _preparation_data(name: str) -> Any:
    """What a child process gets at its start, without the file of the caller's script: the
    child would run it.
    """
    data = _prepared[0](name)
    data.pop("init_main_from_path", None)
    return data


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
