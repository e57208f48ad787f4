"""The result of `Pipeline.explain`: where each node of a pipeline runs, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remotemedia.core.overlap import Choice


@dataclass(frozen=True)
class Placement:
    """Where one node runs.

    Attributes:
        node_id: id of the node.
        node_type: type of the node, as in the manifest.
        runtime: "rust_native", "cpython" or "rustpython".
        stage: number of the node's stage; the nodes of a stage are called together.
        worker: number of the node's worker in the run; None for native nodes.
        pool: name of the pool that the worker comes from; None for native nodes.
        program: path of that worker's interpreter; None for native nodes.
        replicas: the numbers of the workers of all its replicas; empty for a node without replicas.
        why: the reason, as part of a sentence.
        fallback: if RustPython was chosen but cannot run the node, a dict with `from`, `kind`,
            `module` and `reason`; else None.
    """

    node_id: str
    node_type: str
    runtime: str
    stage: int
    worker: int | None
    pool: str | None
    program: str | None
    why: str
    fallback: dict[str, Any] | None
    replicas: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Explanation:
    """Where the nodes of a pipeline run. Its `str` has one line for each node.

    Attributes:
        pipeline: name of the pipeline.
        workers: number of workers that a run uses.
        nodes: a `Placement` for each node, stage by stage.
        text: the lines for printing.
        overlap: for nodes that were slow in the last run, whether they get workers of their own in
            a run over several items, and why.
        warnings: what may not be meant, such as a pattern of a pool that means no node.
    """

    pipeline: str
    workers: int
    nodes: tuple[Placement, ...]
    text: str = field(repr=False)
    warnings: tuple[str, ...] = ()
    overlap: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, told: tuple[str, str], choice: Choice) -> Explanation:
        """Make an explanation from the JSON and the text of the native runtime, and from what is
        decided about overlapping.
        """
        document = json.loads(told[0])
        nodes = tuple(Placement(**node) for node in document["nodes"])
        warnings = tuple(document["warnings"])
        lines = [f"{node_id}: {reason}" for node_id, reason in choice.reasons.items()]
        text = "\n".join([told[1].rstrip("\n"), *lines])
        name, workers = document["pipeline"], document["workers"]
        return cls(name, workers, nodes, text, warnings, dict(choice.reasons))

    def __getitem__(self, node_id: str) -> Placement:
        """The placement of the node with this id.

        Raises:
            KeyError: there is no such node.
        """
        for node in self.nodes:
            if node.node_id == node_id:
                return node
        raise KeyError(node_id)

    def __iter__(self) -> Iterator[Placement]:
        """Iterate over the placements."""
        return iter(self.nodes)

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self.nodes)

    def __str__(self) -> str:
        """One line for each node, in columns."""
        return self.text


__all__ = ["Explanation", "Placement"]
