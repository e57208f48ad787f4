"""Node objects as bytes and back, for programs that send nodes to processes of their own.

Pipelines need none of this: they send nodes to their workers by themselves.
"""

from __future__ import annotations

import inspect
from typing import Any

from remotemedia import _pickle
from remotemedia.core.exceptions import SerializationError as _SerializationError
from remotemedia.core.node import Node

MAX_SERIALIZED_SIZE_BYTES = 100 * 1024 * 1024
"""Largest pickle of a node, in bytes."""

_RESOURCES = ("_lock", "_thread", "_file_handle", "_connection", "_socket")


class SerializationError(_SerializationError):
    """A node cannot be pickled.

    Attributes:
        node_name: the node's name.
        reason: what is wrong.
        suggestion: what to do, or None.
    """

    def __init__(self, node_name: str = "", reason: str = "", suggestion: str | None = None):
        told = f"node {node_name!r} cannot be pickled: {reason}"
        super().__init__(told + (f". {suggestion}" if suggestion else ""))
        self.node_name = node_name
        self.reason = reason
        self.suggestion = suggestion


def serialize_node_for_ipc(node: Node) -> bytes:
    """Call the node's `cleanup`, and pickle it with its class where another process cannot import
    that.

    Raises:
        TypeError: it is no `Node`.
        SerializationError: it cannot be pickled, or is larger than `MAX_SERIALIZED_SIZE_BYTES`.
    """
    if not isinstance(node, Node):
        raise TypeError(f"a node is needed, not {type(node).__name__}")
    _settled(node.cleanup())
    try:
        data = _pickle.dumps(node)
    except _pickle.UnpicklableError as problem:
        raise SerializationError(
            node.name,
            f"self{problem.path} ({problem.type_name}): {problem.reason}",
            "Release it in cleanup(), or leave it out in __getstate__()",
        ) from problem
    if len(data) > MAX_SERIALIZED_SIZE_BYTES:
        raise SerializationError(
            node.name,
            f"its pickle has {len(data)} bytes, above {MAX_SERIALIZED_SIZE_BYTES}",
            "Leave large attributes out in __getstate__(), and make them in initialize()",
        )
    return data


def deserialize_node_from_ipc(serialized_bytes: bytes) -> Node:
    """The node from `serialize_node_for_ipc`, after its `initialize`. Loading a pickle can run
    code: pass only your own.

    Raises:
        SerializationError: the bytes hold no node.
        RuntimeError: `initialize` has failed.
    """
    try:
        node = _pickle.loads(serialized_bytes)
    except Exception as problem:
        raise SerializationError("unknown", f"{type(problem).__name__}: {problem}") from problem
    if not isinstance(node, Node):
        raise SerializationError("unknown", f"the pickle holds {type(node).__name__}, no node")
    try:
        _settled(node.initialize())
    except Exception as problem:
        raise RuntimeError(f"initialize() of node {node.name!r} has failed: {problem}") from problem
    return node


def validate_node_serializable(node: Node) -> bool:
    """Whether the node is not initialised, and has no attribute that usually cannot be pickled."""
    held = [name for name in _RESOURCES if getattr(node, name, None) is not None]
    return not (node.is_initialized or held)


def _settled(result: Any) -> None:
    """Wait for a hook that is a coroutine function."""
    if inspect.iscoroutine(result):
        import asyncio

        asyncio.run(result)


__all__ = [
    "MAX_SERIALIZED_SIZE_BYTES",
    "SerializationError",
    "deserialize_node_from_ipc",
    "serialize_node_for_ipc",
    "validate_node_serializable",
]
