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
# The lowest threshold that the native node takes in dB; lower ones go to it as a linear RMS.
_LOWEST_DB = -60.0
_FORMATS = ("f32", "f64", "i16", "i24", "i32", "u8", "alaw", "mulaw")


class AudioResampleNode(NativeBackedNode):
    """Changes the sample rate. n samples become round(n * target / input).

    Samples must be finite and at most 1e10, channels 1 to 256, rates 1,000 to 768,000 Hz; anything
    else is a NodeError. So is an output of more than 16 times the samples of its input, when it has
    more than 16 million (one million in lists).

    Args:
        target_sample_rate: in Hz, by default 16,000.
        quality: "low", "medium", "high" or "very_high".
        runtime_hint: "cpython" runs the node in a worker.
        target_rate: another name of `target_sample_rate`.
        output_rate: another name of `target_sample_rate`.
        input_rate: rate of items without one (bare arrays), in Hz; without it 48,000, with a
            warning.
        output_format: "f32", or "i16" for rounded and clipped integers.
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
        input_rate: int | None = None,
        output_format: str = "f32",
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
        self.output_format = output_format
        self.streaming = streaming
        super().__init__(runtime_hint=runtime_hint, **kwargs)

    def native_params(self) -> dict[str, Any]:
        """The parameters `target_rate`, `input_rate`, `quality`, `format`, `streaming`."""
        return {
            "target_rate": self.target_sample_rate,
            "input_rate": self.input_rate,
            "quality": self.quality,
            "format": self.output_format,
            "streaming": self.streaming,
        }


class AudioResampler(AudioResampleNode):
    """`AudioResampleNode` under an old name, with 44,100 Hz as default."""

    native_type = "AudioResampleNode"

    def __init__(self, target_sample_rate: int = 44_100, **kwargs: Any) -> None:
        super().__init__(target_sample_rate, **kwargs)


class VADNode(NativeBackedNode):
    """Finds speech: by its level, by a small neural network, or by both.

    With `output="tagged"` returns `(audio, sample_rate, info)`, where `info` has `segments`,
    `is_speech`, `speech_frames` and `total_frames`; with `output="segments"` returns only the list
    of segments. A segment is `{"start_ms", "end_ms", "energy_db", "confidence"}`.

    Samples must be finite and at most 1e10, channels 1 to 256, rates 1,000 to 768,000 Hz; anything
    else is a NodeError.

    Args:
        frame_duration_ms: length of a frame, by default 30.
        energy_threshold: RMS above which a frame counts as speech, linear; the method is then
            "energy" unless it is given.
        runtime_hint: "cpython" runs the node in a worker.
        method: "auto" (level and network together, the best in noise), "neural" or "energy". By
            default "auto", but "energy" where a threshold is given.
        threshold: the same threshold in dB relative to full scale (-60 to 0), by default -30; above
            0 it is a linear RMS.
        min_score: for "auto" and "neural", the score from 0 to 1 from which a frame is speech; by
            default 0.5 and 0.7.
        min_speech_ms: shorter segments are dropped.
        min_silence_ms: shorter pauses do not split a segment; by default 100 for "auto", 300 for
            "neural" and "energy".
        pre_roll_ms: for "auto" and "neural", how much earlier segments begin.
        hang_over_ms: for "auto" and "neural", how much later segments end.
        frame_length_ms: another name of `frame_duration_ms`.
        sample_rate: rate of items without one (bare arrays), in Hz; without it 16,000, with a
            warning.
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
        method: str | None = None,
        threshold: float | None = None,
        min_score: float | None = None,
        min_speech_ms: int = 90,
        min_silence_ms: int | None = None,
        pre_roll_ms: int = 0,
        hang_over_ms: int = 0,
        frame_length_ms: int | None = None,
        sample_rate: int | None = None,
        output: str = "tagged",
        streaming: bool = False,
        **kwargs: Any,
    ) -> None:
        self.frame_duration_ms: int = one_of(
            {"frame_duration_ms": frame_duration_ms, "frame_length_ms": frame_length_ms}, 30
        )
        self.method = method
        self._by_level = energy_threshold is not None or threshold is not None
        self.threshold_db = _threshold_db(energy_threshold, threshold)
        self._is_in_db = energy_threshold is None
        self.min_score = min_score
        self.min_speech_ms = min_speech_ms
        self.min_silence_ms = min_silence_ms
        self.pre_roll_ms = pre_roll_ms
        self.hang_over_ms = hang_over_ms
        self.sample_rate = sample_rate
        self.output = output
        self.streaming = streaming
        super().__init__(runtime_hint=runtime_hint, **kwargs)

    @property
    def energy_threshold(self) -> float:
        """The threshold as a linear RMS."""
        return float(10 ** (self.threshold_db / 20))

    def native_params(self) -> dict[str, Any]:
        """The parameters by their native names."""
        # A threshold that was given, or changed since, chooses the level.
        by_level = self._by_level or self.threshold_db != _DEFAULT_THRESHOLD_DB
        in_db = self._is_in_db or self.threshold_db >= _LOWEST_DB
        level = self.threshold_db if in_db else self.energy_threshold
        given: dict[str, Any] = {
            "method": self.method or ("energy" if by_level else "auto"),
            "threshold" if in_db else "energy_threshold": level,
            "frame_length_ms": self.frame_duration_ms,
            "sample_rate": self.sample_rate,
            "min_speech_ms": self.min_speech_ms,
            "pre_roll_ms": self.pre_roll_ms,
            "hang_over_ms": self.hang_over_ms,
            "output": self.output,
            "streaming": self.streaming,
        }
        for name in ("min_score", "min_silence_ms"):
            if getattr(self, name) is not None:
                given[name] = getattr(self, name)
        return given


