"""Changing rate and channels of audio at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.node import Node
from remotemedia.nodes.audio._item import split
from remotemedia.nodes.audio.native import AudioResampleNode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class AudioTransform(Node):
    """Brings audio to a sample rate and a number of channels.

    To one channel it takes the mean of all; from one it repeats it; else it drops the last
    channels, or repeats the last one.

    Args:
        output_sample_rate: in Hz.
        output_channels: at least 1.
        **kwargs: as for `Node`.
    """

    def __init__(
        self, output_sample_rate: int = 44100, output_channels: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if output_sample_rate < 1 or output_channels < 1:
            raise ConfigurationError("output_sample_rate and output_channels must be at least 1")
        self.output_sample_rate = output_sample_rate
        self.output_channels = output_channels
        self._resampler = AudioResampleNode(output_sample_rate)

    def process(self, data: Any, /) -> tuple[Any, ...]:
        """`(samples, sample_rate, ...)`: float32 (channels, samples); further elements stay."""
        samples, rate, rest = split(data, type(self).__name__)
        samples = _with_channels(samples, self.output_channels)
        if rate != self.output_sample_rate:
            samples, rate = self._resampler.process((samples, rate))
        return (samples, rate, *rest)


def _with_channels(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    import numpy as np

    have = samples.shape[0]
    if have == channels:
        return samples
    if channels == 1:
        mono: NDArray[np.float32] = samples.mean(axis=0, keepdims=True, dtype=np.float32)
        return mono
    chosen: NDArray[np.float32] = samples[np.minimum(np.arange(channels), have - 1)]
    return chosen


__all__ = ["AudioTransform"]
