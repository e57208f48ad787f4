"""What a pipeline is made of: adding nodes, reading and writing documents.

The base of `Pipeline`; running is added there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from remotemedia.core import documents
from remotemedia.core.arguments import node_arguments, pipeline_arguments, predecessors
from remotemedia.core.exceptions import PipelineError, RemoteMediaError
from remotemedia.core.graph import Graph

if TYPE_CHECKING:
    import os


class Blueprint:
    """A named graph of nodes that can be built, described and read back."""

    def __init__(
        self,
        *args: Any,
        nodes: Iterable[Any] | None = None,
        name: str | None = None,
        enable_metrics: bool = False,
    ) -> None:
        given, name, enable_metrics = pipeline_arguments(args, nodes, name, enable_metrics)
        self.name = name if name is not None else f"{type(self).__name__}_{id(self)}"
        self.enable_metrics = enable_metrics
        self.graph = Graph()
        for node in given:
            self.add_node(node)

    @property
    def is_initialized(self) -> bool:
        """Whether the nodes are loaded, so that the graph is fixed."""
        return False

    # Building.

    def add_node(
        self,
        *node: Any,
        after: Any = None,
        id: str | None = None,  # noqa: A002  # the manifest's word
        name: str | None = None,
    ) -> Self:
        """Add a node and return the pipeline.

        Args:
            *node: a node, a function, a manifest entry (dict), or `"id", node`.
            after: what it follows: a node, id or name, or a list of them to join branches. By
                default the node added last; an empty list makes a root.
            id: the node's id in the manifest, in errors and in metrics; by default
                `<name>_<index>`.
            name: what the node of a function is called, by default as the function.

        Raises:
            PipelineError: it is no node, or the pipeline is initialised.
            ConfigurationError: the id is malformed or taken.
        """
        if self.is_initialized:
            raise PipelineError("the pipeline is initialised: add nodes before, or cleanup() first")
        added, given_id = node_arguments(node, id, name)
        self.graph.add(added, given_id, predecessors(after))
        self._node_added(added)
        return self

    def _node_added(self, node: Any) -> None:
        """A node has joined the graph; for pipelines that prepare for it."""

    def add(
        self,
        *node: Any,
        after: Any = None,
        id: str | None = None,  # noqa: A002
        name: str | None = None,
    ) -> Self:
        """The same as `add_node`."""
        return self.add_node(*node, after=after, id=id, name=name)

    def remove_node(self, node_name: str) -> bool:
        """Take out the node with this name or id and close the gap; False when there is none."""
        if self.is_initialized:
            raise PipelineError("the pipeline is initialised: cleanup() first")
        try:
            entry = self.graph.find(node_name)
        except PipelineError:
            return False
        self.graph.remove(entry)
        return True

    def get_node(self, node_name: str) -> Any:
        """The node with this name or id, or None."""
        try:
            return self.graph.find(node_name).node
        except PipelineError:
            return None

    # Describing.

    def serialize(self, include_capabilities: bool = True, description: str | None = None) -> str:
        """The pipeline as a JSON manifest (schema v1), indented.

        Raises:
            SerializationError: a node has a parameter without a JSON form.
        """
        return json.dumps(
            documents.manifest(
                self.graph,
                self.name,
                include_capabilities=include_capabilities,
                description=description,
            ),
            indent=2,
        )

    def export_definition(self) -> dict[str, Any]:
        """The pipeline as a dict that `from_definition` reads."""
        return documents.definition(self.graph, self.name, self.enable_metrics)

    @classmethod
    async def from_definition(cls, definition: dict[str, Any]) -> Self:
        """A pipeline from what `export_definition` returned."""
        return cls.from_dict(definition)

    @classmethod
    def from_dict(cls, manifest: dict[str, Any]) -> Self:
        """A pipeline from a manifest.

        Raises:
            ManifestError: it is no manifest.
        """
        pipeline = cls(
            name=documents.name_in(manifest),
            enable_metrics=bool(manifest.get("enable_metrics", False)),
        )
        documents.fill(pipeline.graph, manifest)
        return pipeline

    @classmethod
    def from_manifest(cls, manifest: dict[str, Any] | str | os.PathLike[str]) -> Self:
        """A pipeline from a manifest: a dict, JSON text, or the path of a JSON file."""
        return cls.from_dict(manifest) if isinstance(manifest, dict) else cls.from_json(manifest)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> Self:
        """A pipeline from a JSON manifest: its text, or the path of a file."""
        return cls.from_dict(documents.read_json(source))

    @classmethod
    def from_yaml(cls, source: str | os.PathLike[str]) -> Self:
        """A pipeline from a manifest in YAML: its text, or the path of a file.

        Raises:
            ImportError: PyYAML is not installed (`pip install 'remotemedia[yaml]'`).
        """
        return cls.from_dict(documents.read_yaml(source))

    def export(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Not available: raises RemoteMediaError."""
        raise RemoteMediaError(
            "packages (.rmpkg) are not part of this version; "
            "pipeline.serialize() gives the manifest, which `remotemedia run` takes",
            operation="export",
        )

    def push(self, reference: str, **options: Any) -> None:
        """Not available: raises RemoteMediaError."""
        raise RemoteMediaError(
            "package registries are not part of this version; "
            "pipeline.serialize() gives the manifest, which `remotemedia run` takes",
            operation="push",
        )

    def get_config(self) -> dict[str, Any]:
        """`name`, `enable_metrics`, `node_count`, and every node's `get_config()` as `nodes`."""
        return documents.config(self.graph, self.name, self.enable_metrics)

    @property
    def nodes(self) -> list[Any]:
        """The nodes, in the order in which they were added."""
        return [entry.node for entry in self.graph.entries]

    @property
    def node_count(self) -> int:
        """How many nodes there are."""
        return len(self.graph.entries)

    @property
    def remote_node_count(self) -> int:
        """How many nodes are marked to run on other machines."""
        return sum(bool(getattr(node, "is_remote", False)) for node in self.nodes)

    def __iter__(self) -> Iterator[Any]:
        """Over the nodes."""
        return iter(self.nodes)

    def __len__(self) -> int:
        """How many nodes there are."""
        return self.node_count

    def __bool__(self) -> bool:
        """Always true, also without nodes."""
        return True

    def __repr__(self) -> str:
        """Name and ids."""
        return f"{type(self).__name__}(name={self.name!r}, nodes=[{', '.join(self.graph.ids())}])"


__all__ = ["Blueprint"]
