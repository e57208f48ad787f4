"""Helpers for audio items `(array, sample_rate[, metadata...])`, array (channels, samples).

Arrays are numpy's, on RustPython `AudioView`s. Both lead to the same results, within the rounding
of float32 sums.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from remotemedia.audio import Samples, concatenate, is_view

_FULL_SCALE = {"int16": 1 << 15, "int32": 1 << 31}


def is_array(value: Any) -> bool:
    """Whether a value is an array of numpy or an `AudioView`."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return True
    return is_view(value)


def split(item: Any, taker: str) -> tuple[Samples, int, tuple[Any, ...]]:
    """Split an audio item into `(samples, sample_rate, rest)`.

    The samples are float32 of shape (channels, samples), the rate is in Hz. Integer samples are
    scaled to [-1, 1). A one-dimensional array becomes one channel. A list is taken like a tuple,
    and a dict `{"data" or "audio_data", "sample_rate"}` like a pair.

    Raises:
        TypeError: `item` is not an audio item; the message names `taker`.
    """
    samples, rate, rest = split_raw(item, taker)
    return _as_float(samples), rate, rest


def split_raw(item: Any, taker: str) -> tuple[Samples, int, tuple[Any, ...]]:
    """Like `split`, but the samples keep their dtype."""
    if isinstance(item, str):
        raise TypeError(f"{taker} takes audio: read the file with read_audio({item!r:.80})")
    parts = _of_dict(item) if isinstance(item, dict) else item
    if not (
        isinstance(parts, tuple | list)
        and len(parts) >= 2
        and is_array(parts[0])
        and parts[0].ndim in (1, 2)
        and _is_whole(parts[1])
    ):
        raise TypeError(
            f"{taker} takes (array, sample_rate) with an array of shape (channels, samples), "
            f"not {type(item).__name__}"
        )
    samples = parts[0] if parts[0].ndim == 2 else parts[0].reshape(1, -1)
    return samples, int(parts[1]), tuple(parts[2:])


def _of_dict(item: dict[str, Any]) -> tuple[Any, ...]:
    """The pair in a dict `{"data" or "audio_data": array, "sample_rate"}`."""
    return item.get("data", item.get("audio_data")), item.get("sample_rate")


def _is_whole(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return isinstance(value, int) or (numpy is not None and isinstance(value, numpy.integer))


def _as_float(samples: Samples) -> Samples:
    if isinstance(samples.dtype, str):  # a view
        if samples.dtype == "float32":
            return samples
        scale = _FULL_SCALE.get(samples.dtype, 1)
        return samples.astype("float32").scale(1 / scale)
    import numpy as np

    if np.issubdtype(samples.dtype, np.integer):
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min or -1)
    return samples.astype(np.float32, copy=False)


def joined(pieces: Sequence[Samples]) -> Samples:
    """Join pieces of audio in time, as one array."""
    return concatenate(pieces, axis=1)


def mono(samples: Samples) -> Samples:
    """The mean of all channels, shape (1, samples)."""
    return samples.mean(axis=0, keepdims=True)


def with_channels(samples: Samples, channels: int) -> Samples:
    """Change the number of channels. One channel is the mean of all; otherwise channels are dropped
    at the end, or the last channel is repeated.
    """
    have = samples.shape[0]
    if have == channels:
        return samples
    if channels == 1:
        return mono(samples)
    return concatenate([samples[:channels], *[samples[-1:]] * (channels - have)])


def frame_rms(samples: Samples, length: int) -> list[float]:
    """The RMS of each frame of `length` samples, over the mean of all channels; the last frame may
    be shorter.
    """
    if not isinstance(samples.dtype, str):
        import numpy as np

        means = samples.mean(axis=0, dtype=np.float64)
        if means.size == 0:
            return []
        starts = np.arange(0, means.size, length)
        counts = np.diff(np.append(starts, means.size))
        energies: list[float] = np.sqrt(np.add.reduceat(means**2, starts) / counts).tolist()
        return energies
    row = mono(samples)[0]
    size = samples.shape[1]
    return [row[at : min(at + length, size)].rms() for at in range(0, size, length)]


__all__ = [
    "Samples",
    "frame_rms",
    "is_array",
    "joined",
    "mono",
    "split",
    "split_raw",
    "with_channels",
]
