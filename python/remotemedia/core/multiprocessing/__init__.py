"""Nodes under the names that the original SDK had for those in processes of their own.

Every Python node runs in a worker process here, so `MultiprocessNode` is a `Node` with the
original's constructor, and registering a class only makes it known by a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from remotemedia._lazy import lazy_attributes
from remotemedia.core.registered import classes

if TYPE_CHECKING:
    from remotemedia.core.multiprocessing.data import (
        AudioMetadata,
        DataType,
        RuntimeData,
        VideoMetadata,
    )
    from remotemedia.core.multiprocessing.node import MultiprocessNode, NodeConfig, NodeStatus

_Class = TypeVar("_Class", bound=type)

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "remotemedia.core.multiprocessing.data": (
            "AudioMetadata",
            "DataType",
            "RuntimeData",
            "VideoMetadata",
        ),
        "remotemedia.core.multiprocessing.node": ("MultiprocessNode", "NodeConfig", "NodeStatus"),
    },
    modules=("data", "node"),
)


def register_node(node_type: str) -> Callable[[_Class], _Class]:
    """A decorator that makes a class known by a name."""

    def register(cls: _Class) -> _Class:
        classes[node_type] = cls
        cls._node_type = node_type  # type: ignore[attr-defined]
        return cls

    return register


def python_requires(deps: Iterable[str]) -> Callable[[_Class], _Class]:
    """A decorator that notes the packages that a class needs, such as `["torch>=2"]`. Nothing is
    installed for that.
    """

    def note(cls: _Class) -> _Class:
        cls.__python_requires__ = list(deps)  # type: ignore[attr-defined]
        return cls

    return note


def get_node_class(node_type: str) -> type:
    """The class that was registered under a name.

    Raises:
        KeyError: there is none.
    """
    if node_type not in classes:
        known = ", ".join(classes) or "none"
        raise KeyError(f"no node is registered as {node_type!r}; registered: {known}")
    return classes[node_type]


def list_registered_nodes() -> list[str]:
    """The registered names."""
    return list(classes)


def get_node_requirements(node_type: str) -> list[str]:
    """The packages that `python_requires` has noted for a registered class.

    Raises:
        KeyError: no class has this name.
    """
    needed: Any = getattr(get_node_class(node_type), "__python_requires__", ())
    return list(needed)


__all__ = [
    "AudioMetadata",
    "DataType",
    "MultiprocessNode",
    "NodeConfig",
    "NodeStatus",
    "RuntimeData",
    "VideoMetadata",
    "get_node_class",
    "get_node_requirements",
    "list_registered_nodes",
    "python_requires",
    "register_node",
]
