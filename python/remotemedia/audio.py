"""Audio files, and arrays of samples that are made in the same way on every interpreter.

On CPython the functions give arrays of numpy, on RustPython an `AudioView`. Both are computed with
alike::

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
    return _arrays().zeros(shape, dtype)


def empty(shape: int | Sequence[int], dtype: str | type = "float32") -> Samples:
    """A new array of this shape, with any contents."""
    return _arrays().empty(shape, dtype)


def from_samples(samples: Iterable[complex], dtype: str | type = "float32") -> Samples:
    """A new array with one axis, of numbers that come one after another, without a list of them."""
    arrays = _arrays()
    return arrays(iter(samples), dtype) if _HAS_VIEWS else arrays.fromiter(samples, dtype)


def concatenate(arrays: Sequence[Samples], axis: int = 0) -> Samples:
    """The arrays one after another along an axis, as a new array.

    Raises:
        ValueError: there are none, or their shapes differ elsewhere.
    """
    return _arrays().concatenate(arrays, axis)


def stack(arrays: Sequence[Samples], axis: int = 0) -> Samples:
    """The arrays side by side along a new axis, as a new array: channels to a frame, for instance.

    Raises:
        ValueError: there are none, or their shapes differ.
    """
    if not _HAS_VIEWS:
        return _arrays().stack(arrays, axis)
    if not arrays:
        raise ValueError("need at least one array to stack")
    before = axis if axis >= 0 else axis + len(arrays[0].shape) + 1
    place = (*[slice(None)] * before, None)
    return _arrays().concatenate([view[place] for view in arrays], axis)


def is_view(value: object) -> bool:
    """Whether it is an `AudioView` of RustPython."""
    return type(value).__name__ == "AudioView" and type(value).__module__.startswith("remotemedia")


# Trying to import numpy would make a node on RustPython look as if it needed it.
_HAS_VIEWS = sys.implementation.name != "cpython"


def _arrays() -> Any:
    """What makes arrays here: numpy, or the class of views.

    Raises:
        ModuleNotFoundError: this is CPython, without numpy.
    """
    # Not at the top: the package can be imported without either.
    from remotemedia import _audio

    return _audio.AudioView if _HAS_VIEWS else _audio.numpy


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
