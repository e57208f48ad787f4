"""Noises for the training in `vad_train.py`: those of `speech.py` with more music, and more kinds.

Music comes from games in Debian (singularity-music, wesnoth-1.16-music, neverball-data,
glob2-data), from the tracks of "train" in `speech.py`, and is made here; some is held out, to tune
with (frozen-bubble-data, lincity-ng-data, planetblupi-music-ogg). What is missing is left out.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from speech import (
    MUSIC,
    NOISES,
    RATE,
    TRAIN_TRACKS,
    Samples,
    babble,
    decoded,
    hum,
    rms,
    steady,
    track,
)
from vad_voices import FITTED, HELD_OUT, any_recording, paths

MORE_NOISES = ("brown", "fan", "band", "clicks", "tones", "any hum")
# Folders and names of music.
GAMES = {
    "fitted": (
        "/usr/share/games/singularity/music/**/*.ogg",
        "/usr/share/games/wesnoth/*/data/core/music/*.ogg",
        "/usr/share/games/neverball/bgm/*.ogg",
        "/usr/share/games/glob2/data/zik/*.ogg",
    ),
    "held out": (
        "/usr/share/planetblupi/music/*.ogg",
        "/usr/share/games/lincity-ng/music/**/*.ogg",
        "/usr/share/games/frozen-bubble/snd/*.ogg",
    ),
}
VOICES_OF = {"fitted": FITTED, "held out": HELD_OUT}
TRACK_S = 150


def disturbance(generator: np.random.Generator, count: int, kind: str, part: str) -> Samples:
    """Noise of a kind with an RMS level of 1; `part` is "fitted" or "held out"."""
    seeded = generator
    if kind in NOISES:
        seeded = np.random.default_rng(int(generator.integers(1 << 30)))
    if kind == "babble":
        made = babble(seeded, count, VOICES_OF[part], any_recording)
    elif kind == "music":
        made = any_music(seeded, count, part)
    elif kind in ("any hum", "hum"):
        made = any_hum(seeded, count) if kind == "any hum" else hum(seeded, count)
    elif kind in ("white", "pink"):
        made = steady(seeded, count, kind)
    elif kind in ("clicks", "tones"):
        made = eventful(seeded, count, kind)
    else:
        made = coloured(seeded, count, kind)
    return (made / rms(made)).astype(np.float32)


def any_music(generator: np.random.Generator, count: int, part: str) -> NDArray[np.float64]:
    """A fifth of it made here, a fifth from the tracks of `speech.py`, the rest from games."""
    tracks = sorted(MUSIC.glob("*.g722"))[:TRAIN_TRACKS]
    dice = generator.random()
    if part == "fitted" and dice < 0.2:
        return tune(generator, count)
    if dice < (0.4 if part == "fitted" else 0.25) and tracks:
        return part_of(generator, track(tracks[0 if part == "fitted" else -1]), count)
    games = [found for found in map(music_files, GAMES[part]) if found]
    if not games:
        return tune(generator, count)
    files = games[generator.integers(len(games))]
    return part_of(generator, beginning(files[generator.integers(len(files))]), count)


@cache
def music_files(pattern: str) -> list[Path]:
    """The files of a pattern that are no mere sounds."""
    return [path for path in paths(pattern) if path.stat().st_size > 200_000]


@cache
def beginning(path: Path) -> Samples:
    """The first minutes of a track."""
    return decoded(path, "-t", str(TRACK_S))


def part_of(generator: np.random.Generator, samples: Samples, count: int) -> NDArray[np.float64]:
    """A part of a track that is not silent."""
    for _ in range(10):
        start = int(generator.integers(max(1, len(samples) - count)))
        part = np.resize(samples[start : start + count], count)
        if rms(part) > 0.01:
            break
    return part.astype(np.float64)


def tone(generator: np.random.Generator, hz: float, count: int, kind: str) -> NDArray[np.float64]:
    """A note: plucked, bowed with vibrato, or blown."""
    times = np.arange(count) / RATE
    wobble = 0.0 if kind == "plucked" else generator.uniform(0, 0.012)
    phase = 2 * np.pi * hz * times
    phase += wobble * hz / 5.5 * np.sin(2 * np.pi * 5.5 * times + generator.uniform(0, 6))
    tilt = generator.uniform(0.6, 2.2)
    made = np.zeros(count)
    for n in range(1, max(2, min(24, int(7_500 / hz)))):
        fade = np.exp(-times * n * 0.9) if kind == "plucked" else 1.0
        odd = 0.2 if kind == "blown" and n % 2 == 0 else 1.0
        made += odd / n**tilt * fade * np.sin(phase * n)
    attack = 0.004 if kind == "plucked" else 0.05
    return made * np.minimum(1, times / attack) * np.minimum(1, (count / RATE - times) / 0.03)


def tune(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """A melody over chords, with or without drums and bass."""
    made = np.zeros(count)
    beat = int(RATE * generator.uniform(0.25, 0.7))
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16])
    base = 110 * 2 ** (generator.integers(12) / 12)
    kinds = [str(kind) for kind in generator.choice(["plucked", "bowed", "blown"], 3)]
    loud = generator.uniform(0.1, 1, 3)
    has_drums = generator.random() < 0.5
    for start in range(0, count - 1, beat):
        root = int(generator.integers(5))
        length = min(beat, count - start)
        for step in (0, 2, 4):
            hz = base * 2 ** (scale[root + step] / 12)
            made[start : start + length] += loud[0] * tone(generator, hz, length, kinds[0])
        low = base / 2 * 2 ** (scale[root] / 12)
        made[start : start + length] += loud[1] * tone(generator, low, length, kinds[1])
        parts = int(generator.choice([1, 2, 3, 4]))
        for first, last in pairwise(np.linspace(0, length, parts + 1).astype(int)):
            hz = 2 * base * 2 ** (scale[generator.integers(len(scale))] / 12)
            note = tone(generator, hz, int(last - first), kinds[2])
            made[start + first : start + last] += 1.5 * loud[2] * note
            if has_drums:
                fade = np.exp(-np.arange(last - first) / RATE * generator.choice([20, 60]))
                hit = fade * generator.standard_normal(last - first)
                made[start + first : start + last] += generator.uniform(0.1, 1.5) * hit
    return made


def coloured(generator: np.random.Generator, count: int, kind: str) -> NDArray[np.float64]:
    """Noise with a spectrum: falling steeply, falling less and swelling, or one band."""
    spectrum = np.fft.rfft(generator.standard_normal(count))
    line = np.maximum(np.arange(len(spectrum)), 1)
    if kind == "band":
        hz = np.fft.rfftfreq(count, 1 / RATE)
        centre = np.exp(generator.uniform(np.log(150), np.log(5_000)))
        outside = (hz < centre / generator.uniform(1.2, 3)) | (
            hz > centre * generator.uniform(1.2, 3)
        )
        spectrum[outside] *= 0.05
        return np.fft.irfft(spectrum, count)
    if kind == "brown":
        return np.fft.irfft(spectrum / line, count)
    swell = np.sin(2 * np.pi * generator.uniform(0.2, 8) * np.arange(count) / RATE)
    made = np.fft.irfft(spectrum / line ** generator.uniform(0.2, 0.9), count)
    return made * (1 + generator.uniform(0, 0.6) * swell)


def eventful(generator: np.random.Generator, count: int, kind: str) -> NDArray[np.float64]:
    """A little noise with clicks or with tones in it."""
    made: NDArray[np.float64] = 0.03 * generator.standard_normal(count)
    for _ in range(3 * count // RATE):
        length = int(
            generator.integers(20, 1_500) if kind == "clicks" else generator.integers(800, 8_000)
        )
        start = int(generator.integers(count - 8_000))
        fade = np.exp(-np.arange(length) / (length / 4))
        if kind == "clicks":
            event = generator.standard_normal(length) * generator.uniform(0.5, 3)
        else:
            turn = 2 * np.pi * generator.uniform(150, 3_000) * np.arange(length) / RATE
            parts = int(generator.integers(2, 8))
            event = sum((np.sin(turn * n) / n for n in range(1, parts)), np.zeros(length))
        made[start : start + length] += fade * event
    return made


def any_hum(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """A hum of any pitch and any number of harmonics."""
    times, base = np.arange(count) / RATE, generator.uniform(40, 130)
    made: NDArray[np.float64] = generator.uniform(0.003, 0.05) * generator.standard_normal(count)
    tilt = generator.uniform(0.3, 1.5)
    for n in range(1, int(generator.integers(4, 40))):
        turn = 2 * np.pi * base * n * times + generator.uniform(0, 2 * np.pi)
        made += generator.uniform(0.2, 1) / n**tilt * np.sin(turn)
    return made
