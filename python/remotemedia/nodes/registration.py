"""`streaming_node`: makes a node class known by a name, with a description.

`Pipeline.from_json` and the functions of `remotemedia_runtime` find it by that name, in this
process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from remotemedia.core import registered
from remotemedia.core.error import RemoteMediaError

_Class = TypeVar("_Class", bound=type)


@dataclass
class NodeRegistration:
    """What is known about a registered class.

    Attributes:
        node_type: its name in manifests.
        python_class: the class.
        python_path: its full name.
        multi_output: whether it may give several outputs for an item.
        description: for people.
        category: for people.
        accepts: kinds of items that it takes.
        produces: kinds of its outputs.
        metadata: the other arguments of the decorator.
    """

    node_type: str
    python_class: type
    python_path: str
    multi_output: bool = False
    description: str | None = None
    category: str | None = None
    accepts: list[str] = field(default_factory=list)
    produces: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As a dict for JSON, with the class as its full name."""
        fields = {**vars(self), "python_class": self.python_path}
        del fields["python_path"]
        return fields


_registrations: dict[str, NodeRegistration] = {}


def streaming_node(
    node_type: str | None = None,
    *,
    multi_output: bool = False,
    description: str | None = None,
    category: str | None = None,
    accepts: Iterable[str] | None = None,
    produces: Iterable[str] | None = None,
    **metadata: Any,
) -> Callable[[_Class], _Class]:
    """A decorator that makes a class known by `node_type`, by default its own name."""

    def register(cls: _Class) -> _Class:
        name = node_type or cls.__name__
        registration = NodeRegistration(
            name,
            cls,
            f"{cls.__module__}.{cls.__name__}",
            multi_output,
            description or cls.__doc__,
            category,
            list(accepts or ()),
            list(produces or ()),
            metadata,
        )
        _registrations[name] = registration
        registered.classes[name] = cls
        return cls

    return register


def get_registered_nodes() -> dict[str, NodeRegistration]:
    """All registrations by name."""
    return dict(_registrations)


def get_node_registration(node_type: str) -> NodeRegistration | None:
    """The registration under a name, or None."""
    return _registrations.get(node_type)


def clear_registry() -> None:
    """Forget all registrations."""
    for name in _registrations:
        registered.classes.pop(name, None)
    _registrations.clear()


def export_to_json(path: str | None = None) -> str:
    """All registrations as JSON text, which is also written to the file `path` if that is given."""
    nodes = [registration.to_dict() for registration in _registrations.values()]
    text = json.dumps({"nodes": nodes}, indent=2)
    if path:
        Path(path).write_text(text, encoding="utf-8")
    return text


def export_to_rust(path: str | None = None) -> str:
    """Not available: raises RemoteMediaError."""
    raise RemoteMediaError(
        "Python nodes need no code in Rust: a manifest names them as package.module:Class",
        operation="export",
    )


def discover_and_register() -> None:
    """Does nothing: the nodes of this package are known without being registered."""


__all__ = [
    "NodeRegistration",
    "clear_registry",
    "discover_and_register",
    "export_to_json",
    "export_to_rust",
    "get_node_registration",
    "get_registered_nodes",
    "streaming_node",
]
