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
HZ = np.fft.rfftfreq(LENGTH, 1 / RATE)
REGIONS_HZ, LAGS = ((120, 1_000), (1_000, 4_000)), (5, 20)
STEP, EVERY, BACK, AHEAD = 10, 2, 500, 60


def is_within(low: float, high: float) -> NDArray[np.bool_]:
    """Which lines of the spectrum are in a band, in Hz."""
    found: NDArray[np.bool_] = (low <= HZ) & (high > HZ)
    return found


def spectra(samples: Samples) -> Frames:
    """Power of the lines of the spectrum in each 10 ms, through a Hann window of 30 ms."""
    count = len(samples) // HOP
    padded = np.pad(samples, (WINDOW // 2 - HOP // 2, WINDOW))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    framed = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:count]
    power: Frames = np.abs(np.fft.rfft(framed * window, LENGTH, axis=1)) ** 2
    return power * 2 / (window @ window) / LENGTH


def resemblances(power: Frames) -> Frames:
    """Cosines between the amplitudes of a frame and of 5 and 20 frames before, in two regions."""
    found, at = [], np.arange(len(power))
    for lag in LAGS:
        for low, high in REGIONS_HZ:
            amplitudes = np.sqrt(power[:, is_within(low, high)] + 1e-12)
            amplitudes /= np.sqrt(np.square(amplitudes).sum(1))[:, np.newaxis]
            found.append((amplitudes * amplitudes[np.maximum(at - lag, 0)]).sum(1))
    return np.stack(found, 1)


def mean(values: NDArray[Any], reach: int, back: int | None = None) -> Frames:
    """The mean from `reach` frames before, or from `back` before, to `reach` after."""
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, 0, np.float64)])
    at, count = np.arange(len(values)), len(values)
    first = np.maximum(0, at - (reach if back is None else back))
    last = np.minimum(count, at + reach + 1)
    number = (last - first).reshape(-1, *[1] * (values.ndim - 1))
    return (sums[last] - sums[first]) / number


def later(values: Frames, frames: int) -> Frames:
    """The values so many frames later, or the nearest there are."""
    return values[np.clip(np.arange(len(values)) + frames, 0, len(values) - 1)]


def percentiles(values: Frames, *percents: int) -> list[Frames]:
    """Percentiles from 5 s before to 0.6 s after of every second frame, computed every 0.1 s."""
    found = [np.empty(values.shape) for _ in percents]
    for start in range(0, len(values), STEP):
        window = values[max(0, start - BACK) : start + AHEAD : EVERY]
        ranks = [len(window) * percent // 100 for percent in percents]
        parted = np.partition(window, sorted(set(ranks)), axis=0)
        for of_percent, rank in zip(found, ranks, strict=True):
            of_percent[start : start + STEP] = parted[rank]
    return found


def features(samples: Samples, voice: NDArray[Any]) -> Frames:
    """The inputs of the network, of shape (frames, inputs); `voice` has earshot's scores."""
    power = spectra(samples)
    at = np.minimum((np.arange(len(power)) * HOP + HOP // 2) // 256, len(voice) - 1)
    score = np.clip(voice[at], 1e-3, 1 - 1e-3).astype(np.float64)
    odds = np.log(score / (1 - score))
    bands = np.stack([power[:, is_within(a, b)].sum(1) for a, b in pairwise(EDGES_HZ)], 1)
    levels = 10 * np.log10(np.c_[bands.sum(1), bands] + 1e-9)
    smooth = mean(levels, 1)
    floor, loudest = percentiles(smooth, 8, 92)
    above = np.minimum(smooth - floor, 40)
    change = np.abs(smooth - later(smooth, 2))
    wave = (mean(smooth, 5) - mean(smooth, 20))[:, :5]
    texture = resemblances(power)
    spread = np.sqrt(np.maximum(mean(odds**2, 40) - mean(odds, 40) ** 2, 0))
    columns = [
        *(later(odds, -4), odds, later(odds, 4), later(odds, 8)),
        *(mean(odds, 4), mean(odds, 12), mean(odds, 40), mean(odds, 75), spread),
        *above.T,
        loudest[:, 0] - floor[:, 0],
        *(smooth - loudest).T,
        *(mean(above[:, 0], 6), mean(above[:, 0], 25)),
        *(later(above[:, 0], -6), later(above[:, 0], 6)),
        *(levels[:, band] - levels[:, 0] for band in (1, 2, 4, 5)),
        np.maximum(levels[:, 0], -80),
        *mean(change, 15).T,
        *wave.T,
        *mean(np.abs(wave), 40).T,
        *(*mean(texture, 2).T, *mean(texture, 20).T),
        *(smooth - mean(smooth, 75, BACK)).T,
    ]
    return np.stack(columns, 1)
