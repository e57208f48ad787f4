"""Make ``speech_48k.flac`` and the table of its phrases, ``speech_48k.json``.

Needs numpy, espeak-ng and sox (with FLAC). Each phrase is spoken by espeak-ng, trimmed to what is
audible, brought to one level and placed at a chosen time over a bed of quiet noise. The table
thus holds the true times: nothing of a phrase lies outside its start and end.

    python make_speech.py [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

RATE_HZ = 48_000
SAMPLES_PER_MS = RATE_HZ // 1000
SEED = 48_016
SPEECH_DBFS = -20.0
NOISE_DBFS = -53.0
NOISE_LOWEST_HZ = 40.0
# A phrase starts and ends where its level in steps of this length passes this level.
TRIM_STEP_MS = 5
TRIM_DBFS = -48.0
# A soft end falls by this much: espeak-ng itself stops short at full level.
SOFT_END_DB = 12.0
# Steps this far below a phrase's loudest do not count towards its level.
ACTIVE_RANGE_DB = 25.0
HUM_DBFS = -46.0
HUM_HZ = (100.0, 200.0, 300.0)
CLICK_DBFS = -44.0
CLICK_MS = 10
LARGEST_FILE_BYTES = 1_000_000


@dataclass(frozen=True)
class Phrase:
    """One phrase: text, espeak-ng voice and speed, pause before it, length of its soft end (ms)."""

    text: str
    voice: str
    words_per_minute: int
    pause_before_ms: int
    soft_end_ms: int = 0


# The second, third and last phrase start with a soft fricative and end softly.
PHRASES = (
    Phrase("This recording runs through a pipeline.", "en-us+m3", 165, 500),
    Phrase("Soft sounds fade slowly.", "en-gb+f2", 150, 650, 150),
    Phrase("Four of them form a graph.", "en-us+m3", 155, 480),
    Phrase("Every phrase has a known start.", "en-gb+f2", 160, 1300),
    Phrase("She reads less.", "en-us+m3", 145, 900, 80),
)
TAIL_MS = 650
# Sounds that are not speech: a hum in the longest pause and a click in the last one.
HUM_START_MS_INTO_PAUSE, HUM_PAUSE, HUM_LENGTH_MS = 500, 3, 400
CLICK_START_MS_INTO_PAUSE, CLICK_PAUSE = 450, 4


def level_db(samples: FloatArray) -> float:
    """RMS level in dBFS (0 dB: RMS 1.0)."""
    return 10.0 * float(np.log10(max(float(np.mean(samples**2)), 1e-12)))


def at_level(samples: FloatArray, level_dbfs: float) -> FloatArray:
    """Scale the samples to an RMS level in dBFS."""
    gain = float(10.0 ** ((level_dbfs - level_db(samples)) / 20.0))
    return samples * gain


def step_levels(samples: FloatArray) -> FloatArray:
    """Levels (dBFS) of the whole steps of ``TRIM_STEP_MS``."""
    width = TRIM_STEP_MS * SAMPLES_PER_MS
    steps = samples[: len(samples) // width * width].reshape(-1, width)
    power: FloatArray = np.mean(steps**2, axis=1)
    return np.asarray(10.0 * np.log10(np.maximum(power, 1e-12)), dtype=np.float64)


def trimmed(samples: FloatArray) -> FloatArray:
    """Drop the steps before the first and after the last one louder than ``TRIM_DBFS``."""
    audible = np.flatnonzero(step_levels(samples) > TRIM_DBFS)
    width = TRIM_STEP_MS * SAMPLES_PER_MS
    return samples[audible[0] * width : (audible[-1] + 1) * width]


def soft_ended(samples: FloatArray, length_ms: int) -> FloatArray:
    """Let the last ``length_ms`` fall by ``SOFT_END_DB``."""
    length = length_ms * SAMPLES_PER_MS
    fall_db = np.zeros(len(samples))
    fall_db[len(samples) - length :] = SOFT_END_DB * np.arange(length) / max(length, 1)
    return samples * np.asarray(10.0 ** (-fall_db / 20.0), dtype=np.float64)


def edges_faded(samples: FloatArray) -> FloatArray:
    """Fade the first and last ``TRIM_STEP_MS`` with raised cosines, so that no cut clicks."""
    width = TRIM_STEP_MS * SAMPLES_PER_MS
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(width) / width)
    gain = np.ones(len(samples))
    gain[:width] = rise
    gain[-width:] = rise[::-1]
    return samples * gain


def spoken(phrase: Phrase) -> FloatArray:
    """Speak a phrase: samples at ``RATE_HZ``, at the speech level, trimmed to what is audible.

    Raises ``subprocess.CalledProcessError`` when espeak-ng or sox fails.
    """
    speed = str(phrase.words_per_minute)
    wav = subprocess.run(
        ["espeak-ng", "-v", phrase.voice, "-s", speed, "--stdout", phrase.text],
        check=True,
        capture_output=True,
    ).stdout
    # espeak-ng streams its WAV with a length it does not know yet: sox is told to ignore it.
    to_raw = ["-t", "raw", "-e", "floating-point", "-b", "64", "-c", "1", "-"]
    raw = subprocess.run(
        ["sox", "-D", "--ignore-length", "-t", "wav", "-", *to_raw, "rate", "-v", str(RATE_HZ)],
        check=True,
        capture_output=True,
        input=wav,
    ).stdout
    samples = soft_ended(trimmed(np.frombuffer(raw, "<f8")), phrase.soft_end_ms)
    levels = step_levels(samples)
    active = levels > np.max(levels) - ACTIVE_RANGE_DB
    active_db = 10.0 * float(np.log10(np.mean(10.0 ** (levels[active] / 10.0))))
    return edges_faded(trimmed(samples * 10.0 ** ((SPEECH_DBFS - active_db) / 20.0)))


def pink_noise(length: int, random: np.random.Generator) -> FloatArray:
    """Noise whose power falls with frequency (1/f above ``NOISE_LOWEST_HZ``), at its level."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    hz = np.fft.rfftfreq(length, 1.0 / RATE_HZ)
    gain = np.where(hz < NOISE_LOWEST_HZ, 0.0, 1.0 / np.sqrt(np.maximum(hz, NOISE_LOWEST_HZ)))
    return at_level(np.fft.irfft(spectrum * gain, n=length), NOISE_DBFS)


