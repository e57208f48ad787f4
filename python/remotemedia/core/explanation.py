"""Which node of a pipeline runs where, and why: what `Pipeline.explain` returns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Placement:
    """Where one node runs.

    Attributes:
        node_id: its id.
        node_type: its type, as in the manifest.
        runtime: "rust_native", "cpython" or "rustpython".
        stage: number of its stage; the nodes of one stage are called in one step.
        worker: number of its worker in a run, or None for native nodes.
        program: the interpreter of that worker, or None.
        why: the reason, in a clause.
        fallback: when RustPython was chosen and cannot run it, a dict with `from`, `kind`,
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
    """Where the nodes of a pipeline run. Printed, it is a line a node.

    Attributes:
        pipeline: the pipeline's name.
        workers: how many workers a run holds.
        nodes: a `Placement` a node, stage by stage.
    """

    pipeline: str
    workers: int
    nodes: tuple[Placement, ...]
    text: str = field(repr=False)

    @classmethod
    def read(cls, told: tuple[str, str]) -> Explanation:
        """From the native runtime's JSON and text."""
        document = json.loads(told[0])
        nodes = tuple(Placement(**node) for node in document["nodes"])
        return cls(document["pipeline"], document["workers"], nodes, told[1])

    def __getitem__(self, node_id: str) -> Placement:
        """The placement of the node with this id.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.node_id == node_id:
                return node
        raise KeyError(node_id)

    def __iter__(self) -> Iterator[Placement]:
        """Over the placements."""
        return iter(self.nodes)

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.nodes)

    def __str__(self) -> str:
        """A line a node, in columns."""
        return self.text


__all__ = ["Explanation", "Placement"]
