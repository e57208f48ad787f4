"""Normalizes the arguments of `Pipeline` and `add_node`.

Old scripts name, list and wrap nodes in several ways; all of these are accepted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from remotemedia.core.exceptions import PipelineError
from remotemedia.core.function import FunctionNode
from remotemedia.core.manifest import name_of
from remotemedia.core.manifest_node import ManifestNode


def pipeline_arguments(
    args: tuple[Any, ...], nodes: Iterable[Any] | None, name: str | None, enable_metrics: bool
) -> tuple[list[Any], str | None, bool]:
    """Returns `(nodes, name, enable_metrics)` from the arguments of `Pipeline`.

    Raises:
        PipelineError: two names are given.
    """
    given: list[Any] = []
    for arg in args:
        if isinstance(arg, str):
            if name is not None:
                raise PipelineError(f"a pipeline has one name, not {name!r} and {arg!r}")
            name = arg
        elif isinstance(arg, bool):
            enable_metrics = arg
        elif isinstance(arg, list | tuple):
            given.extend(arg)
        elif arg is not None:
            given.append(arg)
    given.extend(nodes or ())
    return given, name, enable_metrics


def node_arguments(
    args: tuple[Any, ...], given_id: str | None, name: str | None = None
) -> tuple[Any, str | None]:
    """Returns `(node, id or None)` from the arguments of `Pipeline.add_node`.

    Raises:
        PipelineError: the arguments are not a node, a function or a dict, alone or after an id.
    """
    if len(args) == 2 and isinstance(args[0], str):
        if given_id is not None:
            raise PipelineError(f"the id was given twice: {args[0]!r} and id={given_id!r}")
        given_id, node = args
    elif len(args) == 1:
        node = args[0]
    else:
        raise PipelineError('add_node takes a node, or an id and a node: add_node("id", node)')
    if isinstance(node, dict):
        node = ManifestNode(node)
    if isinstance(node, ManifestNode) and given_id is None:
        given_id = node.manifest_entry.get("id")
    is_node = isinstance(node, ManifestNode) or callable(getattr(node, "process", None))
    if isinstance(node, type) and hasattr(node, "process"):
        raise PipelineError(f"{node.__name__} is a class: add an instance, {node.__name__}(...)")
    if not is_node and not callable(node):
        raise PipelineError(f"{node!r} is no node: it has no process() method and is not callable")
    if not is_node:
        return FunctionNode(node, name), given_id
    if name is not None:
        raise PipelineError(
            f"name={name!r} can be given for functions only; this node's name is {name_of(node)!r}"
        )
    return node, given_id


def predecessors(after: Any) -> list[Any] | None:
    """The argument `after` as a list of predecessors; None stands for the node added last."""
    if after is None:
        return None
    return list(after) if isinstance(after, list | tuple | set | frozenset) else [after]


__all__ = ["node_arguments", "pipeline_arguments", "predecessors"]
