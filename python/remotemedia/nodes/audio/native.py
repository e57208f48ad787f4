"""Audio nodes that exist as native nodes: resampling, voice activity, sample formats.

Audio items are `(array, sample_rate)`, the array float32 of shape (channels, samples) in [-1, 1].
One-dimensional arrays are accepted and come back one-dimensional. docs/native-nodes.md lists what
each node does with NaN, infinities, odd shapes and odd rates.
"""

from __future__ import annotations

import math
from typing import Any

from remotemedia.core.exceptions import ConfigurationError
from remotemedia.nodes._native_backed import NativeBackedNode, one_of, shown

# The same default as the native node's, so that a manifest without parameters finds the same
# segments.
_DEFAULT_THRESHOLD_DB = -30.0
_FORMATS = ("f32", "i16", "i32")


class AudioResampleNode(NativeBackedNode):
    """Changes the sample rate. n samples become round(n * target / input).

    Samples must be finite and at most 1e10, channels 1 to 256, rates 1,000 to 768,000 Hz; anything
    else is a NodeError. So is an output of more than 16 times the samples of its input, when it has
    more than 16 million (one million in lists).

    Args:
        target_sample_rate: in Hz, by default 16,000.
        quality: "low", "medium" or "high".
        runtime_hint: "cpython" runs the node in a worker.
        target_rate: another name of `target_sample_rate`.
        output_rate: another name of `target_sample_rate`.
        input_rate: rate of items without one (bare arrays), in Hz.
        streaming: items are pieces of one recording; the last samples come with the flush.
        **kwargs: see `Node`.
    """

    native_type = "AudioResampleNode"

    def __init__(
        self,
        target_sample_rate: int | None = None,
        quality: str = "high",
        runtime_hint: str = "auto",
        *,
        target_rate: int | None = None,
        output_rate: int | None = None,
        input_rate: int = 48_000,
        streaming: bool = False,
        **kwargs: Any,
    ) -> None:
        self.target_sample_rate: int = one_of(
            {
                "target_sample_rate": target_sample_rate,
                "target_rate": target_rate,
                "output_rate": output_rate,
            },
            16_000,
        )
        self.quality = quality
        self.input_rate = input_rate
        self.streaming = streaming
        super().__init__(runtime_hint=runtime_hint, **kwargs)

    def native_params(self) -> dict[str, Any]:
        """The parameters `target_rate`, `input_rate`, `quality`, `streaming`."""
        return {
            "target_rate": self.target_sample_rate,
            "input_rate": self.input_rate,
            "quality": self.quality,
            "streaming": self.streaming,
        }


class VADNode(NativeBackedNode):
    """Finds speech.

    With `output="tagged"` returns `(audio, sample_rate, info)`, where `info` has `segments`,
    `is_speech`, `speech_frames` and `total_frames`; with `output="segments"` returns only the list
    of segments. A segment is `{"start_ms", "end_ms", "energy_db", "confidence"}`.

    Samples must be finite and at most 1e10, channels 1 to 256, rates 1,000 to 768,000 Hz; anything
    else is a NodeError.

    Args:
        frame_duration_ms: length of a frame, by default 30.
        energy_threshold: RMS above which a frame counts as speech, linear.
        runtime_hint: "cpython" runs the node in a worker.
        threshold: the same threshold in dB relative to full scale (-60 to 0), by default -30.
        frame_length_ms: another name of `frame_duration_ms`.
        sample_rate: rate of items without one (bare arrays), in Hz.
        output: "tagged" or "segments".
        streaming: items are pieces of one recording; a segment of more than ten minutes comes in
            parts.
        **kwargs: as for `Node`.
    """

    native_type = "VADNode"

    def __init__(
        self,
        frame_duration_ms: int | None = None,
        energy_threshold: float | None = None,
        runtime_hint: str = "auto",
        *,
        threshold: float | None = None,
        frame_length_ms: int | None = None,
        sample_rate: int = 16_000,
        output: str = "tagged",
        streaming: bool = False,
        **kwargs: Any,
    ) -> None:
        self.frame_duration_ms: int = one_of(
            {"frame_duration_ms": frame_duration_ms, "frame_length_ms": frame_length_ms}, 30
        )
        self.threshold_db = _threshold_db(energy_threshold, threshold)
        self.sample_rate = sample_rate
        self.output = output
        self.streaming = streaming
        super().__init__(runtime_hint=runtime_hint, **kwargs)

    @property
    def energy_threshold(self) -> float:
        """The threshold as a linear RMS."""
        return float(10 ** (self.threshold_db / 20))

    def native_params(self) -> dict[str, Any]:
        """The parameters `threshold` (dB), `frame_length_ms`, `sample_rate`, `output`,
        `streaming`.
        """
        return {
            "threshold": self.threshold_db,
            "frame_length_ms": self.frame_duration_ms,
            "sample_rate": self.sample_rate,
            "output": self.output,
            "streaming": self.streaming,
        }


class FormatConverterNode(NativeBackedNode):
    """Converts samples between float32, int16 and int32.

    Takes any shape and any sample. Integers are clipped at full scale, NaN becomes 0; float32 keeps
    NaN, infinities and values beyond full scale.

    Args:
        target_format: "f32", "i16" or "i32".
        runtime_hint: "cpython" runs the node in a worker.
        **kwargs: see `Node`.
    """

    native_type = "FormatConverterNode"

    def __init__(
        self, target_format: str = "f32", runtime_hint: str = "auto", **kwargs: Any
    ) -> None:
        if not isinstance(target_format, str) or target_format not in _FORMATS:
            raise ConfigurationError(
                f"target_format must be one of {', '.join(_FORMATS)}, not {shown(target_format)}"
            )
        self.target_format = target_format
        super().__init__(runtime_hint=runtime_hint, **kwargs)

    def native_params(self) -> dict[str, Any]:
        """The parameter `target_format`."""
        return {"target_format": self.target_format}


def _threshold_db(energy_threshold: float | None, threshold: float | None) -> float:
    if energy_threshold is not None and threshold is not None:
        raise ConfigurationError("give energy_threshold (linear) or threshold (dB), not both")
    if energy_threshold is None:
        return _DEFAULT_THRESHOLD_DB if threshold is None else threshold
    try:
        is_level = bool(0 < energy_threshold <= 1)
    except (TypeError, ValueError):
        is_level = False
    if not is_level:
        raise ConfigurationError(
            f"energy_threshold is a linear RMS in (0, 1], not {shown(energy_threshold)}; "
            "decibels go into threshold"
        )
    return 20 * math.log10(energy_threshold)


__all__ = ["AudioResampleNode", "FormatConverterNode", "VADNode"]
