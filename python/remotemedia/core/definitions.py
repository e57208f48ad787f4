"""The older dict form of a pipeline: node objects by module, class and constructor arguments.

`Pipeline.export_definition` writes it, and `from_definition` makes node objects of it. For a text
to store there is the manifest (`documents`).
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import Any

from remotemedia._attributes import attribute_of
from remotemedia.core import registered
from remotemedia.core.exceptions import ManifestError, PipelineError
from remotemedia.core.graph import Entry, Graph
from remotemedia.core.manifest import (
    VERSION,
    class_path,
    constructor_params,
    flag_of,
    name_of,
    options_of,
)
from remotemedia.core.manifest_node import ManifestNode


def write(graph: Graph, name: str, enable_metrics: bool) -> dict[str, Any]:
    """Describe the graph. Arguments of nodes are the objects themselves."""
    ids = graph.ids()
    nodes = [entry.node for entry in graph.entries]
    remote = sum(flag_of(node, "is_remote") for node in nodes)
    return {
        "name": name,
        "enable_metrics": enable_metrics,
        "version": VERSION,
        "nodes": [_describe(node, node_id) for node, node_id in zip(nodes, ids, strict=True)],
        "connections": [
            {
                "from_node": connection["from"],
                "to_node": connection["to"],
                "output_port": "default",
                "input_port": "default",
            }
            for connection in graph.connections()
        ],
        "metadata": {
            "exported_at": time.time(),
            "node_count": str(len(nodes)),
            "remote_node_count": str(remote),
            "has_streaming_nodes": str(any(flag_of(node, "is_streaming") for node in nodes)),
            "pipeline_type": "linear" if _is_linear(graph) else "graph",
        },
        "dependencies": _dependencies(nodes),
    }


def _describe(node: Any, node_id: str) -> dict[str, Any]:
    if isinstance(node, ManifestNode):
        return {**node.manifest_entry, "node_id": node_id, "config": node.config}
    extract = getattr(type(node), "_extract_params", constructor_params)
    module, _, class_name = class_path(node).partition(":")
    return {
        "node_id": node_id,
        "node_type": type(node).__name__,
        "name": name_of(node),
        "config": extract(node),
        "is_remote": flag_of(node, "is_remote"),
        "remote_endpoint": getattr(attribute_of(node, "remote_config"), "host", None),
        "is_streaming": flag_of(node, "is_streaming"),
        "is_source": flag_of(node, "is_source"),
        "is_sink": flag_of(node, "is_sink"),
        "module": module,
        "class_name": class_name,
        "options": options_of(node),
    }


def _is_linear(graph: Graph) -> bool:
    pairs = zip([None, *graph.entries], graph.entries, strict=False)
    return all(entry.after == ([] if before is None else [before]) for before, entry in pairs)


def _dependencies(nodes: list[Any]) -> list[str]:
    """The packages that the nodes say they need, sorted."""
    named = {"remotemedia"}
    for node in nodes:
        config = attribute_of(node, "remote_config")
        for packages in (
            attribute_of(node, "dependencies", ()),
            getattr(config, "pip_packages", ()),
        ):
            if isinstance(packages, list | tuple | set | frozenset):
                named.update(package for package in packages if isinstance(package, str))
    return sorted(named)


def is_definition(document: Mapping[str, Any]) -> bool:
    """Whether a dict is of the older form, and no manifest."""
    nodes = document.get("nodes")
    return isinstance(nodes, list) and any(
        isinstance(node, dict) and "node_id" in node for node in nodes
    )


def fill(graph: Graph, definition: Mapping[str, Any]) -> None:
    """Add the nodes and connections of a definition to an empty graph. Without connections, each
    node follows the one before it.

    Raises:
        PipelineError: a node cannot be made.
        ManifestError: a connection names an unknown node.
    """
    connections = definition.get("connections") or []
    by_id: dict[str, Entry] = {}
    for described in definition["nodes"]:
        node_id = described.get("node_id") or described.get("id")
        entry = graph.add(_make(described), node_id, [] if connections else None)
        by_id[graph.id_of(entry)] = entry
    for index, connection in enumerate(connections):
        ends = [connection.get(f"{end}_node", connection.get(end)) for end in ("from", "to")]
        for end in ends:
            if end not in by_id:
                raise ManifestError(
                    f"connections[{index}]: unknown node {end!r}; known: {', '.join(by_id)}"
                )
        graph.connect(by_id[ends[0]], by_id[ends[1]])


def _make(described: Mapping[str, Any]) -> Any:
    node_type = described.get("node_type")
    config = dict(described.get("config") or described.get("params") or {})
    try:
        node = registered.object_of(node_type, config)
        if node is None and "module" not in described:
            return ManifestNode({"node_type": node_type, "params": config})
        if node is None:
            node = _of_class(described["module"], described.get("class_name", node_type), config)
    except Exception as problem:
        node_id = described.get("node_id", node_type)
        raise PipelineError(f"node {node_id!r} cannot be made: {problem}") from problem
    name = described.get("name")
    if isinstance(name, str) and name_of(node) != name:
        node.name = name
    if described.get("is_streaming"):
        node.is_streaming = True
    for option, value in (described.get("options") or {}).items():
        setattr(node, option, value)
    return node


def _of_class(module: str, path: str, config: dict[str, Any]) -> Any:
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found(**config)


__all__ = ["fill", "is_definition", "write"]
