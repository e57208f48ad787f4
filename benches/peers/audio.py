"""The native audio nodes beside soxr, webrtcvad, earshot, librosa and soundfile.

Each row is measured in turns in one run, one thread each: the medians of both, and the median of
the ratios of neighbouring turns. Ours goes through a session, as a user calls it.

    .venvs/peers/bin/pip install -r benches/peers/requirements-audio.txt
    OMP_NUM_THREADS=1 .venvs/peers/bin/python benches/peers/audio.py [--seconds 1] [--only resample]
"""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import earshot
import librosa
import numpy as np
import soundfile
import soxr
import webrtcvad
from common import machine, markdown, show
from numpy.typing import NDArray

from remotemedia import (
    AudioResampleNode,
    FormatConverterNode,
    MelSpectrogramNode,
    Pipeline,
    VADNode,
    read_audio,
)

Samples = NDArray[np.float32]
Work = Callable[[], Any]
RATE = 16_000


@contextmanager
def session_of(node: Any) -> Iterator[Callable[[Any], Any]]:
    """`session.process` of one node."""
    with Pipeline([node]).session() as session:
        yield session.process


def noise(samples: int, seed: int = 1) -> Samples:
    """White noise at -20 dBFS."""
    generator = np.random.default_rng(seed)
    return (0.1 * generator.standard_normal(samples)).astype(np.float32)


def in_turns(ours: Work, theirs: Work, seconds: float) -> tuple[float, float, float]:
    """Median times of both in seconds, and the median of the ratios of neighbouring turns."""
    ours(), theirs()
    begin = time.perf_counter()
    times: list[tuple[float, float]] = []
    while len(times) < 5 or time.perf_counter() - begin < seconds:
        started = time.perf_counter()
        ours()
        between = time.perf_counter()
        theirs()
        times.append((between - started, time.perf_counter() - between))
    a, b = zip(*times, strict=True)
    return statistics.median(a), statistics.median(b), statistics.median(x / y for x, y in times)


