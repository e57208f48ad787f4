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

from remotemedia._lazy import find_historic_modules, lazy_attributes

if TYPE_CHECKING:
    from remotemedia._audio import AudioView
    from remotemedia._native import get_available_nodes, get_node_metadata
    from remotemedia.audio import read_audio, write_audio
    from remotemedia.core.capturing import Capture
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
        AudioSink,
        AudioSource,
        AudioTransform,
        BiquadNode,
        BufferNode,
        CalculatorNode,
        ChunkerNode,
        DataSinkNode,
        DataSourceNode,
        ExtractAudioDataNode,
        FormatConverterNode,
        GainNode,
        LevelMeterNode,
        MelSpectrogramNode,
        MixChannelsNode,
        MultiplyNode,
        NoiseSuppressionNode,
        NormalizeNode,
        PassThroughNode,
        SilenceTrimNode,
        SplitChannelsNode,
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
    from remotemedia.runtime.functions import (
        execute_pipeline,
        execute_pipeline_with_input,
        validate_manifest,
    )
    from remotemedia.shared_memory import asarray_shared, empty, shared_memory_stats
    from remotemedia.video import read_video

__version__ = "1.0.0"
__author__ = "The RemoteMedia authors"
__email__ = ""

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "remotemedia._native": ("get_available_nodes", "get_node_metadata"),
        "remotemedia._audio": ("AudioView",),
        "remotemedia._waveform": ("load_ipython_extension", "unload_ipython_extension"),
        "remotemedia.audio": ("read_audio", "write_audio"),
        "remotemedia.core.capturing": ("Capture",),
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
            "AudioSink",
            "AudioSource",
            "AudioTransform",
            "BiquadNode",
            "BufferNode",
            "CalculatorNode",
            "ChunkerNode",
            "DataSinkNode",
            "DataSourceNode",
            "ExtractAudioDataNode",
            "FormatConverterNode",
            "GainNode",
            "LevelMeterNode",
            "MelSpectrogramNode",
            "MixChannelsNode",
            "MultiplyNode",
            "NoiseSuppressionNode",
            "NormalizeNode",
            "PassThroughNode",
            "SilenceTrimNode",
            "SplitChannelsNode",
            "StatefulCounter",
            "TextProcessorNode",
            "TextTransformNode",
            "VADNode",
            "VoiceActivityDetector",
            # Further ones that old programs import from here.
            "AudioResampler",
            "BatcherNode",
            "BidirectionalNode",
            "ChainedTransformNode",
            "CodeExecutorNode",
            "ConditionalExpanderNode",
            "CounterNode",
            "DataTransform",
            "ErrorProneNode",
            "ExpanderNode",
            "FilterNode",
            "FormatConverter",
            "JavaScriptBridgeNode",
            "RangeGeneratorNode",
            "SerializedClassExecutorNode",
            "TransformAndExpandNode",
        ),
        "remotemedia.runtime": ("Runtime",),
        "remotemedia.runtime.detection": (
            "get_rust_runtime",
            "is_rust_runtime_available",
            "try_load_rust_runtime",
        ),
        "remotemedia.runtime.executor": ("RustExecutor",),
        "remotemedia.runtime.functions": (
            "execute_pipeline",
            "execute_pipeline_with_input",
            "validate_manifest",
        ),
        "remotemedia.shared_memory": (
            "asarray_shared",
            "empty",
            "shared_memory_stats",
        ),
        "remotemedia.video": ("read_video",),
        # Names of the original SDK that are not for new programs.
        "remotemedia.core.multiprocessing.node": ("MultiprocessNode",),
        "remotemedia.nodes.loader": (
            "get_loaded_nodes",
            "register_node_class",
            "register_python_node",
            "register_python_nodes_from_config",
        ),
    },
    modules=("core", "nodes", "runtime", "serialization", "utils"),
)
find_historic_modules()

__all__ = [
    "AddNode",
    "AsyncSession",
    "AudioBuffer",
    "AudioResampleNode",
    "AudioSink",
    "AudioSource",
    "AudioTransform",
    "AudioView",
    "BiquadNode",
    "BufferNode",
    "CalculatorNode",
    "Capture",
    "ChunkerNode",
    "ConfigurationError",
    "CycleError",
    "DataSinkNode",
    "DataSourceNode",
    "ExtractAudioDataNode",
    "FormatConverterNode",
    "FunctionNode",
    "GainNode",
    "GraphError",
    "LevelMeterNode",
    "LimitExceeded",
    "ManifestError",
    "MarshalingError",
    "MelSpectrogramNode",
    "MixChannelsNode",
    "MultiplyNode",
    "Node",
    "NodeClassNotFound",
    "NodeError",
    "NodeMarshalingError",
    "NodeNotFoundError",
    "NodeSkipped",
    "NodeTimeout",
    "NoiseSuppressionNode",
    "NormalizeNode",
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
    "SilenceTrimNode",
    "SplitChannelsNode",
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
    "read_video",
    "shared_memory_stats",
    "try_load_rust_runtime",
    "validate_manifest",
    "write_audio",
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
