"""Reads attributes of node objects, which may be of any class."""

from __future__ import annotations

from typing import Any

PRELOADED = "_remotemedia_preloaded"
"""An attribute of nodes that came with what their `preload` has made."""
_NONSENSE = "remotemedia_asks_for_what_no_object_has"


def attribute_of(node: Any, name: str, default: Any = None) -> Any:
    """An attribute of a node, as `getattr` gives it. Of an object that answers for every name, such
    as a mock or a proxy, only what the object or its class really has.
    """
    value = getattr(node, name, default)
    if value is default or has_really(node, name) or not hasattr(node, _NONSENSE):
        return value
    return default


def has_really(node: Any, name: str) -> bool:
    """Whether the node or its class has the attribute, not only through `__getattr__`."""
    own = getattr(node, "__dict__", {})
    return name in own or any(name in vars(kind) for kind in type(node).__mro__)


__all__ = ["attribute_of", "has_really"]
