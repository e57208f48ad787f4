"""Audio files, and arrays of samples that are made in the same way on every interpreter.

Where numpy is installed the functions give its arrays, else (on RustPython, for instance) an
`AudioView`. Both are computed with alike::

    from remotemedia import audio

    def process(self, data):
        tone = audio.from_samples(math.sin(n / 8) for n in range(480))
        return audio.concatenate([data, 0.1 * tone])
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from remotemedia._load import native

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remotemedia._audio import AudioView

Samples: TypeAlias = Any
"""An array of numpy or an `AudioView`: for mypy there is only one of them."""


def read_audio(path: str | os.PathLike[str]) -> tuple[NDArray[np.float32], int]:
    """A WAV, AIFF, FLAC, OGG or MP3 file as `(samples, sample_rate)`.

    Returns:
        float32 samples of shape (channels, samples) in [-1, 1], and the rate in Hz.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no audio file of these formats.
    """
    audio: tuple[NDArray[np.float32], int] = native().read_audio(os.fspath(path))
    return audio


def zeros(shape: int | Sequence[int], dtype: str | type = "float32") -> Samples:
    """A new array of this shape, full of zeros."""
    return (_numpy() or _views()).zeros(shape, dtype)


def empty(shape: int | Sequence[int], dtype: str | type = "float32") -> Samples:
    """A new array of this shape, with any contents."""
    return (_numpy() or _views()).empty(shape, dtype)


def from_samples(samples: Iterable[complex], dtype: str | type = "float32") -> Samples:
    """A new array with one axis, of numbers that come one after another, without a list of them."""
    numpy = _numpy()
    if numpy is None:
        return _views()(iter(samples), dtype)
    return numpy.fromiter(samples, dtype)


def concatenate(arrays: Sequence[Samples], axis: int = 0) -> Samples:
    """The arrays one after another along an axis, as a new array.

    Raises:
        ValueError: there are none, or their shapes differ elsewhere.
    """
    if _are_views(arrays):
        return _views().concatenate(arrays, axis)
    return _numpy().concatenate(arrays, axis)


def stack(arrays: Sequence[Samples], axis: int = 0) -> Samples:
    """The arrays side by side along a new axis, as a new array: channels to a frame, for instance.

    Raises:
        ValueError: there are none, or their shapes differ.
    """
    if not _are_views(arrays):
        return _numpy().stack(arrays, axis)
    before = axis if axis >= 0 else axis + len(arrays[0].shape) + 1
    place = (*[slice(None)] * before, None)
    return _views().concatenate([view[place] for view in arrays], axis)


def is_view(value: object) -> bool:
    """Whether it is an `AudioView`."""
    return type(value).__name__ == "AudioView" and type(value).__module__.startswith("remotemedia")


def _are_views(arrays: Sequence[Samples]) -> bool:
    return _numpy() is None or (len(arrays) > 0 and all(map(is_view, arrays)))


def _views() -> type[AudioView]:
    # The package can be imported where the native module is not.
    from remotemedia._audio import AudioView

    return AudioView


def _numpy() -> Any:
    """numpy, or None where there is none."""
    # Only asking for it would make a node on RustPython look as if it needed it.
    if sys.implementation.name != "cpython":
        return None
    try:
        import numpy
    except ImportError:
        return None
    return numpy


__all__ = [
    "Samples",
    "concatenate",
    "empty",
    "from_samples",
    "is_view",
    "read_audio",
    "stack",
    "zeros",
]
