"""The errors for objects that cannot be pickled, and the search for the part at fault."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from remotemedia._text import described

_SEARCH_DEPTH = 40
_WAY_OUT = "define it at the top level of a module that a worker can import"
_HINT = 'or set runtime_hint="cpython"'


class UnpicklableError(TypeError):
    """An object, or a part of it, cannot be pickled.

    Attributes:
        path: Path from the object to the part at fault, for instance ``.lock`` or ``[3]['k']``;
            empty if the object itself is at fault.
        type_name: Qualified name of that part's type; bare for builtins.
        reason: The error message of pickle.
    """

    def __init__(self, path: str, type_name: str, reason: str) -> None:
        """Make the error; the arguments are the attributes."""
        super().__init__(f"{path or 'the object'} of type {type_name} cannot be pickled: {reason}")
        self.path = path
        self.type_name = type_name
        self.reason = reason

    def below(self, path: str) -> UnpicklableError:
        """The same error for an outer object, which holds this one at ``path``."""
        return type(self)(path + self.path, self.type_name, self.reason)


class UnportableError(UnpicklableError):
    """An object cannot be written for another interpreter. `reason` says which object, why, and
    what the user can do, including `runtime_hint`.
    """


def unportable(shared: Any, reason: str) -> UnportableError:
    """The error for a class, function or value that cannot travel to another interpreter."""
    name = getattr(shared, "__qualname__", type(shared).__qualname__)
    module = getattr(shared, "__module__", None) or "?"
    told = f"{module}.{name} cannot travel to another interpreter: {reason}; {_WAY_OUT}, {_HINT}"
    return UnportableError("", type(shared).__qualname__, told)


def without_source(shared: Any, filename: str | None) -> UnportableError:
    """The error for a class or function whose source cannot be found."""
    if filename is None or not filename.startswith("<"):
        return unportable(shared, f"its source cannot be found in {filename or 'its module'}")
    told = (
        f"the source of {shared.__module__}.{shared.__qualname__} cannot be found, because Python "
        f"does not keep the text of code that is given to exec() or piped in; put it in a file, "
        f"{_HINT}"
    )
    return UnportableError("", type(shared).__qualname__, told)


def parts(value: Any) -> list[tuple[str, Any]]:
    """The direct parts of an object with their paths, written like Python expressions."""
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
    value: Any, error: BaseException, problem_of: Callable[[Any], BaseException | None]
) -> UnpicklableError:
    """The error that names the innermost part of ``value`` that cannot be pickled.

    Args:
        value: The object that could not be pickled.
        error: The exception that pickling it has raised.
        problem_of: Pickles a part on trial; returns the exception, or None if it works.

    Raises:
        KeyboardInterrupt: that is the exception.
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
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, UnpicklableError):  # this error already names type and reason
        return error.below(path)
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return UnpicklableError(path, module + kind.__qualname__, described(error))
