"""Nodes that extract samples from audio items, or cut audio into chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.node import Node
from remotemedia.nodes.audio._item import Samples, is_array, joined, split_raw


class ExtractAudioDataNode(Node):
    """Turns `(array, sample_rate)` into a one-dimensional array, channel after channel."""

    def process(self, data: Any, /) -> Samples:
        """The samples of an audio item.

        Raises:
            TypeError: `data` is neither an array nor a tuple that begins with one.
        """
        array = data[0] if isinstance(data, tuple | list) and data else data
        if not is_array(array):
            raise TypeError(f"ExtractAudioDataNode takes (array, sample_rate), not {data!r:.80}")
        return array.reshape(-1)


class AudioBuffer(Node):
    """Cuts a stream of audio into chunks of the same length; the last one may be shorter, and so
    may one before the sample rate, the dtype or the number of channels changes.

    Args:
        buffer_size_samples: samples per channel in a chunk.
        **kwargs: see `Node`.
    """

    is_streaming = True

    def __init__(self, buffer_size_samples: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if buffer_size_samples < 1:
            raise ConfigurationError("buffer_size_samples must be at least 1")
        self.buffer_size_samples = buffer_size_samples

    async def process(self, data: AsyncIterator[Any], /) -> AsyncIterator[Any]:
        """Yield chunks `(array (channels, buffer_size_samples), sample_rate)`."""
        held: list[Samples] = []
        length, rate = 0, 0
        async for item in data:
            samples, of_item, _ = split_raw(item, type(self).__name__)
            if length and (rate != of_item or not _is_alike(held[0], samples)):
                yield joined(held), rate
                held, length = [], 0
            rate = of_item
            held.append(samples)
            length += samples.shape[1]
            if length >= self.buffer_size_samples:
                whole = joined(held)
                full = length - length % self.buffer_size_samples
                for start in range(0, full, self.buffer_size_samples):
                    yield whole[:, start : start + self.buffer_size_samples], rate
                held, length = [whole[:, full:]], length - full
        if length:
            yield joined(held), rate


def _is_alike(a: Samples, b: Samples) -> bool:
    return bool(a.dtype == b.dtype and a.shape[0] == b.shape[0])


__all__ = ["AudioBuffer", "ExtractAudioDataNode"]
