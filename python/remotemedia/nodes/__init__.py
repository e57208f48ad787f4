"""The nodes that come with the package. Importing them does not import numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia._lazy import lazy_attributes

if TYPE_CHECKING:
    from remotemedia.nodes.audio import (
        AudioBuffer,
        AudioResampleNode,
        AudioTransform,
        ExtractAudioDataNode,
        FormatConverterNode,
        VADNode,
        VoiceActivityDetector,
    )
    from remotemedia.nodes.base import BufferNode, PassThroughNode
    from remotemedia.nodes.calculator import CalculatorNode
    from remotemedia.nodes.custom import StatefulCounter
    from remotemedia.nodes.io_nodes import DataSinkNode, DataSourceNode
    from remotemedia.nodes.simple_math import AddNode, MultiplyNode
    from remotemedia.nodes.text_processor import TextProcessorNode
    from remotemedia.nodes.transform import TextTransformNode

HOMES = {
    "remotemedia.nodes.audio": (
        "AudioBuffer",
        "AudioResampleNode",
        "AudioTransform",
        "ExtractAudioDataNode",
        "FormatConverterNode",
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

__getattr__, __dir__ = lazy_attributes(__name__, HOMES)

__all__ = [
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
]
