"""Audio nodes. Items are `(array, sample_rate)`: float32 (channels, samples) in [-1, 1]."""

from remotemedia.nodes.audio.detector import VoiceActivityDetector
from remotemedia.nodes.audio.native import AudioResampleNode, FormatConverterNode, VADNode
from remotemedia.nodes.audio.pieces import AudioBuffer, ExtractAudioDataNode
from remotemedia.nodes.audio.transform import AudioTransform

__all__ = [
    "AudioBuffer",
    "AudioResampleNode",
    "AudioTransform",
    "ExtractAudioDataNode",
    "FormatConverterNode",
    "VADNode",
    "VoiceActivityDetector",
]