class Table:
    """Rows of work, ours, the peer, and the ratio."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.rows: list[list[str]] = []

    def add(self, work: str, target: str, ours: Work, peer: str, theirs: Work) -> None:
        """Measure one row."""
        a, b, ratio = in_turns(ours, theirs, self.seconds)
        self.rows.append([work, f"{a * 1e3:.3f}", peer, f"{b * 1e3:.3f}", f"{ratio:.2f}", target])


def resampling(table: Table) -> None:
    """Whole recordings of 10 s, and 20 ms pieces of a stream."""
    for quality, recipe in (("high", "HQ"), ("very_high", "VHQ")):
        for source, target, most in ((48_000, 16_000, 0.6), (44_100, 48_000, 0.7)):
            samples = noise(10 * source)
            work = f"{source} to {target} Hz, 10 s, {quality}"
            told = str(most) if quality == "high" else ""
            with session_of(AudioResampleNode(target, quality)) as process:
                table.add(
                    work,
                    told,
                    lambda: process((samples, source)),  # noqa: B023
                    f"soxr {recipe}",
                    lambda: soxr.resample(samples, source, target, recipe),  # noqa: B023
                )
    source, target = 48_000, 16_000
    pieces = np.split(noise(10 * source), 500)
    stream = soxr.ResampleStream(source, target, 1, "float32", "HQ")
    with session_of(AudioResampleNode(target, "high", streaming=True)) as process:
        table.add(
            "48 to 16 kHz, 500 pieces of 20 ms",
            "0.6",
            lambda: [process((piece, source)) for piece in pieces],
            "soxr stream, HQ",
            lambda: [stream.resample_chunk(piece) for piece in pieces],
        )


def formats(table: Table) -> None:
    """A million samples; the peer copies as many bytes as are read and written."""
    ints = (noise(1_000_000) * 32_767).astype(np.int16)
    floats = np.empty(1_000_000, np.float32)
    # Not zeros: pages that nothing was written to are all the same page, which stays in the cache.
    traffic = np.ones(3_000_000, np.uint8)
    copy = np.empty_like(traffic)
    with session_of(FormatConverterNode("f32")) as process:
        table.add(
            "i16 to f32, 1 M samples",
            "1.2",
            lambda: process((ints, RATE)),
            "memcpy of the same traffic (3 MB read, 3 MB written)",
            lambda: np.copyto(copy, traffic),
        )
        table.add(
            "i16 to f32, 1 M samples",
            "",
            lambda: process((ints, RATE)),
            "numpy, output reused",
            lambda: np.multiply(ints, np.float32(1 / 32_768), out=floats, dtype=np.float32),
        )


def voice(table: Table) -> None:
    """Ten minutes of noise with tones, frame by frame at the peers."""
    samples = noise(600 * RATE)
    samples[: 100 * RATE] += np.sin(np.arange(100 * RATE) * 0.3, dtype=np.float32) * np.float32(0.3)
    ints = (np.clip(samples, -1, 1) * 32_767).astype(np.int16)
    frames = [ints[i : i + 480].tobytes() for i in range(0, len(ints) - 479, 480)]
    floats = [np.ascontiguousarray(samples[i : i + 256]) for i in range(0, len(samples) - 255, 256)]

    def by_webrtcvad() -> None:
        detector = webrtcvad.Vad(2)
        for frame in frames:
            detector.is_speech(frame, RATE)

    def by_earshot() -> None:
        detector = earshot.Detector()
        for frame in floats:
            detector.predict_f32(frame)

    for method, peer, theirs, target in (
        ("energy", "webrtcvad, mode 2", by_webrtcvad, "0.6"),
        ("neural", "earshot, 16 ms frames", by_earshot, "1.1"),
        ("auto", "earshot, 16 ms frames", by_earshot, ""),
    ):
        with session_of(VADNode(method=method, output="segments")) as process:
            work = f"VAD, {method}, 10 minutes ({len(frames):,} frames of 30 ms)"
            table.add(work, target, lambda: process((samples, RATE)), peer, theirs)


def mel(table: Table) -> None:
    """Ten seconds at 16 kHz."""
    samples = noise(10 * RATE)
    with session_of(MelSpectrogramNode()) as process:
        (ours,) = process((samples, RATE))
        theirs = librosa.feature.melspectrogram(y=samples, sr=RATE)
        off = float(np.max(np.abs(ours[0] - theirs) / np.maximum(theirs, 1e-3 * theirs.max())))
        table.add(
            f"mel, librosa's defaults, 10 s (differs by {off:.0e})",
            "0.2",
            lambda: process((samples, RATE)),
            "librosa",
            lambda: librosa.feature.melspectrogram(y=samples, sr=RATE),
        )
    filters = librosa.filters.mel(sr=RATE, n_fft=400, n_mels=80)

    def whisper() -> Any:
        power = np.abs(librosa.stft(samples, n_fft=400, hop_length=160, pad_mode="reflect")) ** 2
        logs = np.log10(np.maximum(filters @ power[:, :-1], 1e-10))
        return (np.maximum(logs, logs.max() - 8) + 4) / 4

    with session_of(MelSpectrogramNode("whisper")) as process:
        off = float(np.abs(process((samples, RATE))[0][0] - whisper()).max())
        table.add(
            f"mel, Whisper's, 10 s (differs by {off:.0e})",
            "0.2",
            lambda: process((samples, RATE)),
            "librosa's transform and filters",
            whisper,
        )


def files(table: Table) -> None:
    """Ten minutes, mono, 44.1 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        t = np.arange(600 * 44_100) / 44_100
        tone = 0.3 * np.sin(2 * np.pi * (200 + 3 * t) * t) + 0.02 * noise(len(t), 3)
        samples = tone.astype(np.float32)
        for name, kind in (
            ("a.wav", ("WAV", "PCM_16")),
            ("a.flac", ("FLAC", "PCM_16")),
            ("a.mp3", ("MP3", "MPEG_LAYER_III")),
            ("a.ogg", ("OGG", "VORBIS")),
        ):
            container, codec = kind
            path = str(Path(folder, name))
            with soundfile.SoundFile(path, "w", 44_100, 1, codec, format=container) as file:
                for block in np.array_split(samples, 600):  # libsndfile puts a block on its stack
                    file.write(block)
        for name in ("a.wav", "a.flac", "a.mp3", "a.ogg"):
            path = str(Path(folder, name))
            table.add(
                f"decode {name[2:].upper()}, 10 minutes",
                "1.1",
                lambda: read_audio(path),  # noqa: B023
                "soundfile",
                lambda: soundfile.read(path, dtype="float32"),  # noqa: B023
            )


