"""Stand-ins for outputs that are late, so that a listener hears no gap.

A frame of samples is concealed by the frame before it, played backwards: it begins at the sample at
which that frame ended, so there is no click. It fades out linearly, and further frames in a row
continue the fade: after `FADE_FRAMES` there is silence. Anything that is no array of numbers is
repeated as it is.
"""

from __future__ import annotations

import sys
from typing import Any

from remotemedia.core.outputs import Pairs

FADE_FRAMES = 3
"""Number of concealed frames in a row over which the sound fades to silence."""


class Concealment:
    """The outputs of the last item that was in time."""

    def __init__(self) -> None:
        self._last: Pairs = []
        self._frames = 0

    def completed(self, pairs: Pairs, is_done: bool) -> Pairs:
        """The outputs of an item, with stand-ins if it is late and has none."""
        if is_done or pairs:
            self._last = pairs
            self._frames = 0
            return pairs
        concealed = [(sink, stand_in(value, self._frames)) for sink, value in self._last]
        self._frames += 1
        return concealed


def stand_in(value: Any, frames_before: int) -> Any:
    """A stand-in for the output that comes after `value`.

    Args:
        value: the last output that was in time. Samples are along the last axis, or along the
            first one if that is longer (frames, channels).
        frames_before: number of frames in a row that were concealed before.
    """
    np = sys.modules.get("numpy")
    if np is None or not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        return value
    if value.size == 0:
        return value
    axis = 0 if value.ndim > 1 and value.shape[0] > value.shape[-1] else -1
    count = value.shape[axis]
    # A frame at an even place is played backwards, one at an odd place forwards again.
    order = slice(None, None, -1) if frames_before % 2 == 0 else slice(None)
    frames = value[order] if axis == 0 else value[..., order]
    position = (frames_before + np.arange(count) / count) / FADE_FRAMES
    gain = np.clip(1.0 - position, 0.0, 1.0)
    shape = [1] * value.ndim
    shape[axis] = count
    # Unsigned samples have their zero in the middle of their range.
    middle = 0 if value.dtype.kind != "u" else (np.iinfo(value.dtype).max + 1) // 2
    samples = frames if value.dtype.kind == "f" else frames.astype(np.float64) - middle
    return (samples * gain.reshape(shape) + middle).astype(value.dtype)


__all__ = ["FADE_FRAMES", "Concealment", "stand_in"]
