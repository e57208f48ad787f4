"""The orchestrator's description of a session and its nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from remotemedia._guest.surroundings import Surroundings


class NodeSpec(NamedTuple):
    """The description of a node: by module and name, or by `instance`, its index in the pickle of
    the caller's node objects.
    """

    node_id: str
    module: str
    name: str
    instance: int | None
    params: dict[str, Any]
    is_streaming: bool
    keeps_failed: bool = False


class SessionSpec(NamedTuple):
    """The description of a session."""

    stages: list[tuple[int, list[NodeSpec]]]
    instances: bytes | None
    surroundings: Surroundings | None
    write_back_max_bytes: int
    buffers: Sequence[Any] = ()
    saved: Sequence[tuple[str, bytes]] = ()
    capture: tuple[bytes, int] | None = None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> SessionSpec:
        """Make the description from a dict of fields, in which nodes are dicts of fields too."""
        stages = [
            (stage, [NodeSpec(**node) for node in nodes]) for stage, nodes in fields.pop("stages")
        ]
        around = fields.pop("surroundings")
        surroundings = None if around is None else Surroundings(**around)
        return cls(stages, surroundings=surroundings, **fields)
