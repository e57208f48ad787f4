"""Reading and writing audio files, and making arrays in the same way on every interpreter.

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
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from remotemedia._load import native

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from remotemedia._waveform import Shown

Samples: TypeAlias = Any
"""An array of numpy or an `AudioView`; `Any` for mypy, which knows only one of the two."""


def read_audio(path: str | os.PathLike[str]) -> tuple[NDArray[np.float32], int]:
    """Read a WAV, AIFF, FLAC, Ogg (Vorbis, Opus), MP3 or M4A file as `(samples, sample_rate)`.

    A file that was cut off or is damaged in places gives what it has, with a `UserWarning` that
    says what is missing.

    Returns:
        float32 samples of shape (channels, samples) in [-1, 1], and the rate in Hz. A file without
        samples gives an array without samples.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not an audio file of these formats, or nothing of it can be read.
    """
    audio: tuple[NDArray[np.float32], int]
    audio, damage = native().read_audio(os.fspath(path))
    for text in damage:
        warnings.warn(text, stacklevel=2)
    return audio


class AudioFile:
    """A WAV file, or a headerless one, that is written piece by piece; a context manager.

    Beyond 4 GiB a WAV file becomes an RF64 file. What was written is there even when the program
    ends before `close`.

    Args:
        path: the file, which is replaced.
        sample_rate: in Hz.
        channels: number of channels.
        sample_format: as FormatConverterNode names it ("i16", "f32"...), or a dtype ("int16").
        raw: whether there is no header; None by the name: `.raw` and `.pcm` have none.

    Raises:
        OSError: the file cannot be written.
        ValueError: the format is unknown.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int,
        sample_format: str = "f32",
        *,
        raw: bool | None = None,
    ) -> None:
        text = os.fspath(path)
        if raw is None:
            raw = text.lower().endswith((".raw", ".pcm"))
            known = (*_WRITTEN, ".raw", ".pcm")
            if "." in os.path.basename(text) and not text.lower().endswith(known):  # noqa: PTH119
                raise ValueError(
                    f"{text}: only WAV and headerless PCM are written; "
                    f"name the file {', '.join(known)}"
                )
        written = _FORMAT_OF.get(sample_format, sample_format)
        self._writer = native().AudioWriter(text, (sample_rate, channels, written, raw))

    def write(self, samples: Samples) -> None:
        """Append samples of shape (samples,) or (channels, samples)."""
        self._writer.write(samples)

    def close(self) -> None:
        """Write what is left, and the sizes into the header."""
        self._writer.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_WRITTEN = (".wav", ".wave", ".rf64", ".bw64")
_FORMAT_OF = {"float32": "f32", "float64": "f64", "int16": "i16", "int32": "i32", "uint8": "u8"}
"""The sample format of a dtype."""


def write_audio(
    path: str | os.PathLike[str],
    audio: Samples | tuple[Samples, int],
    sample_rate: int | None = None,
    *,
    sample_format: str | None = None,
) -> None:
    """Write samples of shape (samples,) or (channels, samples) to a WAV file, which is replaced.

    Args:
        path: the file; `.raw` and `.pcm` are written without a header.
        audio: an array, or `(array, sample_rate)` as `read_audio` gives it.
        sample_rate: in Hz, for an array alone; without it 16,000, with a warning.
        sample_format: "f32", "f64", "i16", "i24", "i32", "u8", "alaw" or "mulaw"; by default that
            of the dtype, so that `read_audio` finds the same samples.

    Raises:
        OSError: the file cannot be written.
        TypeError: `audio` is a file name or no array.
        ValueError: the format, the dtype, the shape or the rate is none that a file can have.
    """
    samples: Any = audio
    if isinstance(audio, tuple | list) and len(audio) == 2:
        samples, sample_rate = audio[0], sample_rate or audio[1]
    if isinstance(samples, str | os.PathLike):
        raise TypeError(f"write_audio needs samples: read them with read_audio({samples!r})")
    if not hasattr(samples, "shape"):
        raise TypeError(f"write_audio needs an array of samples, not {type(samples).__name__}")
    if sample_rate is None:
        sample_rate = ASSUMED_RATE_HZ
        warnings.warn(f"no sample rate was given: {sample_rate} Hz is assumed", stacklevel=2)
    channels = samples.shape[0] if len(samples.shape) == 2 else 1
    with AudioFile(path, sample_rate, channels, sample_format or samples.dtype.name) as file:
        file.write(samples)


def show(audio: Samples | tuple[Samples, int], sample_rate: int | None = None) -> Shown:
    """Audio for a notebook, which shows it as a waveform with a player.

    Args:
        audio: an array of shape (samples,) or (channels, samples), or `(array, sample_rate)`.
        sample_rate: in Hz, for an array alone.

    Raises:
        ValueError: the rate is missing, or the array has more than two axes.
    """
    from remotemedia._waveform import Shown

    samples: Any = audio
    if isinstance(audio, tuple | list) and len(audio) == 2:
        samples, sample_rate = audio[0], sample_rate or audio[1]
    if sample_rate is None:
        raise ValueError("show(array, sample_rate) needs the sample rate")
    return Shown(samples, sample_rate)


ASSUMED_RATE_HZ = 16_000
"""The rate of an array that comes without one, where none is set."""


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
    "ASSUMED_RATE_HZ",
    "AudioFile",
    "Samples",
    "concatenate",
    "empty",
    "from_samples",
    "is_view",
    "read_audio",
    "show",
    "stack",
    "write_audio",
    "zeros",
]
