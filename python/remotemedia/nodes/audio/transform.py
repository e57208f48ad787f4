"""A node that changes sample rate and number of channels."""

from __future__ import annotations

from typing import Any

from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.node import Node
from remotemedia.nodes.audio._item import split, with_channels
from remotemedia.nodes.audio.native import AudioResampleNode


class AudioTransform(Node):
    """Converts audio to a sample rate and a number of channels.

    One output channel is the mean of all channels. For more, surplus channels are dropped at the
    end, and missing ones are copies of the last channel.

    Args:
        output_sample_rate: in Hz.
        output_channels: at least 1.
        **kwargs: see `Node`.
    """

    def __init__(
        self, output_sample_rate: int = 44100, output_channels: int = 2, **kwargs: Any
    ) -> None:
        super().__init__(
            **kwargs, output_sample_rate=output_sample_rate, output_channels=output_channels
        )
        if output_sample_rate < 1 or output_channels < 1:
            raise ConfigurationError("output_sample_rate and output_channels must be at least 1")
        self.output_sample_rate = output_sample_rate
        self.output_channels = output_channels
        self._resampler = AudioResampleNode(output_sample_rate)

    def process(self, data: Any, /) -> tuple[Any, ...]:
        """Returns `(samples, sample_rate, ...)`: float32 (channels, samples); other elements
        stay.
        """
        samples, rate, rest = split(data, type(self).__name__)
        samples = with_channels(samples, self.output_channels)
        if rate != self.output_sample_rate:
            samples, rate = self._resampler.process((samples, rate))
        return (samples, rate, *rest)


__all__ = ["AudioTransform"]
