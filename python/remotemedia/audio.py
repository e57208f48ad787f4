"""Reading audio files, and making arrays of samples in the same way on every interpreter.

On CPython the functions return arrays of numpy, on RustPython an `AudioView`. The same code works
with both::

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
"""An array of numpy or an `AudioView`; `Any` for mypy, which knows only one of the two."""


def read_audio(path: str | os.PathLike[str]) -> tuple[NDArray[np.float32], int]:
    """Read a WAV, AIFF, FLAC, OGG or MP3 file as `(samples, sample_rate)`.

    Returns:
        float32 samples of shape (channels, samples) in [-1, 1], and the rate in Hz.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not an audio file of these formats.
    """
    audio: tuple[NDArray[np.float32], int] = native().read_audio(os.fspath(path))
    return audio


def zeros(shape: int | Sequence[int], dtype: str | type = "float32") -> Samples:
    """A new array of this shape, filled with zeros."""
    return _arrays().zeros(shape, dtype)


def empty(shape: int | Sequence[int], dtype: str | type = "float32") -> Samples:
    """A new array of this shape, with arbitrary contents."""
    return _arrays().empty(shape, dtype)


def from_samples(samples: Iterable[complex], dtype: str | type = "float32") -> Samples:
    """A new array with one axis from an iterable of numbers, without making a list of them."""
    arrays = _arrays()
    return arrays(iter(samples), dtype) if _HAS_VIEWS else arrays.fromiter(samples, dtype)


def concatenate(arrays: Sequence[Samples], axis: int = 0) -> Samples:
    """Join arrays along an axis, as a new array.

    Raises:
        ValueError: there are no arrays, or their shapes differ in another axis.
    """
    return _arrays().concatenate(arrays, axis)


def stack(arrays: Sequence[Samples], axis: int = 0) -> Samples:
    """Join arrays along a new axis, as a new array; for instance single channels to a recording.

    Raises:
        ValueError: there are no arrays, or their shapes differ.
    """
    if not _HAS_VIEWS:
        return _arrays().stack(arrays, axis)
    if not arrays:
        raise ValueError("need at least one array to stack")
    before = axis if axis >= 0 else axis + len(arrays[0].shape) + 1
    place = (*[slice(None)] * before, None)
    return _arrays().concatenate([view[place] for view in arrays], axis)


def is_view(value: object) -> bool:
    """Whether a value is an `AudioView` of RustPython."""
    return type(value).__name__ == "AudioView" and type(value).__module__.startswith("remotemedia")


# Decided without trying to import numpy: a failed import would make a node on RustPython look as if
# it needed numpy.
_HAS_VIEWS = sys.implementation.name != "cpython"


def _arrays() -> Any:
    """The object whose functions make arrays: the module numpy, or the class `AudioView`.

    Raises:
        ModuleNotFoundError: this is CPython without numpy.
    """
    # Imported late, because importing this package must not need numpy.
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
