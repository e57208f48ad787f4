"""Why an object cannot be pickled, and what an object consists of, to find the culprit."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

_SEARCH_DEPTH = 40


class UnpicklableError(TypeError):
    """An object, or something inside it, cannot be pickled.

    Attributes:
        path: Path from the object to the culprit, for instance ``.lock`` or ``[3]['k']``; empty
            when it is the object itself.
        type_name: Qualified name of the culprit's type; bare for builtins.
        reason: What pickle said.
    """

    def __init__(self, path: str, type_name: str, reason: str) -> None:
        """Makes the error from the path to the culprit, its type and what pickle said."""
        super().__init__(f"{path or 'the object'} of type {type_name} cannot be pickled: {reason}")
        self.path = path
        self.type_name = type_name
        self.reason = reason

    def below(self, path: str) -> UnpicklableError:
        """The same error, seen from an object that holds this one at ``path``."""
        return type(self)(path + self.path, self.type_name, self.reason)


def parts(value: Any) -> list[tuple[str, Any]]:
    """The parts of an object as far as they have a path in Python's words."""
    if isinstance(value, dict):
        keys = [(f" key {key!r}", key) for key in value]
        return [(f"[{key!r}]", part) for key, part in value.items()] + keys
    if isinstance(value, (list, tuple)):
        return [(f"[{index}]", part) for index, part in enumerate(value)]
    if isinstance(value, (set, frozenset)):
        return [("{element}", part) for part in value]
    if isinstance(value, (type, types.ModuleType, types.FunctionType)):
        return []
    try:
        state = value.__getstate__() if hasattr(value, "__getstate__") else vars(value)
    except Exception:
        return []
    if isinstance(state, tuple) and len(state) == 2:
        state = {**(state[0] or {}), **(state[1] or {})}
    if not isinstance(state, dict):
        return []
    return [(f".{name}", part) for name, part in state.items()]


def culprit(
    value: Any, error: Exception, problem_of: Callable[[Any], Exception | None]
) -> UnpicklableError:
    """The error about the innermost part of ``value`` that cannot be pickled.

    Args:
        value: What was to be pickled.
        error: What came of it.
        problem_of: What comes of pickling a part; None when that works.
    """
    path = ""
    for _ in range(_SEARCH_DEPTH):
        for step, part in parts(value):
            problem = problem_of(part)
            if problem is not None:
                path, value, error = path + step, part, problem
                break
        else:
            break
    if isinstance(error, UnpicklableError):  # it says itself what is wrong
        return error.below(path)
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return UnpicklableError(path, module + kind.__qualname__, f"{type(error).__name__}: {error}")
