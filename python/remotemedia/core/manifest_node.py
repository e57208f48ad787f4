"""A node for which only the manifest entry is known."""

from __future__ import annotations

import copy
from typing import Any

from remotemedia.core.exceptions import ManifestError, PipelineError
from remotemedia.core.node import Node


class ManifestNode(Node):
    """Represents a manifest entry in a pipeline; made by `add_node({...})` and `from_json`.

    Args:
        entry: the entry. `node_type` is required; `id`, `params` and the other fields of a node in
            a manifest are optional.

    Raises:
        ManifestError: the entry has no `node_type`.
    """

    def __init__(self, entry: dict[str, Any]) -> None:
        node_type = entry.get("node_type")
        if not isinstance(node_type, str) or not node_type:
            raise ManifestError(
                'a node given as a dict needs a node_type, as in {"node_type": "VADNode"}; '
                f"this one has {sorted(map(str, entry))}"
            )
        self.manifest_entry = copy.deepcopy(entry)
        if "params" not in entry and isinstance(entry.get("config"), dict):  # its older name
            self.manifest_entry["params"] = self.manifest_entry.pop("config")
        # Without an id, the name is the class name in "package.module:Class".
        self.name = entry.get("id") or node_type.rpartition(":")[2]
        self.config = self.manifest_entry.setdefault("params", {}) or {}
        self.is_source = bool(entry.get("is_source", False))

    def process(self, data: Any, /) -> Any:
        """Raises PipelineError: such a node runs only as part of a pipeline."""
        raise PipelineError(
            f"{self.manifest_entry['node_type']} was given as a manifest entry, so it can run only "
            "as part of a pipeline",
            node_id=self.name,
            operation="process",
        )

    def get_config(self) -> dict[str, Any]:
        """Returns `{"name", "class", "config"}`; the class is the entry's node type."""
        return {
            "name": self.name,
            "class": self.manifest_entry["node_type"],
            "config": dict(self.config),
        }


__all__ = ["ManifestNode"]
