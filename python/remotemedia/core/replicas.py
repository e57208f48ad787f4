"""Which nodes may run in several workers at once: in the lanes of a map, and as replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remotemedia._attributes import attribute_of
from remotemedia.core.endpoints import CallerSink, CallerSource
from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.manifest import flag_of, has_checkpoint, is_source, name_of

if TYPE_CHECKING:
    from remotemedia.core.graph import Graph


def reason_against(node: Any, *, is_root: bool) -> str | None:
    """Why items of a node cannot be processed apart from each other; None: they can."""
    if isinstance(node, CallerSink | CallerSource):
        return "works in this process"
    config = attribute_of(node, "config")
    is_piecewise = isinstance(config, dict) and config.get("streaming") is True
    if is_piecewise or flag_of(node, "is_streaming") or flag_of(node, "streaming"):
        return "takes its items as pieces of one stream"
    if is_root and is_source(node):
        return "is a source"
    if has_checkpoint(node):
        return "keeps state, which its checkpoint() saves"
    return None


def is_replicated(node: Any) -> bool:
    """Whether a node asks for several workers."""
    count = attribute_of(node, "replicas", 1)
    return type(count) is int and count > 1


def check_replicas(graph: Graph) -> None:
    """Check that the nodes that ask for several workers can run in them.

    Raises:
        ConfigurationError: one of them cannot.
    """
    for entry in graph.entries:
        if not is_replicated(entry.node):
            continue
        reason = reason_against(entry.node, is_root=not entry.after)
        if reason is not None:
            raise ConfigurationError(
                f"{name_of(entry.node)!r} has replicas={entry.node.replicas} and {reason}: its "
                "items cannot be processed apart from each other. Leave replicas out"
            )


__all__ = ["check_replicas", "is_replicated", "reason_against"]