def error_db(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Power of the difference below that of the wanted signal, in the middle half."""
    middle = slice(len(wanted) // 4, len(wanted) * 3 // 4)
    off = found[middle].astype(np.float64) - wanted[middle]
    return float(10 * np.log10(np.mean(off**2) / np.mean(wanted[middle] ** 2)))


def level_db(found: NDArray[Any]) -> float:
    """RMS in the middle half, above a sine of half of full scale."""
    middle = found[len(found) // 4 : len(found) * 3 // 4].astype(np.float64)
    return float(10 * np.log10(np.mean(middle**2) / 0.125 + 1e-30))


def sine(hz: float, rate: int, seconds: float = 1.0) -> Samples:
    """A sine of half of full scale."""
    t = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def quality() -> list[list[str]]:
    """By sines in the passband and beyond the lower Nyquist frequency, two tones, an impulse."""
    rows = []
    for ours, recipe in (("high", "HQ"), ("very_high", "VHQ")):
        for source, target in ((48_000, 16_000), (44_100, 48_000)):
            low = min(source, target) / 2
            with session_of(AudioResampleNode(target, ours)) as process:
                made: dict[str, Callable[[Samples], NDArray[Any]]] = {
                    f"AudioResampleNode, {ours}": lambda x: process((x, source))[0][0],  # noqa: B023
                    f"soxr {recipe}": lambda x: soxr.resample(x, source, target, recipe),  # noqa: B023
                }
                for name, convert in made.items():
                    inside = [low * share for share in np.linspace(0.02, 0.9, 12)]
                    beyond = np.linspace(low * 1.02, source / 2 * 0.99, 12)
                    ripple = max(abs(level_db(convert(sine(hz, source)))) for hz in inside)
                    snr = max(error_db(convert(sine(h, source)), sine(h, target)) for h in inside)
                    two = [
                        sine(low * 0.3, rate) + sine(low * 0.85, rate) for rate in (source, target)
                    ]
                    alias = max(level_db(convert(sine(hz, source))) for hz in beyond)
                    impulse = np.zeros(source, np.float32)
                    impulse[source // 2] = 1
                    peak = int(np.argmax(np.abs(convert(impulse)))) - target // 2
                    rows.append(
                        [
                            *(name, f"{source} to {target}", f"{ripple:.5f}", f"{-snr:.1f}"),
                            *(f"{-error_db(convert(two[0]), two[1]):.1f}",),
                            *(f"{-alias:.1f}" if source > target else "", str(peak)),
                        ]
                    )
    return rows


WORK: dict[str, Callable[[Table], None]] = {
    "resample": resampling,
    "format": formats,
    "vad": voice,
    "mel": mel,
    "file": files,
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2, help="time for each row")
    parser.add_argument("--only", choices=[*WORK, "quality"], help="only these rows")
    arguments = parser.parse_args()
    show(machine())
    table = Table(arguments.seconds)
    for name, work in WORK.items():
        if arguments.only in (None, name):
            work(table)
    show(markdown(["work", "ours, ms", "peer", "peer, ms", "ratio", "target"], table.rows))
    if arguments.only in (None, "quality"):
        header = ["resampler", "Hz", "ripple, dB", "SNR, dB", "two tones, dB", "alias rejected, dB"]
        show(markdown([*header, "impulse off by"], quality()))


if __name__ == "__main__":
    main()
