"""Reading audio files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from remotemedia._load import native

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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


__all__ = ["read_audio"]
