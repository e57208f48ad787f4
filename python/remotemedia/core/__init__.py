"""Pipelines, nodes and errors. Importing it needs neither numpy nor the native module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia._lazy import lazy_attributes

if TYPE_CHECKING:
    from remotemedia.core.exceptions import (
        ConfigurationError,
        NodeError,
        PipelineError,
        RemoteExecutionError,
        RemoteMediaError,
        SerializationError,
        WebRTCError,
    )
    from remotemedia.core.function import FunctionNode
    from remotemedia.core.node import Node
    from remotemedia.core.pipeline import Pipeline
    from remotemedia.core.remote_config import RemoteExecutorConfig
    from remotemedia.core.state import SessionState, StateManager

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "remotemedia.core.exceptions": (
            "ConfigurationError",
            "NodeError",
            "PipelineError",
            "RemoteExecutionError",
            "RemoteMediaError",
            "SerializationError",
            "WebRTCError",
        ),
        "remotemedia.core.multiprocessing.node": ("MultiprocessNode", "NodeConfig", "NodeStatus"),
        "remotemedia.core.multiprocessing.data": ("RuntimeData",),
        "remotemedia.core.multiprocessing": ("python_requires", "register_node"),
        "remotemedia.core.function": ("FunctionNode",),
        "remotemedia.core.node": ("Node",),
        "remotemedia.core.pipeline": ("Pipeline",),
        "remotemedia.core.remote_config": ("RemoteExecutorConfig",),
        "remotemedia.core.state": ("SessionState", "StateManager"),
    },
    modules=(
        "exceptions",
        "multiprocessing",
        "node",
        "node_serialization",
        "pipeline",
        "pipeline_registry",
        "session",
    ),
)

__all__ = [
    "ConfigurationError",
    "FunctionNode",
    "Node",
    "NodeError",
    "Pipeline",
    "PipelineError",
    "RemoteExecutionError",
    "RemoteExecutorConfig",
    "RemoteMediaError",
    "SerializationError",
    "SessionState",
    "StateManager",
    "WebRTCError",
]
