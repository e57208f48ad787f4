"""RemoteMedia: audio pipelines of native nodes and your own Python nodes in isolated workers.

    from remotemedia import Pipeline, Node, AudioResampleNode

    pipeline = Pipeline("audio")
    pipeline.add_node(AudioResampleNode(target_rate=16000))
    pipeline.add_node(MyNode())
    result = pipeline.run(audio)

Names are imported on first use; importing the package needs neither numpy nor the native module.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from remotemedia._lazy import lazy_attributes

if TYPE_CHECKING:
    from remotemedia._audio import AudioView
    from remotemedia._native import (
        execute_pipeline,
        execute_pipeline_with_input,
        get_available_nodes,
        get_node_metadata,
        validate_manifest,
    )
    from remotemedia.audio import read_audio
    from remotemedia.core.exceptions import (
        ConfigurationError,
        CycleError,
        GraphError,
        LimitExceeded,
        ManifestError,
        MarshalingError,
        NodeClassNotFound,
        NodeError,
        NodeMarshalingError,
        NodeNotFoundError,
        NodeSkipped,
        NodeTimeout,
        Overloaded,
        PipelineError,
        RemoteExecutionError,
        RemoteMediaError,
        RunCancelled,
        SerializationError,
        TransientError,
        WebRTCError,
        WorkerCrashed,
        WorkerStartError,
    )
    from remotemedia.core.function import FunctionNode
    from remotemedia.core.node import Node
    from remotemedia.core.pipeline import Pipeline
    from remotemedia.core.remote_config import RemoteExecutorConfig
    from remotemedia.core.session import AsyncSession, Session
    from remotemedia.core.state import SessionState, StateManager
    from remotemedia.nodes import (
        AddNode,
        AudioBuffer,
        AudioResampleNode,
        AudioTransform,
        BufferNode,
        CalculatorNode,
        DataSinkNode,
        DataSourceNode,
        ExtractAudioDataNode,
        FormatConverterNode,
        MultiplyNode,
        PassThroughNode,
        StatefulCounter,
        TextProcessorNode,
        TextTransformNode,
        VADNode,
        VoiceActivityDetector,
    )
    from remotemedia.runtime import Runtime
    from remotemedia.runtime.detection import (
        get_rust_runtime,
        is_rust_runtime_available,
        try_load_rust_runtime,
    )
    from remotemedia.runtime.executor import RustExecutor
    from remotemedia.shared_memory import asarray_shared, empty, shared_memory_stats

__version__ = "1.0.0"

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "remotemedia._native": (
            "execute_pipeline",
            "execute_pipeline_with_input",
            "get_available_nodes",
            "get_node_metadata",
            "validate_manifest",
        ),
        "remotemedia._audio": ("AudioView",),
        "remotemedia.audio": ("read_audio",),
        "remotemedia.core.exceptions": (
            "ConfigurationError",
            "CycleError",
            "GraphError",
            "LimitExceeded",
            "ManifestError",
            "MarshalingError",
            "NodeError",
            "NodeClassNotFound",
            "NodeMarshalingError",
            "NodeNotFoundError",
            "NodeSkipped",
            "NodeTimeout",
            "Overloaded",
            "PipelineError",
            "RemoteExecutionError",
            "RemoteMediaError",
            "RunCancelled",
            "SerializationError",
            "TransientError",
            "WebRTCError",
            "WorkerCrashed",
            "WorkerStartError",
        ),
        "remotemedia.core.function": ("FunctionNode",),
        "remotemedia.core.node": ("Node",),
        "remotemedia.core.pipeline": ("Pipeline",),
        "remotemedia.core.remote_config": ("RemoteExecutorConfig",),
        "remotemedia.core.session": (
            "AsyncSession",
            "Session",
        ),
        "remotemedia.core.state": (
            "SessionState",
            "StateManager",
        ),
        "remotemedia.nodes": (
            "AddNode",
            "AudioBuffer",
            "AudioResampleNode",
            "AudioTransform",
            "BufferNode",
            "CalculatorNode",
            "DataSinkNode",
            "DataSourceNode",
            "ExtractAudioDataNode",
            "FormatConverterNode",
            "MultiplyNode",
            "PassThroughNode",
            "StatefulCounter",
            "TextProcessorNode",
            "TextTransformNode",
            "VADNode",
            "VoiceActivityDetector",
        ),
        "remotemedia.runtime": ("Runtime",),
        "remotemedia.runtime.detection": (
            "get_rust_runtime",
            "is_rust_runtime_available",
            "try_load_rust_runtime",
        ),
        "remotemedia.runtime.executor": ("RustExecutor",),
        "remotemedia.shared_memory": (
            "asarray_shared",
            "empty",
            "shared_memory_stats",
        ),
    },
)

__all__ = [
    "AddNode",
    "AsyncSession",
    "AudioBuffer",
    "AudioResampleNode",
    "AudioTransform",
    "AudioView",
    "BufferNode",
    "CalculatorNode",
    "ConfigurationError",
    "CycleError",
    "DataSinkNode",
    "DataSourceNode",
    "ExtractAudioDataNode",
    "FormatConverterNode",
    "FunctionNode",
    "GraphError",
    "LimitExceeded",
    "ManifestError",
    "MarshalingError",
    "MultiplyNode",
    "Node",
    "NodeClassNotFound",
    "NodeError",
    "NodeMarshalingError",
    "NodeNotFoundError",
    "NodeSkipped",
    "NodeTimeout",
    "Overloaded",
    "PassThroughNode",
    "Pipeline",
    "PipelineError",
    "RemoteExecutionError",
    "RemoteExecutorConfig",
    "RemoteMediaError",
    "RunCancelled",
    "Runtime",
    "RustExecutor",
    "SerializationError",
    "Session",
    "SessionState",
    "StateManager",
    "StatefulCounter",
    "TextProcessorNode",
    "TextTransformNode",
    "TransientError",
    "VADNode",
    "VoiceActivityDetector",
    "WebRTCError",
    "WorkerCrashed",
    "WorkerStartError",
    "__version__",
    "asarray_shared",
    "empty",
    "execute_pipeline",
    "execute_pipeline_with_input",
    "get_available_nodes",
    "get_node_metadata",
    "get_rust_runtime",
    "is_rust_runtime_available",
    "read_audio",
    "shared_memory_stats",
    "try_load_rust_runtime",
    "validate_manifest",
]

if sys.implementation.name != "cpython":
    # `from remotemedia import *` must work without numpy and the native module, which are missing
    # here.
    __all__ = sorted(
        set(__all__)
        - {"asarray_shared", "empty", "shared_memory_stats"}
        - {"execute_pipeline", "execute_pipeline_with_input", "validate_manifest"}
        - {"get_available_nodes", "get_node_metadata"}
    )