class FormatConverterNode(NativeBackedNode):
    """Converts samples between formats, and channels between planar and interleaved.

    Takes any shape and any sample. Full scale of an integer stands for 1.0: `i / 2**(bits - 1)`,
    for "u8" `(u - 128) / 128`; the way back is rounded to the nearest (of two, the even one) and
    clipped at full scale, and NaN becomes 0. "alaw" and "mulaw" are G.711. Floats keep NaN,
    infinities and values beyond full scale. "f32", "f64", "i16" and "i32" are arrays of these
    dtypes; "u8", "alaw" and "mulaw" are uint8, and so is "i24", with the three bytes of a sample
    along the last axis, the lowest first, as `numpy.ndarray.view` has it.

    Args:
        target_format: "f32", "f64", "i16", "i24", "i32", "u8", "alaw" or "mulaw".
        runtime_hint: "cpython" runs the node in a worker.
        source_format: what the bytes of uint8 arrays are, by default "u8"; bytes that already have
            the target format become its array without a copy.
        layout: "planar" gives (channels, samples), "interleaved" (samples, channels); "keep" leaves
            the shape.
        source_layout: "planar" or "interleaved", the shape of the input.
        dither: "triangular" adds noise before rounding to integers of fewer bits; "none".
        dither_seed: start of that noise.
        **kwargs: see `Node`.
    """

    native_type = "FormatConverterNode"

    def __init__(
        self,
        target_format: str = "f32",
        runtime_hint: str = "auto",
        *,
        source_format: str | None = None,
        layout: str = "keep",
        source_layout: str = "planar",
        dither: str = "none",
        dither_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if isinstance(target_format, str):
            target_format = target_format.lower()
        if not isinstance(target_format, str) or target_format not in _FORMATS:
            raise ConfigurationError(
                f"target_format must be one of {', '.join(_FORMATS)}, not {shown(target_format)}"
            )
        self.target_format = target_format
        self.source_format = source_format
        self.layout = layout
        self.source_layout = source_layout
        self.dither = dither
        self.dither_seed = dither_seed
        super().__init__(runtime_hint=runtime_hint, **kwargs)

    def native_params(self) -> dict[str, Any]:
        """The parameters by their native names."""
        return {
            "target_format": self.target_format,
            "source_format": self.source_format,
            "layout": self.layout,
            "source_layout": self.source_layout,
            "dither": self.dither,
            "dither_seed": self.dither_seed,
        }


def _threshold_db(energy_threshold: float | None, threshold: float | None) -> float:
    if energy_threshold is not None and threshold is not None:
        raise ConfigurationError("give energy_threshold (linear) or threshold (dB), not both")
    if isinstance(threshold, int | float) and 0 < threshold <= 1:
        energy_threshold, threshold = threshold, None
    if energy_threshold is None:
        return _DEFAULT_THRESHOLD_DB if threshold is None else threshold
    try:
        is_level = bool(0 <= energy_threshold <= 1)
    except (TypeError, ValueError):
        is_level = False
    if not is_level:
        raise ConfigurationError(
            f"energy_threshold is a linear RMS from 0 to 1, not {shown(energy_threshold)}; "
            "decibels go into threshold"
        )
    return 20 * math.log10(energy_threshold) if energy_threshold else -math.inf


__all__ = ["AudioResampleNode", "AudioResampler", "FormatConverterNode", "VADNode"]
