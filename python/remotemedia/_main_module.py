"""What code finds in `__main__` in a worker: the caller's `__file__` and docstring, and those
variables that the code names.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

_ALWAYS = ("__file__", "__doc__", "__package__")


def names_in(code: types.CodeType) -> frozenset[str]:
    """The names that code may look up in a module, also as text, if it speaks of `__main__`."""
    texts = [constant for constant in code.co_consts if isinstance(constant, str)]
    names = frozenset((*code.co_names, *texts))
    inner = [names_in(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    if "__main__" in names or any(inner):
        return names.union(*inner)
    return frozenset()


class Attributes:
    """Pickled after the nodes, in place of the attributes of the main module that they name.

    Args:
        names: filled by the pickler until this object is pickled.
        problem_of: tries to pickle a value; what cannot be pickled stays behind.
    """

    def __init__(self, names: set[str], problem_of: Callable[[Any], object]) -> None:
        self._names = names
        self._problem_of = problem_of

    def __reduce__(self) -> Any:
        main = vars(sys.modules["__main__"])
        found = always()
        waiting = sorted(self._names & main.keys())
        while waiting:
            name = waiting.pop()
            is_own = name.startswith("__") and name.endswith("__")
            if name in found or is_own or self._problem_of(main[name]) is not None:
                continue
            found[name] = main[name]
            # Only now, because it may not have been met among the nodes.
            for code in _code_of(main[name]):
                waiting += names_in(code) & main.keys()
        return dict, (found,)


def always() -> dict[str, Any]:
    """The attributes that every worker gets."""
    main = vars(sys.modules["__main__"])
    return {name: main[name] for name in _ALWAYS if isinstance(main.get(name), str)}


def _code_of(value: object) -> list[types.CodeType]:
    values = [*vars(value).values()] if isinstance(value, type) else [value]
    return [one.__code__ for one in values if isinstance(one, types.FunctionType)]


def enter(attributes: dict[str, Any]) -> None:
    """Set the attributes on this worker's stand-in for the main module."""
    vars(sys.modules["__main__"]).update(attributes)
