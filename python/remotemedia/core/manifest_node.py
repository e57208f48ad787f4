"""A node of which only its manifest entry is known."""

from __future__ import annotations

import copy
from typing import Any

from remotemedia.core.exceptions import ManifestError, PipelineError
from remotemedia.core.node import Node


class ManifestNode(Node):
    """Stands in a pipeline for a manifest entry; made by `add_node({...})` and `from_json`.

    Args:
        entry: `node_type` is needed; `id`, `params` and the other fields of a manifest's node
            are optional.

    Raises:
        ManifestError: there is no `node_type`.
    """

    def __init__(self, entry: dict[str, Any]) -> None:
        node_type = entry.get("node_type")
        if not isinstance(node_type, str) or not node_type:
            raise ManifestError(
                'a node given as a dict needs a node_type, as in {"node_type": "VADNode"}; '
                f"this one has {sorted(map(str, entry))}"
            )
        self.manifest_entry = copy.deepcopy(entry)
        # A short name for the id of an entry that brings none: the class of "package.module:Class".
        self.name = entry.get("id") or node_type.rpartition(":")[2]
        self.config = self.manifest_entry.setdefault("params", {}) or {}
        self.is_source = bool(entry.get("is_source", False))

    def process(self, data: Any, /) -> Any:
        """Not to be called here: raises PipelineError."""
        raise PipelineError(
            f"{self.manifest_entry['node_type']} is known only by its manifest entry; "
            "it runs as part of a pipeline",
            node_id=self.name,
            operation="process",
        )

    def get_config(self) -> dict[str, Any]:
        """`{"name", "class", "config"}` with the entry's node type as class."""
        return {
            "name": self.name,
            "class": self.manifest_entry["node_type"],
            "config": dict(self.config),
        }


__all__ = ["ManifestNode"]
