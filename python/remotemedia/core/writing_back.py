"""Sets on the caller's node objects the attributes that have changed in workers."""

from __future__ import annotations

import contextlib
from types import MemberDescriptorType
from typing import Any

from remotemedia import _pickle
from remotemedia.core.function import FunctionNode


def write_back(node_id: str, node: Any, state: bytes) -> None:
    """Set the changed attributes of a node, as its worker has pickled them. What cannot be put back
    is a warning.
    """
    try:
        changes: Any = _pickle.loads(state)
        attributes, deleted = changes
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # a `__setstate__` can raise any exception, even SystemExit
        import warnings

        warnings.warn(
            f"the attributes that node {node_id!r} changed in its worker could not be put back: "
            f"{type(problem).__name__}: {problem}",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    for name, value in attributes.items():
        if isinstance(node, FunctionNode) and name == "function":
            node.take_back(value)
        elif isinstance(getattr(type(node), name, None), MemberDescriptorType):
            object.__setattr__(node, name, value)  # a slot, which a frozen dataclass may protect
        elif hasattr(node, "__dict__"):
            vars(node)[name] = value
    for name in deleted:
        with contextlib.suppress(AttributeError):
            object.__delattr__(node, name)


__all__ = ["write_back"]
