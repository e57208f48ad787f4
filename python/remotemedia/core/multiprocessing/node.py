"""`MultiprocessNode`: a `Node` with the constructor of the original's class of this name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from remotemedia._lazy import historic
from remotemedia.core.node import Node

HAS_RUNTIME_DATA = True
"""`remotemedia.core.multiprocessing.data.RuntimeData` is always there."""


class NodeStatus(Enum):
    """Where a node stands."""

    IDLE = "idle"
    INITIALIZING = "initializing"
    READY = "ready"
    PROCESSING = "processing"
    ERROR = "error"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass
class NodeConfig:
    """What a `MultiprocessNode` is made of.

    Attributes:
        node_id: the node's name.
        node_type: by default the class name.
        params: becomes the node's `config`.
        session_id: see `Node.set_session_id`.
        log_level: level of the node's logger.
    """

    node_id: str
    node_type: str
    params: dict[str, Any] = field(default_factory=dict)
    session_id: str | None = None
    log_level: str = "INFO"


class MultiprocessNode(Node):
    """A node that gets its parameters as a `NodeConfig`. It runs in a worker, as every Python node.

    Args:
        config: a `NodeConfig`, or a dict with some of its fields.
        **kwargs: `node_id`, and the keywords of `Node`.
    """

    def __init__(self, config: NodeConfig | Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        given = vars(config) if isinstance(config, NodeConfig) else dict(config or {})
        named = kwargs.pop("node_id", None)
        self.node_id: str = given.get("node_id") or named or type(self).__name__
        self.node_type: str = given.get("node_type") or type(self).__name__
        super().__init__(name=self.node_id, **kwargs)
        params = given.get("params") or {}
        self.config = {**self.config, **params}
        self.session_id: str = given.get("session_id") or f"default_{self.node_id}"
        self.status = NodeStatus.IDLE
        logger = logging.getLogger(f"node.{self.node_type}.{self.node_id}")
        logger.setLevel(str(given.get("log_level", "INFO")).upper())
        self.logger = logger

    def process_sync(self, data: Any) -> Any:
        """Run `process` in this process for one item that need not be a `RuntimeData`, and return
        its result. Not to be called where an event loop runs.
        """
        import asyncio

        from remotemedia.core.multiprocessing.data import RuntimeData

        if not isinstance(data, RuntimeData):
            data = RuntimeData.json(data) if isinstance(data, dict) else RuntimeData.text(str(data))

        async def result() -> Any:
            made = self.process(data)
            return await made if hasattr(made, "__await__") else made

        return asyncio.run(result())


def __getattr__(name: str) -> Any:
    return historic(__name__, name)


__all__ = ["HAS_RUNTIME_DATA", "MultiprocessNode", "NodeConfig", "NodeStatus"]
