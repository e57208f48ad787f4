"""Native nodes that change, cut and measure audio.

Items are `(array, sample_rate)`, float32 of shape (channels, samples) or (samples,); what each node
does with NaN, odd shapes and odd rates is in docs/native-nodes.md. Every node takes `sample_rate`,
the rate of arrays that come without one (16,000 Hz with a warning).
"""

from __future__ import annotations

from typing import Any, ClassVar

from remotemedia.nodes._native_backed import NativeBackedNode


class _Effect(NativeBackedNode):
    """A node whose attributes have the names of the native parameters; None is not given."""

    parameters: ClassVar[tuple[str, ...]]

    def native_params(self) -> dict[str, Any]:
        """The parameters by their native names."""
        return {name: getattr(self, name) for name in self.parameters}


class GainNode(_Effect):
    """Multiplies samples by 10^(gain_db / 20), without clipping.

    Args:
        gain_db: from -120 to 60.
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.
    """

    native_type = "GainNode"
    parameters = ("gain_db", "sample_rate")

    def __init__(
        self, gain_db: float = 0.0, *, sample_rate: int | None = None, **kwargs: Any
    ) -> None:
        self.gain_db = gain_db
        self.sample_rate = sample_rate
        super().__init__(**kwargs)


class NormalizeNode(_Effect):
    """Gives each item, a complete recording, a level. Silence stays silence.

    Args:
        mode: "peak" (the largest sample), "rms", or "loudness" (integrated, EBU R128).
        target: the level: dBFS for "peak" (by default -1) and "rms" (-20), LUFS for "loudness"
            (-23).
        max_peak: the gain is reduced so that no sample exceeds this peak, in dBFS.
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.
    """

    native_type = "NormalizeNode"
    parameters = ("mode", "target", "max_peak", "sample_rate")

    def __init__(
        self,
        mode: str = "peak",
        target: float | None = None,
        *,
        max_peak: float = 0.0,
        sample_rate: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.mode = mode
        self.target = target
        self.max_peak = max_peak
        self.sample_rate = sample_rate
        super().__init__(**kwargs)


class MixChannelsNode(_Effect):
    """Changes the number of channels.

    Args:
        channels: 1 gives the mean of all; for more, channels are dropped at the end, or the last
            one is repeated.
        **kwargs: see `Node`.
    """

    native_type = "MixChannelsNode"
    parameters = ("channels",)

    def __init__(self, channels: int = 1, **kwargs: Any) -> None:
        self.channels = channels
        super().__init__(**kwargs)


class SplitChannelsNode(_Effect):
    """Gives each channel as an item of its own, or only one of them.

    Args:
        channel: number of the only channel, from 0; -1 gives all.
        **kwargs: see `Node`.
    """

    native_type = "SplitChannelsNode"
    parameters = ("channel",)

    def __init__(self, channel: int = -1, **kwargs: Any) -> None:
        self.channel = channel
        super().__init__(**kwargs)


class BiquadNode(_Effect):
    """A filter of second order, by R. Bristow-Johnson's cookbook formulas.

    Args:
        kind: "highpass", "lowpass" or "notch".
        frequency: in Hz, below half the sample rate.
        q: sharpness; 0.7071 is flat.
        streaming: items are pieces of one recording.
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.
    """

    native_type = "BiquadNode"
    parameters = ("kind", "frequency", "q", "streaming", "sample_rate")

    def __init__(
        self,
        kind: str = "highpass",
        frequency: float = 80.0,
        q: float = 0.5**0.5,
        *,
        streaming: bool = False,
        sample_rate: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.kind = kind
        self.frequency = frequency
        self.q = q
        self.streaming = streaming
        self.sample_rate = sample_rate
        super().__init__(**kwargs)


class ChunkerNode(_Effect):
    """Cuts audio into chunks of one length; each is an output.

    Args:
        chunk_ms: length of a chunk, by default 20.
        overlap_ms: how much of a chunk the next one begins with, at most 15/16 of it.
        chunk_samples: the length in samples instead.
        overlap_samples: the overlap in samples instead.
        tail: the last chunk is "short", padded with zeros ("pad"), or left out ("drop").
        streaming: items are pieces of one recording.
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.
    """

    native_type = "ChunkerNode"
    parameters = (
        "chunk_ms",
        "overlap_ms",
        "chunk_samples",
        "overlap_samples",
        "tail",
        "streaming",
        "sample_rate",
    )

    def __init__(
        self,
        chunk_ms: float | None = None,
        overlap_ms: float | None = None,
        *,
        chunk_samples: int | None = None,
        overlap_samples: int | None = None,
        tail: str = "short",
        streaming: bool = False,
        sample_rate: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.chunk_ms = chunk_ms
        self.overlap_ms = overlap_ms
        self.chunk_samples = chunk_samples
        self.overlap_samples = overlap_samples
        self.tail = tail
        self.streaming = streaming
        self.sample_rate = sample_rate
        super().__init__(**kwargs)


class SilenceTrimNode(_Effect):
    """Removes silence from the beginning and the end of each item, a complete recording.

    Args:
        threshold: 10 ms are sound when their RMS in any channel is above this, in dBFS.
        keep_ms: how much silence stays before and after the sound.
        ends: "both", "start" or "end".
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.
    """

    native_type = "SilenceTrimNode"
    parameters = ("threshold", "keep_ms", "ends", "sample_rate")

    def __init__(
        self,
        threshold: float = -50.0,
        *,
        keep_ms: int = 0,
        ends: str = "both",
        sample_rate: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.threshold = threshold
        self.keep_ms = keep_ms
        self.ends = ends
        self.sample_rate = sample_rate
        super().__init__(**kwargs)


class LevelMeterNode(_Effect):
    """Measures each item, and gives a dict instead of it.

    `peak_db` and `rms_db` (dBFS, at least -120), the same by channel as lists (`channel_peak_db`,
    `channel_rms_db`), `loudness_lufs` (integrated, EBU R128; None below 0.4 s and for silence), and
    `clipped_samples`, those at or beyond full scale.

    Args:
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.
    """

    native_type = "LevelMeterNode"
    parameters = ("sample_rate",)

    def __init__(self, *, sample_rate: int | None = None, **kwargs: Any) -> None:
        self.sample_rate = sample_rate
        super().__init__(**kwargs)


class MelSpectrogramNode(_Effect):
    """Energy in mel bands: float32 of shape (channels, n_mels, frames), or (n_mels, frames).

    With `preset="librosa"` the values are those of `librosa.feature.melspectrogram`, with
    `preset="whisper"` those of Whisper's `log_mel_spectrogram`; the other parameters change single
    settings.

    Args:
        preset: "librosa" or "whisper".
        n_fft: samples of a frame.
        hop_length: samples from one frame to the next.
        n_mels: number of bands.
        fmin: where the lowest band begins, in Hz.
        fmax: where the highest band ends, in Hz; at most, and by default, half of the sample rate.
        scale: "power", "magnitude", "db" (librosa's `power_to_db`), "whisper", or "preset".
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.
    """

    native_type = "MelSpectrogramNode"
    parameters = (
        "preset",
        "n_fft",
        "hop_length",
        "n_mels",
        "fmin",
        "fmax",
        "scale",
        "sample_rate",
    )

    def __init__(
        self,
        preset: str = "librosa",
        *,
        n_fft: int | None = None,
        hop_length: int | None = None,
        n_mels: int | None = None,
        fmin: float = 0.0,
        fmax: float | None = None,
        scale: str = "preset",
        sample_rate: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.preset = preset
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mels = n_mels
        self.fmin = fmin
        self.fmax = fmax
        self.scale = scale
        self.sample_rate = sample_rate
        super().__init__(**kwargs)


class NoiseSuppressionNode(_Effect):
    """Removes noise from speech with RNNoise.

    It works at 48 kHz; other rates are converted there and back. Nothing is delayed; samples beyond
    full scale are clipped.

    Args:
        streaming: items are pieces of one recording.
        sample_rate: rate of arrays that come without one, in Hz.
        **kwargs: see `Node`.
    """

    native_type = "NoiseSuppressionNode"
    parameters = ("streaming", "sample_rate")

    def __init__(
        self, *, streaming: bool = False, sample_rate: int | None = None, **kwargs: Any
    ) -> None:
        self.streaming = streaming
        self.sample_rate = sample_rate
        super().__init__(**kwargs)


__all__ = [
    "BiquadNode",
    "ChunkerNode",
    "GainNode",
    "LevelMeterNode",
    "MelSpectrogramNode",
    "MixChannelsNode",
    "NoiseSuppressionNode",
    "NormalizeNode",
    "SilenceTrimNode",
    "SplitChannelsNode",
]
