"""A session and its nodes, as the orchestrator describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from remotemedia._guest.surroundings import Surroundings


class NodeSpec(NamedTuple):
    """A node as the orchestrator describes it: by class, or by index in the caller's pickle."""

    node_id: str
    module: str
    name: str
    instance: int | None
    params: dict[str, Any]
    is_streaming: bool


class SessionSpec(NamedTuple):
    """A session as the orchestrator describes it."""

    stages: list[tuple[int, list[NodeSpec]]]
    instances: bytes | None
    surroundings: Surroundings | None
    write_back_max_bytes: int
    buffers: Sequence[Any] = ()

    @classmethod
    def of(cls, fields: dict[str, Any]) -> SessionSpec:
        """The session with these fields, in which nodes too are dicts of their fields."""
        stages = [
            (stage, [NodeSpec(**node) for node in nodes]) for stage, nodes in fields.pop("stages")
        ]
        around = fields.pop("surroundings")
        surroundings = None if around is None else Surroundings(**around)
        return cls(stages, surroundings=surroundings, **fields)
