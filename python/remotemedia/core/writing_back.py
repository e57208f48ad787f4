"""Sets on the caller's node objects the attributes that have changed in workers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Mapping
from types import MemberDescriptorType
from typing import Any

from remotemedia import _pickle
from remotemedia._text import described
from remotemedia.core.function import FunctionNode


def write_back(
    changes: Iterable[tuple[str, bytes]], nodes: Mapping[str, Any], instances: Iterable[str]
) -> None:
    """Set the changed attributes of nodes, as their workers have pickled them. What cannot be put
    back is a warning.

    Args:
        changes: ids of nodes with their pickles. Nodes that share objects have the same pickle.
        nodes: the caller's objects by id.
        instances: ids of the nodes to which pickles refer by their numbers.
    """
    own = [nodes[node_id] for node_id in instances]
    opened: dict[bytes, Any] = {}
    for node_id, state in changes:
        try:
            if state not in opened:
                opened[state] = _pickle.loads_state(state, own)
            attributes, deleted = opened[state].get(node_id, ({}, ()))
        except KeyboardInterrupt:
            raise
        except (
            BaseException
        ) as problem:  # a `__setstate__` can raise any exception, even SystemExit
            warnings.warn(
                f"the attributes that node {node_id!r} changed in its worker could not be put "
                f"back: {described(problem)}",
                RuntimeWarning,
                stacklevel=2,
            )
            continue
        _set(nodes[node_id], attributes, deleted)


def _set(node: Any, attributes: Mapping[str, Any], deleted: Iterable[str]) -> None:
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
