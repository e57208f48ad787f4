"""What the network of VADNode's method "auto" gets for a frame, computed as in
`nodes/src/builtin/vad/combined.rs`.
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from speech import HOP, RATE, Samples

Frames = NDArray[np.float64]

EDGES_HZ = (120, 500, 1_000, 2_000, 4_000, 8_000)
WINDOW, LENGTH = 480, 512
STEP, BACK, AHEAD = 10, 500, 60


def bands(samples: Samples) -> Frames:
    """Mean power of five bands in each 10 ms, through a Hann window of 30 ms."""
    count = len(samples) // HOP
    padded = np.pad(samples, (WINDOW // 2 - HOP // 2, WINDOW))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    framed = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:count]
    power = np.abs(np.fft.rfft(framed * window, LENGTH, axis=1)) ** 2
    hz = np.fft.rfftfreq(LENGTH, 1 / RATE)
    summed = [power[:, (hz >= low) & (hz < high)].sum(1) for low, high in pairwise(EDGES_HZ)]
    return np.stack(summed, 1) * 2 / (window @ window) / LENGTH


def mean(values: NDArray[Any], reach: int) -> Frames:
    """The mean from `reach` frames before to as many after."""
    sums, count = np.cumsum(np.r_[0.0, values]), len(values)
    at = np.arange(count)
    first, last = np.maximum(0, at - reach), np.minimum(count, at + reach + 1)
    return (sums[last] - sums[first]) / (last - first)


def later(values: Frames, frames: int) -> Frames:
    """The values so many frames later, or the nearest there are."""
    return values[np.clip(np.arange(len(values)) + frames, 0, len(values) - 1)]


def percentile(values: Frames, percent: int) -> Frames:
    """A percentile from 5 s before to 0.6 s after, computed every 0.1 s."""
    found = np.empty(values.shape)
    for start in range(0, len(values), STEP):
        window = np.sort(values[max(0, start - BACK) : start + AHEAD], axis=0)
        found[start : start + STEP] = window[len(window) * percent // 100]
    return found


def features(samples: Samples, voice: NDArray[Any]) -> Frames:
    """The inputs of the network, of shape (frames, inputs); `voice` has earshot's scores."""
    power = bands(samples)
    at = np.minimum((np.arange(len(power)) * HOP + HOP // 2) // 256, len(voice) - 1)
    score = np.clip(voice[at], 1e-3, 1 - 1e-3)
    odds = np.log(score / (1 - score))
    levels = 10 * np.log10(np.c_[power.sum(1), power] + 1e-9)
    smooth = np.stack([mean(levels[:, band], 1) for band in range(levels.shape[1])], 1)
    floor, loudest = percentile(smooth, 8), percentile(smooth, 92)
    above = np.minimum(smooth - floor, 40)
    change = np.abs(smooth[:, 0] - later(smooth[:, 0], 2))
    columns = [
        *(later(odds, -4), odds, later(odds, 4), later(odds, 8)),
        *(mean(odds, 4), mean(odds, 12), mean(odds, 40)),
        *above.T,
        *(loudest[:, 0] - floor[:, 0], smooth[:, 0] - loudest[:, 0]),
        *(mean(above[:, 0], 6), mean(above[:, 0], 25)),
        *(later(above[:, 0], -6), later(above[:, 0], 6)),
        *(levels[:, band] - levels[:, 0] for band in (1, 2, 4, 5)),
        *(np.maximum(levels[:, 0], -80), mean(change, 15)),
    ]
    return np.stack(columns, 1)
