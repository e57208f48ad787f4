"""Audio nodes. Items are `(array, sample_rate)`: float32 (channels, samples) in [-1, 1]."""

from remotemedia.nodes._shapes import AudioResamplerError as AudioResamplerError
from remotemedia.nodes._shapes import AudioResamplerInput as AudioResamplerInput
from remotemedia.nodes._shapes import AudioResamplerOutput as AudioResamplerOutput
from remotemedia.nodes._shapes import AudioTransformError as AudioTransformError
from remotemedia.nodes._shapes import AudioTransformInput as AudioTransformInput
from remotemedia.nodes._shapes import AudioTransformOutput as AudioTransformOutput
from remotemedia.nodes._shapes import ExtractAudioDataError as ExtractAudioDataError
from remotemedia.nodes._shapes import ExtractAudioDataInput as ExtractAudioDataInput
from remotemedia.nodes._shapes import ExtractAudioDataOutput as ExtractAudioDataOutput
from remotemedia.nodes.audio.detector import VoiceActivityDetector
from remotemedia.nodes.audio.effects import (
    BiquadNode,
    ChunkerNode,
    GainNode,
    LevelMeterNode,
    MelSpectrogramNode,
    MixChannelsNode,
    NoiseSuppressionNode,
    NormalizeNode,
    SilenceTrimNode,
    SplitChannelsNode,
)
from remotemedia.nodes.audio.files import AudioSink, AudioSource
from remotemedia.nodes.audio.native import (
    AudioResampleNode,
    AudioResampler,
    FormatConverterNode,
    VADNode,
)
from remotemedia.nodes.audio.pieces import AudioBuffer, ExtractAudioDataNode
from remotemedia.nodes.audio.transform import AudioTransform

__all__ = [
    "AudioBuffer",
    "AudioResampleNode",
    "AudioResampler",
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
]
