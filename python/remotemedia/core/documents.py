"""Reads and writes pipelines as manifests, older definitions, JSON and YAML.

Reading checks only what building the graph needs. The orchestrator checks everything else when the
manifest runs, and reports all problems at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from remotemedia._attributes import attribute_of
from remotemedia.core.exceptions import ManifestError
from remotemedia.core.graph import Entry, Graph
from remotemedia.core.manifest import VERSION, node_entry
from remotemedia.core.manifest_node import ManifestNode

if TYPE_CHECKING:
    import os


def manifest(
    graph: Graph,
    name: str,
    *,
    pool: str | None = None,
    include_capabilities: bool = True,
    description: str | None = None,
) -> dict[str, Any]:
    """The graph as a manifest (schema v1)."""
    from datetime import UTC, datetime

    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    metadata = {"name": name[:255] or "pipeline", "created_at": now}
    if description is not None:
        metadata["description"] = description
    return {
        "version": VERSION,
        "metadata": metadata,
        "nodes": [
            node_entry(entry.node, node_id, include_capabilities=include_capabilities)
            for entry, node_id in zip(graph.entries, graph.ids(), strict=True)
        ],
        "connections": graph.connections(),
        **({} if pool is None else {"pool": pool}),
    }


def config(graph: Graph, name: str, enable_metrics: bool) -> dict[str, Any]:
    """The settings of the pipeline and of its nodes, as `Pipeline.get_config` returns them."""
    nodes = []
    for entry in graph.entries:
        get_config = attribute_of(entry.node, "get_config")
        nodes.append(get_config() if callable(get_config) else {"class": type(entry.node).__name__})
    return {
        "name": name,
        "enable_metrics": enable_metrics,
        "node_count": len(nodes),
        "nodes": nodes,
    }


def name_in(document: dict[str, Any]) -> str | None:
    """The pipeline's name in a manifest or definition."""
    metadata = document.get("metadata")
    name = (metadata if isinstance(metadata, dict) else {}).get("name", document.get("name"))
    return name if isinstance(name, str) else None


def fill(graph: Graph, document: dict[str, Any], strict: bool = True) -> None:
    """Add the nodes and connections of a manifest to an empty graph.

    Raises:
        ManifestError: the manifest has no list of nodes, a connection names an unknown node, or,
            with `strict`, a field outside of the nodes is unknown.
    """
    version = document.get("version", VERSION)
    if version != VERSION:
        raise ManifestError(f"Unsupported manifest version {version!r}; supported: {VERSION!r}")
    nodes = document.get("nodes")
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise ManifestError("nodes: a manifest needs a list of nodes, each an object")
    from remotemedia.core import lenient, registered

    lenient.check_fields(document, strict)
    by_id: dict[str, Entry] = {}
    for described in nodes:
        fields = {k: v for k, v in described.items() if k not in ("name", "class")}
        node_id = described.get("id")
        if node_id in by_id:
            raise ManifestError(f"Duplicate node ID {node_id!r}")
        made = registered.object_of(fields.get("node_type"), fields.get("params") or {})
        entry = graph.add(made or ManifestNode(fields), node_id, [])
        by_id[graph.id_of(entry)] = entry
    for index, connection in enumerate(document.get("connections") or []):
        for end in ("from", "to"):
            if connection.get(end) not in by_id:
                raise ManifestError(
                    f"connections[{index}].{end}: unknown node {connection.get(end)!r}; "
                    f"known: {', '.join(by_id)}"
                )
        graph.connect(by_id[connection["from"]], by_id[connection["to"]])


def read_json(source: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object from text or from a file.

    Raises:
        ManifestError: the text is not JSON, or not an object.
    """
    import json

    try:
        document = json.loads(_text(source))
    except ValueError as problem:
        raise ManifestError(f"the manifest is not valid JSON: {problem}") from problem
    return _object(document)


def read_yaml(source: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a YAML mapping from text or from a file.

    Raises:
        ManifestError: the text is not YAML, or not a mapping.
        ImportError: PyYAML is not installed.
    """
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as problem:
        raise ImportError(
            "reading YAML needs PyYAML: pip install 'remotemedia[yaml]'", name="yaml"
        ) from problem
    try:
        document = yaml.safe_load(_text(source))
    except yaml.YAMLError as problem:
        raise ManifestError(f"the manifest is not valid YAML: {problem}") from problem
    return _object(document)


def _text(source: str | os.PathLike[str]) -> str:
    """`source` itself if it looks like a document, otherwise the text of the file with that
    name.
    """
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith("{")):
        return source
    from pathlib import Path

    return Path(source).read_text(encoding="utf-8")


def _object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ManifestError(f"a manifest must be an object, not {type(document).__name__}")
    return document


__all__ = ["config", "fill", "manifest", "name_in", "read_json", "read_yaml"]
