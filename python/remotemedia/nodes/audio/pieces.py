"""Taking audio apart: the samples alone, chunks of one length."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.node import Node
from remotemedia.nodes.audio._item import split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ExtractAudioDataNode(Node):
    """`(array, sample_rate)` to the samples alone, as one dimension, channel after channel."""

    def process(self, data: Any, /) -> NDArray[Any]:
        """The samples.

        Raises:
            TypeError: `data` does not begin with an array.
        """
        import numpy as np

        array = data[0] if isinstance(data, tuple) and data else data
        if not isinstance(array, np.ndarray):
            raise TypeError(f"ExtractAudioDataNode takes (array, sample_rate), not {data!r:.80}")
        return array.reshape(-1)


class AudioBuffer(Node):
    """Cuts a stream of audio into chunks of the same length; the last one may be shorter.

    Args:
        buffer_size_samples: samples per channel in a chunk.
        **kwargs: as for `Node`.
    """

    is_streaming = True

    def __init__(self, buffer_size_samples: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if buffer_size_samples < 1:
            raise ConfigurationError("buffer_size_samples must be at least 1")
        self.buffer_size_samples = buffer_size_samples

    async def process(self, data: AsyncIterator[Any], /) -> AsyncIterator[Any]:
        """Chunks `(array (channels, buffer_size_samples), sample_rate)`."""
        import numpy as np

        held: list[NDArray[np.float32]] = []
        length, rate = 0, 0
        async for item in data:
            samples, rate, _ = split(item, type(self).__name__)
            held.append(samples)
            length += samples.shape[1]
            if length >= self.buffer_size_samples:
                joined = np.concatenate(held, axis=1)
                whole = length - length % self.buffer_size_samples
                for start in range(0, whole, self.buffer_size_samples):
                    yield joined[:, start : start + self.buffer_size_samples], rate
                held, length = [joined[:, whole:]], length - whole
        if length:
            yield np.concatenate(held, axis=1), rate


__all__ = ["AudioBuffer", "ExtractAudioDataNode"]
