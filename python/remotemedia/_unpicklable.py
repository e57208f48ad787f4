"""Why an object cannot be pickled, and what an object consists of, to find the culprit."""

from __future__ import annotations

import types
from typing import Any


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
