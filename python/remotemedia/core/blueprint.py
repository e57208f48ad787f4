"""The base class of `Pipeline`: adds nodes, reads and writes documents. `Pipeline` adds running."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from remotemedia.core import documents
from remotemedia.core.arguments import node_arguments, pipeline_arguments, predecessors
from remotemedia.core.exceptions import PipelineError, RemoteMediaError
from remotemedia.core.graph import Graph
from remotemedia.core.manifest import flag_of

if TYPE_CHECKING:
    import logging
    import os

    from remotemedia.core.node_list import NodeList


class Blueprint:
    """A named graph of nodes that can be built, written as a manifest and read again."""

    def __init__(
        self,
        *args: Any,
        nodes: Iterable[Any] | None = None,
        name: str | None = None,
        enable_metrics: bool = False,
        strict: bool = True,
        pool: str | None = None,
    ) -> None:
        given, name, enable_metrics = pipeline_arguments(args, nodes, name, enable_metrics)
        self.name = name if name is not None else f"{type(self).__name__}_{id(self)}"
        self.enable_metrics = enable_metrics
        self.strict = strict
        self.pool = pool
        self.graph = Graph()
        for node in given:
            self.add_node(node)

    @property
    def is_initialized(self) -> bool:
        """Whether the nodes are loaded; the graph cannot change then."""
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
            after: the predecessor: a node, id or name, or a list of these to join branches. By
                default the node added last; an empty list adds a node without predecessor.
            id: the node's id in the manifest, in errors and in metrics; by default
                `<name>_<index>`.
            name: the name of a function's node; by default the function's name.

        Raises:
            PipelineError: the argument is not a node, or the pipeline is initialised.
            ConfigurationError: the id is malformed or in use.
        """
        self._check_changeable()
        added, given_id = node_arguments(node, id, name)
        self.graph.add(added, given_id, predecessors(after))
        self._node_added(added)
        return self

    def _check_changeable(self) -> None:
        if self.is_initialized:
            raise PipelineError(
                "the pipeline is initialised: change its nodes before that, or call cleanup() first"
            )

    def _node_added(self, node: Any) -> None:
        """Called for each node that was added; a subclass may override this."""

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
        """Remove the node with this name or id; its successors get its predecessors. Returns False
        if there is no such node.
        """
        self._check_changeable()
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
            SerializationError: a parameter of a node cannot be written as JSON.
        """
        import json

        return json.dumps(
            documents.manifest(
                self.graph,
                self.name,
                pool=self.pool,
                include_capabilities=include_capabilities,
                description=description,
            ),
            indent=2,
        )

    def export_definition(self) -> dict[str, Any]:
        """The pipeline as a dict with the constructor arguments of its nodes, as they are, which
        `from_definition` can read.
        """
        from remotemedia.core import definitions

        return definitions.write(self.graph, self.name, self.enable_metrics)

    @classmethod
    async def from_definition(cls, definition: dict[str, Any]) -> Self:
        """Make a pipeline with node objects from a dict of `export_definition`. It imports the
        modules that the dict names.
        """
        return cls.from_dict(definition)

    @classmethod
    def from_dict(cls, manifest: dict[str, Any], **options: Any) -> Self:
        """Make a pipeline from a manifest, or from a dict of `export_definition`.

        Args:
            manifest: the manifest.
            **options: further arguments of the class, such as `strict=False`.

        Raises:
            ManifestError: the dict is not a manifest.
            PipelineError: a node of a definition cannot be made.
        """
        from remotemedia.core import definitions

        options.setdefault("name", documents.name_in(manifest))
        options.setdefault("pool", manifest.get("pool"))
        options.setdefault("enable_metrics", bool(manifest.get("enable_metrics", False)))
        pipeline = cls(**options)
        if definitions.is_definition(manifest):
            definitions.fill(pipeline.graph, manifest)
        else:
            documents.fill(pipeline.graph, manifest, options.get("strict", True))
        return pipeline

    @classmethod
    def from_manifest(
        cls, manifest: dict[str, Any] | str | os.PathLike[str], **options: Any
    ) -> Self:
        """Make a pipeline from a manifest: a dict, JSON text, or the path of a JSON file."""
        document = manifest if isinstance(manifest, dict) else documents.read_json(manifest)
        return cls.from_dict(document, **options)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str], **options: Any) -> Self:
        """Make a pipeline from a JSON manifest: its text, or the path of a file."""
        return cls.from_dict(documents.read_json(source), **options)

    @classmethod
    def from_yaml(
        cls, source: str | os.PathLike[str], *, runtime_hint: str | None = None, **options: Any
    ) -> Self:
        """Make a pipeline from a manifest in YAML: its text, or the path of a file.

        Args:
            source: text or path.
            runtime_hint: the argument `runtime` of the class.
            **options: further arguments of the class.

        Raises:
            ImportError: PyYAML is not installed (`pip install 'remotemedia[yaml]'`).
        """
        if runtime_hint is not None:
            options["runtime"] = runtime_hint
        return cls.from_dict(documents.read_yaml(source), **options)

    def export(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Not available: raises RemoteMediaError."""
        raise RemoteMediaError(
            "packages (.rmpkg) are not part of this version; "
            "pipeline.serialize() returns the manifest, which `remotemedia run` takes",
            operation="export",
        )

    def push(self, reference: str, **options: Any) -> None:
        """Not available: raises RemoteMediaError."""
        raise RemoteMediaError(
            "package registries are not part of this version; "
            "pipeline.serialize() returns the manifest, which `remotemedia run` takes",
            operation="push",
        )

    def get_config(self) -> dict[str, Any]:
        """Returns `name`, `enable_metrics`, `node_count`, `remote_node_count`, `is_initialized`,
        and `nodes`: each node's `get_config()`.
        """
        return {
            **documents.config(self.graph, self.name, self.enable_metrics),
            "remote_node_count": self.remote_node_count,
            "is_initialized": self.is_initialized,
        }

    @property
    def nodes(self) -> NodeList:
        """The nodes, in the order in which they were added; changing the list changes the
        pipeline.
        """
        from remotemedia.core.node_list import NodeList

        return NodeList(self.graph, self._check_changeable, self._node_added)

    @nodes.setter
    def nodes(self, nodes: Iterable[Any]) -> None:
        """Replace all nodes; each new one follows the one before."""
        if nodes != self.nodes:  # else it is `pipeline.nodes += [...]`, which is done
            mine, given = self.nodes, list(nodes)
            mine.clear()
            mine.extend(given)

    @property
    def logger(self) -> logging.Logger:
        """The logger `remotemedia.core.pipeline.Pipeline`, for programs."""
        import logging

        return logging.getLogger(f"remotemedia.core.pipeline.{type(self).__name__}")

    @property
    def node_count(self) -> int:
        """Number of nodes."""
        return len(self.graph.entries)

    @property
    def remote_node_count(self) -> int:
        """Number of nodes that are marked to run on other machines."""
        return sum(flag_of(entry.node, "is_remote") for entry in self.graph.entries)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the nodes."""
        return iter(self.nodes)

    def __len__(self) -> int:
        """Number of nodes."""
        return self.node_count

    def __bool__(self) -> bool:
        """Always true, even without nodes."""
        return True

    def __repr__(self) -> str:
        """The pipeline's name and the ids of its nodes."""
        return f"{type(self).__name__}(name={self.name!r}, nodes=[{', '.join(self.graph.ids())}])"


__all__ = ["Blueprint"]
