"""Pickles for the processes that nodes start with `multiprocessing`.

Functions of the caller's script share the namespace of the child's main module, as they share the
script's: what one of them assigns to a global name the others find.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from remotemedia import _by_value
from remotemedia._tokens import MAIN, Shared


class ChildPickler(_by_value.Pickler):
    """Writes functions of the main module so that they live in the receiver's main module."""

    def _function_getnewargs(self, func: types.FunctionType) -> Any:
        code, namespace, *rest = super()._function_getnewargs(func)
        return code, _Main() if func.__module__ in MAIN else namespace, *rest

    def _dynamic_function_reduce(self, func: types.FunctionType) -> Any:
        reduced: Any = super()._dynamic_function_reduce(func)  # type: ignore[no-untyped-call]
        return (*reduced[:5], set_state) if func.__module__ in MAIN else reduced


class _Main:
    """Pickled in place of the namespace of the main module."""

    def __reduce__(self) -> Any:
        return main_namespace, ()


def main_namespace() -> dict[str, Any]:
    """The namespace of this process's main module."""
    return vars(sys.modules["__main__"])


def set_state(function: types.FunctionType, state: tuple[Any, dict[str, Any]]) -> Any:
    """Complete a function. Names that the namespace has keep their values: functions that came
    before may have assigned them.
    """
    own, wanted = main_namespace(), state[1]["__globals__"]
    state[1]["__globals__"] = {name: wanted[name] for name in wanted if name not in own}
    return _by_value.set_function_state(function, state)


def bundle_of(shared: Shared) -> tuple[str, bytes]:
    """The arguments of `receive` for a child process."""
    return _by_value.bundle_of(shared, "child", ChildPickler)


def receive(token: str, bundle: bytes) -> Shared:
    """What `bundle_of` was called on, entered under its name in a main module that lacks it."""
    shared = _by_value.receive(token, bundle)
    module, name, _ = token.split(":")
    if module in MAIN and name.isidentifier():
        main_namespace().setdefault(name, shared)
    return shared


__all__ = ["ChildPickler", "bundle_of", "main_namespace", "receive", "set_state"]
