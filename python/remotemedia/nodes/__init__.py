"""The nodes that come with the package. Importing them does not import numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia._lazy import lazy_attributes

if TYPE_CHECKING:
    from remotemedia.core.node import Node as Node
    from remotemedia.nodes.audio import (
        AudioBuffer,
        AudioResampleNode,
        AudioSink,
        AudioSource,
        AudioTransform,
        BiquadNode,
        ChunkerNode,
        ExtractAudioDataNode,
        FormatConverterNode,
        GainNode,
        LevelMeterNode,
        MelSpectrogramNode,
        MixChannelsNode,
        NoiseSuppressionNode,
        NormalizeNode,
        SilenceTrimNode,
        SplitChannelsNode,
        VADNode,
        VoiceActivityDetector,
    )
    from remotemedia.nodes.audio.native import AudioResampler as AudioResampler
    from remotemedia.nodes.base import BufferNode, PassThroughNode
    from remotemedia.nodes.calculator import CalculatorNode
    from remotemedia.nodes.code_executor import CodeExecutorNode as CodeExecutorNode
    from remotemedia.nodes.custom import StatefulCounter
    from remotemedia.nodes.io_nodes import BidirectionalNode as BidirectionalNode
    from remotemedia.nodes.io_nodes import DataSinkNode, DataSourceNode
    from remotemedia.nodes.io_nodes import JavaScriptBridgeNode as JavaScriptBridgeNode
    from remotemedia.nodes.registration import streaming_node as streaming_node
    from remotemedia.nodes.serialized_class_executor import (
        SerializedClassExecutorNode as SerializedClassExecutorNode,
    )
    from remotemedia.nodes.simple_math import AddNode, MultiplyNode
    from remotemedia.nodes.text_processor import TextProcessorNode
    from remotemedia.nodes.transform import DataTransform as DataTransform
    from remotemedia.nodes.transform import FormatConverter as FormatConverter
    from remotemedia.nodes.transform import TextTransformNode

HOMES = {
    "remotemedia.nodes.audio": (
        "AudioBuffer",
        "AudioResampleNode",
        "AudioSink",
        "AudioSource",
        "AudioTransform",
        "BiquadNode",
        "ChunkerNode",
        "ExtractAudioDataNode",
        "FormatConverterNode",
        "GainNode",
        "LevelMeterNode",
        "MelSpectrogramNode",
        "MixChannelsNode",
        "NoiseSuppressionNode",
        "NormalizeNode",
        "SilenceTrimNode",
        "SplitChannelsNode",
        "VADNode",
        "VoiceActivityDetector",
    ),
    "remotemedia.nodes.base": ("BufferNode", "PassThroughNode"),
    "remotemedia.nodes.calculator": ("CalculatorNode",),
    "remotemedia.nodes.custom": ("StatefulCounter",),
    "remotemedia.nodes.io_nodes": ("DataSinkNode", "DataSourceNode"),
    "remotemedia.nodes.simple_math": ("AddNode", "MultiplyNode"),
    "remotemedia.nodes.text_processor": ("TextProcessorNode",),
    "remotemedia.nodes.transform": ("TextTransformNode",),
}
"""The classes that manifests name without a module, by the modules that have them."""

HISTORIC = {
    "remotemedia.core.node": ("Node",),
    "remotemedia.nodes.audio.native": ("AudioResampler",),
    "remotemedia.nodes.code_executor": ("CodeExecutorNode",),
    "remotemedia.nodes.io_nodes": ("BidirectionalNode", "JavaScriptBridgeNode"),
    "remotemedia.nodes.loader": ("register_node_class", "register_python_node"),
    "remotemedia.nodes.registration": (
        "NodeRegistration",
        "get_node_registration",
        "get_registered_nodes",
        "streaming_node",
    ),
    "remotemedia.nodes.serialized_class_executor": ("SerializedClassExecutorNode",),
    "remotemedia.nodes.test_nodes": (
        "BatcherNode",
        "ChainedTransformNode",
        "ConditionalExpanderNode",
        "CounterNode",
        "ErrorProneNode",
        "ExpanderNode",
        "FilterNode",
        "RangeGeneratorNode",
        "TransformAndExpandNode",
    ),
    "remotemedia.nodes.transform": ("DataTransform", "FormatConverter"),
}
"""Other names that old programs import from here."""

_MODULES = (
    "audio",
    "base",
    "calculator",
    "code_executor",
    "custom",
    "io_nodes",
    "loader",
    "registration",
    "serialized_class_executor",
    "simple_math",
    "sink",
    "source",
    "test_nodes",
    "text_processor",
    "transform",
)

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {module: HOMES.get(module, ()) + HISTORIC.get(module, ()) for module in {**HOMES, **HISTORIC}},
    modules=_MODULES,
)

__all__ = [
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
]
