"""Objects whose `__new__` takes arguments that a pickle does not have: they are made without it."""

from __future__ import annotations

import inspect
import types
import weakref
from typing import Any

_needs_arguments: weakref.WeakKeyDictionary[type[Any], bool] = weakref.WeakKeyDictionary()


def reduction(obj: object) -> tuple[Any, ...] | None:
    """How to pickle such an object; None for all others."""
    kind = type(obj)
    new = kind.__new__
    if not isinstance(new, types.FunctionType):
        return None
    if kind.__reduce_ex__ is not object.__reduce_ex__ or kind.__reduce__ is not object.__reduce__:
        return None  # its own way of pickling may call `__new__` with arguments
    if _needs_arguments.get(kind) is False:
        return None
    reduced = obj.__reduce_ex__(4)
    if not isinstance(reduced, tuple) or reduced[0] is not _NEWOBJ:
        return None
    if kind not in _needs_arguments:
        _needs_arguments[kind] = not _accepts(new, reduced[1])
    return (unmade, *reduced[1:]) if _needs_arguments[kind] else None


def unmade(kind: type[Any], *arguments: Any) -> Any:
    """An object of a class, whose `__new__` is not called but that of the class below; pickles call
    this function.
    """
    base = next(b for b in kind.__mro__ if not isinstance(b.__new__, types.FunctionType))
    return base.__new__(kind, *arguments)


def _accepts(new: types.FunctionType, arguments: Any) -> bool:
    try:
        inspect.signature(new).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # no signature
        return True
    return True


_NEWOBJ: Any = object().__reduce_ex__(4)[0]

__all__ = ["reduction", "unmade"]
