"""Node classes that a program has made known by a name, for manifests and older definitions.

The names hold for this process. A manifest that is read here and names one gets an object of that
class; the orchestrator does not know these names.
"""

from __future__ import annotations

from typing import Any

classes: dict[str, type] = {}
"""The classes by their names."""


def object_of(name: Any, params: dict[str, Any]) -> Any:
    """A node of the class with this name, made of parameters; None if no class has this name."""
    cls = classes.get(name) if isinstance(name, str) else None
    if cls is None:
        return None
    from remotemedia.core.multiprocessing.node import MultiprocessNode, NodeConfig

    if issubclass(cls, MultiprocessNode):
        return cls(NodeConfig(name, name, params))
    return cls(**params)


__all__ = ["classes", "object_of"]
