"""The result of `Pipeline.explain`: where each node of a pipeline runs, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Placement:
    """Where one node runs.

    Attributes:
        node_id: id of the node.
        node_type: type of the node, as in the manifest.
        runtime: "rust_native", "cpython" or "rustpython".
        stage: number of the node's stage; the nodes of a stage are called together.
        worker: number of the node's worker in the run; None for native nodes.
        program: path of that worker's interpreter; None for native nodes.
        why: the reason, as part of a sentence.
        fallback: if RustPython was chosen but cannot run the node, a dict with `from`, `kind`,
            `module` and `reason`; else None.
    """

    node_id: str
    node_type: str
    runtime: str
    stage: int
    worker: int | None
    program: str | None
    why: str
    fallback: dict[str, Any] | None


@dataclass(frozen=True)
class Explanation:
    """Where the nodes of a pipeline run. Its `str` has one line for each node.

    Attributes:
        pipeline: name of the pipeline.
        workers: number of workers that a run uses.
        nodes: a `Placement` for each node, stage by stage.
        text: the lines for printing.
    """

    pipeline: str
    workers: int
    nodes: tuple[Placement, ...]
    text: str = field(repr=False)

    @classmethod
    def read(cls, told: tuple[str, str]) -> Explanation:
        """Make an explanation from the JSON and the text of the native runtime."""
        document = json.loads(told[0])
        nodes = tuple(Placement(**node) for node in document["nodes"])
        return cls(document["pipeline"], document["workers"], nodes, told[1])

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