def hum() -> FloatArray:
    """Mains hum with two harmonics, faded in and out."""
    seconds = np.arange(HUM_LENGTH_MS * SAMPLES_PER_MS) / RATE_HZ
    tones = [np.sin(2.0 * np.pi * hz * seconds) / (index + 1) for index, hz in enumerate(HUM_HZ)]
    shape = np.sin(np.pi * np.arange(len(seconds)) / len(seconds)) ** 0.5
    return at_level(np.sum(tones, axis=0) * shape, HUM_DBFS)


def click(random: np.random.Generator) -> FloatArray:
    """Return a short burst of noise that dies away, as of a switch."""
    length = CLICK_MS * SAMPLES_PER_MS
    return at_level(random.standard_normal(length) * np.exp(-np.arange(length) / 96.0), CLICK_DBFS)


def compose() -> tuple[FloatArray, list[dict[str, object]]]:
    """Place the phrases over the noise: samples, shape (samples,), and the table's entries."""
    random = np.random.Generator(np.random.PCG64(SEED))
    voices = [spoken(phrase) for phrase in PHRASES]
    starts_ms: list[int] = []
    ends_ms: list[int] = []
    now_ms = 0
    for phrase, voice in zip(PHRASES, voices, strict=True):
        starts_ms.append(now_ms + phrase.pause_before_ms)
        now_ms = starts_ms[-1] + len(voice) // SAMPLES_PER_MS
        ends_ms.append(now_ms)
    samples = pink_noise((now_ms + TAIL_MS) * SAMPLES_PER_MS, random)
    extras = [
        (ends_ms[HUM_PAUSE - 1] + HUM_START_MS_INTO_PAUSE, hum()),
        (ends_ms[CLICK_PAUSE - 1] + CLICK_START_MS_INTO_PAUSE, click(random)),
    ]
    for start_ms, sound in [*zip(starts_ms, voices, strict=True), *extras]:
        first = start_ms * SAMPLES_PER_MS
        samples[first : first + len(sound)] += sound
    table: list[dict[str, object]] = [
        {"text": phrase.text, "start_ms": start, "end_ms": end}
        for phrase, start, end in zip(PHRASES, starts_ms, ends_ms, strict=True)
    ]
    return samples, table


def write_flac(samples: FloatArray, path: Path) -> None:
    """Write 16-bit FLAC. Raises ``ValueError`` when a sample would clip or the file is too big."""
    if float(np.max(np.abs(samples))) >= 1.0:
        raise ValueError("the mix clips: lower SPEECH_DBFS")
    data = np.round(samples * 32767.0).astype("<i2").tobytes()
    raw = ["-t", "raw", "-e", "signed-integer", "-b", "16", "-c", "1", "-r", str(RATE_HZ), "-"]
    subprocess.run(["sox", "-D", *raw, "-C", "8", str(path)], check=True, input=data)
    size_bytes = path.stat().st_size
    if size_bytes >= LARGEST_FILE_BYTES:
        raise ValueError(f"{path} has {size_bytes} bytes, more than {LARGEST_FILE_BYTES}")


def main() -> int:
    """Make both files; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    folder: Path = parser.parse_args().out
    samples, table = compose()
    write_flac(samples, folder / "speech_48k.flac")
    rows = ",\n".join(f"  {json.dumps(entry)}" for entry in table)
    (folder / "speech_48k.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    sys.stdout.write(f"{len(samples) / RATE_HZ:.2f} s, {len(table)} phrases\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
